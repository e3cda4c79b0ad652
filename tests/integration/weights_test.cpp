#include <algorithm>
#include <cmath>
#include <cstring>

#include <doctest/doctest.h>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "dicom_node/app/flatten_child.h"
#include "ml/manifest.h"
#include "ml/model.h"
#include "ml/safetensors.h"
#include "tests/support/programs.h"
#include "tests/support/weights/weight_files.h"

using namespace scopenode;
using namespace scopenode::test;

namespace {

namespace fs = std::filesystem;
const std::string kReference = std::string(SCOPENODE_SOURCE_DIR) + "/tests/support/weights/reference.py";
/// Small around its two whole networks, so that a test can afford it.
constexpr const char* kPreset = R"({"name": "two", "input_size": 64, "windows": [{"level": 40, "width": 80},
    {"level": 80, "width": 200}, {"level": 40, "width": 380}], "backbones": [{"name": "densenet201"},
    {"name": "xception"}, {"name": "xception"}, {"name": "xception", "width": 0.1}], "global_channels": 16,
    "tokens": "channels", "token_width": 4, "blocks": 1, "heads": 1, "head_dim": 4, "mlp_width": 8})";

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != text.npos;
}

ProgramResult scopenode_weights(std::vector<std::string> words) {
    words.insert(words.begin(), {SCOPENODE_PROGRAM, "weights"});
    return run(words);
}

/// The one line of a refusal.
std::string refusal(const std::vector<std::string>& words, int rc = 1) {
    const auto result = scopenode_weights(words);
    CHECK(result.rc == rc);
    CHECK(result.output.rfind("scopenode: ", 0) == 0);
    CHECK(std::count(result.output.begin(), result.output.end(), '\n') == 1);
    return result.output;
}

void put(const fs::path& file, const std::string& bytes) {
    REQUIRE(write_file(real_files(), file, bytes));
}

std::vector<float> tensor(const fs::path& file, const std::string& name) {
    const std::string bytes = read_file(file).value();
    const auto tensors = ml::parse_safetensors(bytes, "file").value();
    for (const auto& each : tensors) {
        if (each.name != name) continue;
        std::vector<float> values(each.bytes.size() / sizeof(float));
        std::memcpy(values.data(), each.bytes.data(), each.bytes.size());
        return values;
    }
    FAIL("no tensor " << name);
    return {};
}

std::string formula_image() {
    ml::FloatTensor image{"image", {1, 3, 64, 64}, std::vector<float>(3 * 64 * 64)};
    for (std::size_t i = 0; i < image.values.size(); ++i) image.values[i] = formula_pixel(i);
    return safetensors_of({image});
}

/// DenseNet201 by the formula, whole or narrowed, and what else the commands want.
struct DenseNetFiles {
    explicit DenseNetFiles(int narrow = 1) {
        put(path("torch.safetensors"), torch_file("densenet201", narrow, formula_value));
        put(path("image.safetensors"), formula_image());
        put(path("preset.json"), kPreset);
    }
    fs::path path(const std::string& name) const { return folder.path() / name; }
    std::vector<std::string> verify(const std::string& weights,
                                    const std::string& image = "image.safetensors") const {
        return {"verify",  "--backbone", "densenet201", path(weights),
                "--input", path(image),  "--output",    path("features.safetensors")};
    }
    std::vector<std::string> import(const std::string& backbone, const std::string& weights,
                                    const std::string& preset = "preset.json") const {
        return {"import",     "--preset",   preset == "preset.json" ? path(preset).string() : preset,
                "--backbone", backbone,     path(weights),
                "--out",      path("model")};
    }

    TemporaryFolder folder;
};

}  // namespace

