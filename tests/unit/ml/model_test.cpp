#include "ml/model.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <doctest/doctest.h>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "tests/unit/ml/nano_files.h"

using namespace scopenode;
using namespace scopenode::ml;

namespace {

std::vector<HuImage> some_slices() {
    std::mt19937 random(7);
    std::vector<HuImage> slices;
    for (const int size : {64, 96, 128, 64, 80}) {
        HuImage image{size, size + 16, {}};
        const float base = float(random() % 60);
        for (int i = 0; i < image.width * image.height; ++i) image.hu.push_back(base + float(random() % 40));
        slices.push_back(std::move(image));
    }
    return slices;
}

float largest_difference(const Scores& a, const Scores& b) {
    float largest = 0;
    for (std::size_t i = 0; i < kLabelCount; ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
    return largest;
}

}  // namespace

TEST_CASE("Scores of a slice do not depend on its batch and do depend on its pixels") {
    const auto together = Model::load(test::nano_files(), {"cpu", 1, 4});
    const auto alone = Model::load(test::nano_files(), {"cpu", 1, 1});
    REQUIRE(together);
    REQUIRE(alone);
    CHECK((*together)->device() == "cpu");
    CHECK((*together)->id() == sha256_hex(test::nano_files().manifest_json).substr(0, 12));
    const std::vector<HuImage> slices = some_slices();
    const auto a = (*together)->infer(slices);
    const auto b = (*alone)->infer(slices);
    REQUIRE(a);
    REQUIRE(b);
    REQUIRE(a->size() == slices.size());
    for (std::size_t i = 0; i < slices.size(); ++i)
        CHECK(largest_difference((*a)[i].scores, (*b)[i].scores) < 1e-5F);
    // A head that averaged after a LayerNorm over the same positions would give every slice the same scores.
    CHECK(largest_difference((*a)[0].scores, (*a)[1].scores) > 1e-5F);
    const auto none = (*together)->infer({});
    REQUIRE(none);
    CHECK(none->empty());
    const HuImage wrong{4, 4, {1, 2, 3}};
    CHECK_FALSE((*together)->infer(std::span(&wrong, 1)));
}

TEST_CASE("A device that is not there is refused in words") {
    for (const char* device : {"gpu", "cuda", "cuda:", "cuda:x", "cuda:63"}) {
        const auto model = Model::load(test::nano_files(), {device, 1, 1});
        REQUIRE_FALSE(model);
        CHECK(model.error().code == Code::kInvalidArgument);
        CHECK(model.error().message.find(device) != std::string::npos);
    }
}

TEST_CASE("A manifest survives its JSON form and a wrong one is refused") {
    auto manifest = parse_manifest(test::nano_files().manifest_json);
    REQUIRE(manifest);
    manifest->name = "A name";
    manifest->demonstration = true;
    manifest->thresholds[2] = 0.375;
    manifest->calibration.method = "platt";
    manifest->calibration.scale[1] = 1.5;
    manifest->calibration.offset[1] = -0.5;
    manifest->calibration.data = "somewhere";
    manifest->data_snapshot = "phantoms";
    manifest->data_licence = "ours";
    manifest->parent = "abc";
    const std::string text = manifest_json(*manifest);
    const auto again = parse_manifest(text);
    REQUIRE(again);
    CHECK(manifest_json(*again) == text);
    CHECK(again->thresholds[2] == 0.375);
    CHECK(again->demonstration);
    CHECK(preset_json(again->preset) == preset_json(manifest->preset));

    const auto broken = [&](const std::string& from, const std::string& to) {
        std::string other = text;
        const auto at = other.find(from);
        REQUIRE(at != std::string::npos);
        other.replace(at, from.size(), to);
        const auto parsed = parse_manifest(other);
        return !parsed && parsed.error().code == Code::kDamagedModel;
    };
    CHECK(broken("\"format\": 1", "\"format\": 2"));
    CHECK(broken("\"platt\"", "\"magic\""));
    CHECK(broken("\"subdural\"", "\"sub\""));
    CHECK(broken("0.375", "1.375"));
    CHECK(broken("\"mhra\"", "\"mhxa\""));
    CHECK_FALSE(parse_manifest("{}"));
    CHECK_FALSE(parse_manifest("not JSON"));
}

TEST_CASE("A training range survives its JSON form and fits its preset and measures distances") {
    auto manifest = parse_manifest(test::nano_files().manifest_json).value();
    CHECK_FALSE(manifest.range.known());
    CHECK(manifest_json(manifest).find("training_range") == std::string::npos);
    manifest.range = {std::vector<float>(192, 0.25F), std::vector<float>(192, 0.5F), 1.75};
    const std::string text = manifest_json(manifest);
    const auto again = parse_manifest(text);
    REQUIRE(again);
    CHECK(manifest_json(*again) == text);
    CHECK(again->range.limit == 1.75);
    const auto refused = [&](std::vector<float> mean, std::vector<float> spread, double limit) {
        Manifest other = manifest;
        other.range = {std::move(mean), std::move(spread), limit};
        const auto parsed = parse_manifest(manifest_json(other));
        return !parsed && parsed.error().code == Code::kDamagedModel;
    };
    CHECK(refused(std::vector<float>(96), std::vector<float>(96, 1), 1));
    CHECK(refused(std::vector<float>(192), std::vector<float>(191, 1), 1));
    CHECK(refused(std::vector<float>(192), std::vector<float>(192, 0), 1));
    CHECK(refused(std::vector<float>(192), std::vector<float>(192, 1), 0));

    // 3 and 4 spreads away: the root of (9 + 16) / 2.
    const Manifest::TrainingRange two{{1, 2}, {0.5F, 2}, 1};
    const std::array<float, 2> summary{2.5F, -6};
    CHECK(distance_from(two, summary.data()) == doctest::Approx(std::sqrt(12.5)));
    const std::array<float, 2> far{1, 1e9F};  // one number alone does not decide
    CHECK(distance_from(two, far.data()) == doctest::Approx(std::sqrt(50.0)));
    using Distances = std::vector<std::optional<double>>;
    CHECK(*study_distance(Distances{1.0, 4.0, 2.0, 3.0}) == 2.5);
    CHECK(*study_distance(Distances{1.0, 9.0, 2.0}) == 2.0);
    CHECK(*study_distance(Distances{1.0, std::nullopt}) == 1.0);
    CHECK_FALSE(study_distance(Distances{1.0, std::nullopt, std::nullopt}));
    CHECK_FALSE(study_distance(Distances{}));
}

TEST_CASE("Calibration moves study scores by scale and offset of their logits") {
    Manifest manifest;
    Scores scores{0.5F, 0.9F, 0.1F, 0, 1, 0.3F};
    CHECK(calibrate(manifest, scores) == scores);
    manifest.calibration.method = "platt";
    manifest.calibration.scale.fill(2);
    manifest.calibration.offset.fill(1);
    const Scores moved = calibrate(manifest, scores);
    CHECK(moved[0] == doctest::Approx(1 / (1 + std::exp(-1.0))));
    CHECK(moved[1] == doctest::Approx(1 / (1 + std::exp(-(2 * std::log(9.0) + 1)))).epsilon(1e-4));
    for (const float p : moved) CHECK((p >= 0 && p <= 1));
}

TEST_CASE("A model folder comes back as it was written and a missing file is named") {
    const TemporaryFolder folder;
    ModelFiles files = test::nano_files();
    files.metrics_json = "{}";
    REQUIRE(write_model_folder(folder.path() / "model", files));
    const auto read = read_model_folder(folder.path() / "model");
    REQUIRE(read);
    CHECK(read->weights == files.weights);
    CHECK(read->id() == files.id());
    CHECK(read->metrics_json == "{}");
    CHECK(read->card.empty());
    std::filesystem::remove(folder.path() / "model" / "weights.safetensors");
    const auto missing = read_model_folder(folder.path() / "model");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message.find("weights.safetensors") != std::string::npos);
}