TEST_CASE("An imported DenseNet201 gives torchvision's features from either form of its weights") {
    const DenseNetFiles files;
    const auto torch = scopenode_weights(files.verify("torch.safetensors"));
    INFO(torch.output);
    REQUIRE(torch.rc == 0);
    CHECK(has(torch.output, "filled: 1004 tensors"));
    CHECK(has(torch.output, "features: 1 x 1920 x 2 x 2"));
    const auto features = tensor(files.path("features.safetensors"), "features");
    REQUIRE(features.size() == 7680);
    // `reference.py formula` with torchvision 0.14 said this.
    double mean = 0, square = 0;
    for (const float value : features) {
        mean += value / 7680.;
        square += double(value) * value / 7680.;
    }
    CHECK(mean == doctest::Approx(0.85292065).epsilon(1e-5));
    CHECK(square == doctest::Approx(2.41983587).epsilon(1e-5));
    const double expected[] = {1.53616488,  0.815332294, 0,           0.702978313,
                               0.127919972, 2.34427261,  0.985292912, 0};
    for (std::size_t i = 0; i < 8; ++i) CHECK(std::abs(features[i * 960] - expected[i]) < 1e-5 * 9.89194584);

    write_h5(files.path("keras.h5"), keras_layers("densenet201", 1, formula_value));
    const auto keras = scopenode_weights(files.verify("keras.h5"));
    INFO(keras.output);
    REQUIRE(keras.rc == 0);
    CHECK(tensor(files.path("features.safetensors"), "features") == features);
}

TEST_CASE("torchvision itself agrees where it is installed") {
    if (run({"/usr/bin/python3", "-c", "import torchvision, numpy"}).rc != 0) {
        MESSAGE("skipped: torchvision is not installed; the case before holds its figures");
        return;
    }
    const TemporaryFolder folder;
    const std::string at = folder.path();
    const auto made = run({"/usr/bin/python3", kReference, "random", at});
    INFO(made.output);
    REQUIRE(made.rc == 0);
    const auto verified =
        scopenode_weights({"verify", "--backbone", "densenet201", at + "/weights.safetensors", "--input",
                           at + "/image.safetensors", "--output", at + "/features.safetensors"});
    INFO(verified.output);
    REQUIRE(verified.rc == 0);
    CHECK(has(verified.output, "left unused: 2\n  classifier.weight\n  classifier.bias"));
    const auto compared = run({"/usr/bin/python3", kReference, "compare", at});
    INFO(compared.output);
    CHECK(compared.rc == 0);
}

TEST_CASE("Weights are imported one network after the other into a model that says what it is") {
    const DenseNetFiles files;
    write_h5(files.path("xception.h5"), keras_layers("xception", 1, formula_value));
    auto words = files.import("densenet201", "torch.safetensors");
    words.insert(words.end(), {"--licence", "BSD-3 (tests)", "--seed", "5"});
    const auto first = scopenode_weights(words);
    INFO(first.output);
    REQUIRE(first.rc == 0);
    CHECK(has(first.output, "not trained"));
    words = files.import("xception", "xception.h5");
    words.insert(words.end(), {"--copy", "2"});
    const auto second = scopenode_weights(words);
    INFO(second.output);
    REQUIRE(second.rc == 0);
    CHECK(has(second.output, "into: backbone 3 of two"));

    const auto model = ml::read_model_folder(files.path("model"));
    REQUIRE(model);
    const auto manifest = ml::parse_manifest(model->manifest_json);
    REQUIRE(manifest);
    CHECK(has(manifest->name, "not trained"));
    CHECK(has(manifest->data_snapshot, "encoder and head have random weights"));
    REQUIRE(manifest->sources.size() == 2);
    CHECK(manifest->sources[0].number == 1);
    CHECK(manifest->sources[0].licence == "BSD-3 (tests)");
    CHECK(manifest->sources[0].sha256 == sha256_hex(read_file(files.path("torch.safetensors")).value()));
    CHECK(manifest->sources[1].backbone == "xception");
    CHECK(manifest->sources[1].number == 3);
    CHECK(manifest->sources[1].licence == "not stated");
    CHECK(has(model->card, "backbone 2 (xception): random weights"));
    REQUIRE(ml::Model::load(*model, {"cpu", 1, 1}));
    const auto weights = ml::parse_safetensors(model->weights, "model").value();
    std::size_t found = 0;
    for (const auto& each : weights) found += each.name.ends_with("conv1_bn.running_var") ? 1 : 0;
    CHECK(found >= 3);

    CHECK(has(refusal(files.import("densenet201", "torch.safetensors", "scopeformer_s")),
              "is a model of preset two"));
    CHECK(has(refusal(files.import("resnet152v2", "torch.safetensors"), 2), "has no backbone resnet152v2"));
    CHECK(has(refusal(files.import("xception", "xception.h5"), 2), "has a narrowed xception"));
    words.back() = "4";
    CHECK(has(refusal(words, 2), "--copy is from 1 to 3"));
    CHECK(has(refusal(files.import("densenet201", "xception.h5")), "it looks like xception"));
    auto trained = *manifest;
    trained.data_snapshot = "a snapshot";
    put(files.path("model") / "model.json", ml::manifest_json(trained));
    CHECK(has(refusal(files.import("densenet201", "torch.safetensors")), "is a trained model"));
}

TEST_CASE("Wrong files and images are refused in one line and nothing is written") {
    const DenseNetFiles files(16);
    write_h5(files.path("keras.h5"), keras_layers("densenet201", 16, formula_value));
    CHECK(has(refusal(files.verify("keras.h5")), "where bn.weight takes 1920"));
    const std::string good = read_file(files.path("keras.h5")).value();
    put(files.path("cut.h5"), good.substr(0, good.size() / 2));
    CHECK(has(refusal(files.verify("cut.h5")), "truncated?"));
    put(files.path("weights.pth"), "PK\x03\x04 archive/data.pkl");
    CHECK(has(refusal(files.verify("weights.pth")), "convert it where you trust it"));
    put(files.path("empty.h5"), "");
    CHECK(has(refusal(files.verify("empty.h5")), "is empty"));
    CHECK(has(refusal(files.verify("none.h5")), "cannot read"));
    // Lists and links, not values.
    std::string garbled = good;
    for (std::size_t i = 2000; i < garbled.size(); i += 7) garbled[i] = char(garbled[i] ^ 0x5a);
    put(files.path("garbled.h5"), garbled);
    CHECK(has(refusal(files.verify("garbled.h5")), "garbled.h5"));
    CHECK_FALSE(fs::exists(files.path("features.safetensors")));

    const auto image = [&](const char* name, std::vector<std::int64_t> shape, float value) {
        std::size_t count = 1;
        for (const auto length : shape) count *= std::size_t(length);
        put(files.path("bad.safetensors"), safetensors_of({{name, shape, std::vector<float>(count, value)}}));
        return refusal(files.verify("torch.safetensors", "bad.safetensors"), 2);
    };
    CHECK(has(image("picture", {1, 3, 32, 32}, 0), "has no tensor 'image'"));
    CHECK(has(image("image", {1, 1, 32, 32}, 0), "must be N x 3 x H x W"));
    CHECK(has(image("image", {1, 3, 33, 32}, 0), "multiples of 32"));
    CHECK(has(image("image", {1, 3, 32, 32}, 255), "divide pixels by 255"));
    CHECK(has(image("image", {1, 3, 32, 32}, std::nanf("")), "outside [0,1]"));
    CHECK(has(refusal({"verify", "--backbone", "vgg", "a", "--input", "b", "--output", "c"}, 2),
              "no backbone 'vgg'"));
}

TEST_CASE("A reading process that crashes or hangs is one error") {
    const TemporaryFolder folder;
    const auto program = [&](const char* body) {
        const auto file = folder.path() / "program";
        put(file, std::string("#!/bin/sh\n") + body + "\n");
        fs::permissions(file, fs::perms::owner_all);
        return file.string();
    };
    const auto fault = [&](const std::string& path, std::chrono::seconds limit = std::chrono::seconds(60)) {
        const auto flat = dicom_node::flatten_in_child(folder.path() / "a.h5", path, limit);
        REQUIRE_FALSE(flat);
        return flat.error().message;
    };
    CHECK(has(fault(program("kill -SEGV $$")), "crashed on it (signal 11)"));
    CHECK(has(fault(program("kill -XCPU $$")), "more time or memory"));
    CHECK(has(fault(program("echo 'scopenode: it is odd' >&2; exit 1")), "it is odd"));
    CHECK(has(fault(program("exit 1")), "cannot be read"));
    CHECK(has(fault(program("exec tail -f /dev/null"), std::chrono::seconds(1)), "took longer than 1 s"));
}
