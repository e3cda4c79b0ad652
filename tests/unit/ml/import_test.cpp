#include "ml/weights/import.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include <doctest/doctest.h>

#include "base/core/files.h"
#include "ml/manifest.h"
#include "ml/safetensors.h"
#include "ml/weights/untrained.h"
#include "tests/support/weights/weight_files.h"

using namespace scopenode;
using namespace scopenode::ml;
using namespace scopenode::test;

namespace {

constexpr int kNarrow = 16;
const char* const kBackbones[] = {"xception", "efficientnet_b5", "resnet152v2", "densenet201"};

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != text.npos;
}

Result<ImportedWeights> map_narrow(const std::string& bytes, WeightsFormat format,
                                   const std::string& backbone) {
    return map_weights(bytes, format, "file", backbone, network_targets(backbone, kNarrow));
}
Result<ImportedWeights> keras(const std::vector<H5Layer>& layers, const std::string& backbone) {
    return map_narrow(flat_file(layers), WeightsFormat::kH5, backbone);
}
std::vector<H5Layer> narrow_layers(const std::string& backbone) {
    return keras_layers(backbone, kNarrow, distinct_value);
}
Result<ImportedWeights> torch(const std::string& bytes, const std::string& backbone) {
    return map_narrow(bytes, WeightsFormat::kSafetensors, backbone);
}

std::string fault(const Result<ImportedWeights>& mapped) {
    REQUIRE_FALSE(mapped);
    CHECK(has(mapped.error().message, "file"));
    CHECK_FALSE(has(mapped.error().message, "\n"));
    return mapped.error().message;
}

/// Every value stands where the formula says.
void check_values(const Result<ImportedWeights>& mapped, const std::string& backbone) {
    INFO(backbone << ": " << (mapped ? "" : mapped.error().message));
    REQUIRE(mapped);
    std::map<std::string, const FloatTensor*> by_name;
    for (const FloatTensor& tensor : mapped->tensors) by_name[tensor.name] = &tensor;
    const auto tensors = network_tensors(backbone, kNarrow);
    REQUIRE(by_name.size() == tensors.size());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        REQUIRE(by_name.count(tensors[i].ours) == 1);
        const FloatTensor& tensor = *by_name[tensors[i].ours];
        REQUIRE(tensor.shape == tensors[i].shape);
        for (std::size_t p = 0; p < tensor.values.size(); ++p)
            wrong += tensor.values[p] != distinct_value(tensors[i], i, p);
    }
    CHECK(wrong == 0);
}

/// The tensors of a safetensors file that owns its bytes, to change and build again.
struct Edited {
    explicit Edited(std::string file_bytes)
        : bytes(std::move(file_bytes)), tensors(parse_safetensors(bytes, "edited").value()) {}
    TensorBytes& at(const std::string& name) {
        for (TensorBytes& tensor : tensors)
            if (tensor.name == name) return tensor;
        FAIL("no tensor " << name);
        return tensors.front();
    }
    std::string built() const { return build_safetensors(tensors); }

    std::string bytes;
    std::vector<TensorBytes> tensors;
};

H5Layer& layer(std::vector<H5Layer>& layers, const std::string& name) {
    for (H5Layer& each : layers)
        if (each.name == name) return each;
    FAIL("no layer " << name);
    return layers.front();
}

}  // namespace

TEST_CASE("Our backbones have the tensors of the published networks with their shapes") {
    for (const char* backbone : kBackbones) {
        CAPTURE(backbone);
        const auto ours = backbone_tensors({backbone, 1, 1});
        REQUIRE(ours);
        std::map<std::string, std::vector<std::int64_t>> published;
        for (const auto& tensor : network_tensors(backbone)) published[tensor.ours] = tensor.shape;
        REQUIRE(ours->size() == published.size());
        for (const TensorShape& tensor : *ours) {
            CAPTURE(tensor.name);
            CHECK(published[tensor.name] == tensor.shape);
        }
    }
}

TEST_CASE("Keras' tensors of every network arrive where they belong with their axes turned") {
    for (const char* backbone : kBackbones) {
        const auto mapped = keras(narrow_layers(backbone), backbone);
        check_values(mapped, backbone);
        CHECK(mapped->unused.empty());
        CHECK(mapped->ignored.size() == (std::string(backbone) == "efficientnet_b5" ? 3 : 0));
    }
}

TEST_CASE("timm's and torchvision's tensors arrive where they belong") {
    for (const char* backbone : {"xception", "efficientnet_b5", "densenet201"}) {
        const auto mapped = torch(torch_file(backbone, kNarrow, distinct_value), backbone);
        check_values(mapped, backbone);
        CHECK(mapped->unused.empty());
        CHECK_FALSE(mapped->ignored.empty());
    }
    CHECK(
        has(fault(torch(torch_file("densenet201", kNarrow, distinct_value), "resnet152v2")), "give Keras'"));
}

TEST_CASE("DenseNet's names of today and of yesterday are one") {
    Edited file(torch_file("densenet201", kNarrow, distinct_value));
    for (TensorBytes& tensor : file.tensors)
        for (const char* part : {"norm1.", "norm2.", "conv1.", "conv2."})
            if (const auto at = tensor.name.find(part);
                has(tensor.name, "denselayer") && at != std::string::npos)
                tensor.name.insert(at + 4, ".");
    CHECK(has(file.tensors[8].name, ".norm.1."));
    check_values(torch(file.built(), "densenet201"), "densenet201");
    Edited twice(torch_file("densenet201", kNarrow, distinct_value));
    twice.tensors.push_back(twice.at("features.denseblock1.denselayer1.norm1.bias"));
    twice.tensors.back().name = "features.denseblock1.denselayer1.norm.1.bias";
    CHECK(has(fault(torch(twice.built(), "densenet201")), "are the same one"));
    auto layers = narrow_layers("densenet201");
    for (H5Layer& each : layers) std::replace(each.name.begin(), each.name.end(), '/', '_');
    check_values(keras(layers, "densenet201"), "densenet201");
    layers.push_back(layer(layers, "conv1_bn"));
    layers.back().name = "conv1/bn";
    CHECK(has(fault(keras(layers, "densenet201")), "two of its layers are the same one"));
}

TEST_CASE("Very old Xception files lack axes of length one") {
    Edited file(torch_file("xception", kNarrow, distinct_value));
    for (TensorBytes& tensor : file.tensors)
        if (has(tensor.name, "pointwise") || has(tensor.name, "rep.") || has(tensor.name, "conv3.conv1"))
            std::erase(tensor.shape, 1);
    check_values(torch(file.built(), "xception"), "xception");
}

TEST_CASE("Xception's unnamed layers are taken in the order of their numbers") {
    auto layers = narrow_layers("xception");
    for (const char* head : {"conv2d", "batch_normalization"})
        for (int i = 3; i >= 0; --i)
            layer(layers, i == 0 ? head : fmt::format("{}_{}", head, i)).name =
                fmt::format("{}_{}", head, i + 8);
    check_values(keras(layers, "xception"), "xception");
    // Somebody's own layers in the file are told apart by their channels, or not at all.
    auto with_head = layers;
    with_head.push_back({"conv2d_3", {{"conv2d_3/kernel:0", {1, 1, 2, 7}, std::vector<float>(14, 1)}}});
    const auto mapped = keras(with_head, "xception");
    check_values(mapped, "xception");
    CHECK(mapped->unused == std::vector<std::string>{"conv2d_3/kernel"});
    with_head.push_back(layer(layers, "conv2d_9"));
    with_head.back().name = "conv2d_77";
    CHECK(has(fault(keras(with_head, "xception")), "'conv2d_9' and 'conv2d_77' could both be"));
}

TEST_CASE("What a file holds beside the network is named and not used") {
    auto layers = narrow_layers("resnet152v2");
    layers.push_back(
        {"predictions", {{"predictions/kernel:0", {2, 1}, {1, 2}}, {"predictions/bias:0", {1}, {1}}}});
    const auto mapped = keras(layers, "resnet152v2");
    check_values(mapped, "resnet152v2");
    CHECK(mapped->unused == std::vector<std::string>{"predictions/kernel", "predictions/bias"});
    Edited file(torch_file("densenet201", kNarrow, distinct_value));
    file.tensors.push_back({"classifier.weight", "F32", {1, 1}, "1234"});
    const auto other = torch(file.built(), "densenet201");
    check_values(other, "densenet201");
    CHECK(other->unused == std::vector<std::string>{"classifier.weight"});
}

TEST_CASE("Older weight names are read in their order as Keras does") {
    auto layers = narrow_layers("xception");
    for (H5Layer& each : layers)
        for (std::size_t i = 0; i < each.weights.size(); ++i)
            each.weights[i].name = fmt::format("{}_W{}:0", each.name, i);
    const auto mapped = keras(layers, "xception");
    check_values(mapped, "xception");
    REQUIRE(mapped->notes.size() == 1);
    CHECK(has(mapped->notes[0], "read in their order"));
    auto some = narrow_layers("xception");
    layer(some, "block1_conv1_bn").weights[2].name = "block1_conv1_bn/moving_average:0";
    CHECK(has(fault(keras(some, "xception")), "lacks a weight that Keras gives it"));
}

TEST_CASE("A file for another network is refused and named") {
    for (const char* is : kBackbones)
        for (const char* wanted : kBackbones) {
            if (std::string(is) == wanted) continue;
            CAPTURE(is);
            CAPTURE(wanted);
            CHECK(has(fault(keras(narrow_layers(is), wanted)), fmt::format("it looks like {}", is)));
            if (std::string(is) == "resnet152v2" || std::string(wanted) == "resnet152v2") continue;
            const auto mapped = torch(torch_file(is, kNarrow, distinct_value), wanted);
            CHECK(has(fault(mapped), fmt::format("it looks like {}", is)));
        }
    auto smaller = narrow_layers("densenet201");
    std::erase_if(smaller, [](const H5Layer& each) { return each.name.starts_with("conv4_block48"); });
    CHECK(has(fault(keras(smaller, "densenet201")), "a DenseNet of another depth"));
    auto cut = narrow_layers("densenet201");
    std::erase_if(cut, [](const H5Layer& each) { return each.name == "pool2_conv"; });
    CHECK(has(fault(keras(cut, "densenet201")), "lacks 1 of the"));
    const std::string resnet = safetensors_of({{"layer4.0.conv1.weight", {1}, {1}}});
    CHECK(has(fault(torch(resnet, "xception")), "a ResNet of the first version"));
    const std::string torchvision =
        safetensors_of({{"features.0.0.weight", {1}, {1}}, {"features.1.0.block.0.0.weight", {1}, {1}}});
    CHECK(has(fault(torch(torchvision, "efficientnet_b5")), "give timm's tf_efficientnet_b5"));
}

TEST_CASE("Wrong shapes and types and values that are no numbers are refused") {
    const std::string name = "features.denseblock1.denselayer1.conv1.weight";
    Edited file(torch_file("densenet201", kNarrow, distinct_value));
    TensorBytes& tensor = file.at(name);
    const TensorBytes good = tensor;
    std::swap(tensor.shape[0], tensor.shape[1]);
    CHECK(has(fault(torch(file.built(), "densenet201")), "where conv2_block1_1_conv.weight takes"));
    tensor = good;
    tensor.dtype = "I32";
    CHECK(has(fault(torch(file.built(), "densenet201")), "convert it to float32"));
    std::string values(good.bytes);
    for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
        std::memcpy(values.data() + 4, &bad, sizeof bad);
        tensor = good;
        tensor.bytes = values;
        CHECK(has(fault(torch(file.built(), "densenet201")), "not a number"));
    }
    tensor = good;
    TensorBytes& variance = file.at("features.norm5.running_var");
    values = variance.bytes;
    const float negative = -0.5F;
    std::memcpy(values.data(), &negative, sizeof negative);
    variance.bytes = values;
    CHECK(has(fault(torch(file.built(), "densenet201")), "a variance below zero"));
    const std::string whole = torch_file("densenet201", kNarrow, distinct_value);
    CHECK(has(fault(torch(whole.substr(0, whole.size() - 1), "densenet201")), "truncated"));
    CHECK(has(fault(keras({{"a", {}}}, "xception")), "lacks"));
    auto layers = narrow_layers("xception");
    layer(layers, "block1_conv1").weights.push_back({"block1_conv1/bias:0", {1}, {0}});
    CHECK(has(fault(keras(layers, "xception")), "holds 2 weights where the network has 1"));
    CHECK(has(fault(map_narrow(safetensors_of({{"noslash", {1}, {1}}}), WeightsFormat::kH5, "xception")),
              "belongs to no layer"));
}

TEST_CASE("Sixteen bits are made thirty-two") {
    const auto converted = [](const char* dtype, std::vector<std::uint16_t> bits) {
        Edited file(torch_file("densenet201", kNarrow, distinct_value));
        TensorBytes& tensor = file.at("features.norm0.bias");
        REQUIRE(tensor.shape == std::vector<std::int64_t>{4});
        tensor.dtype = dtype;
        tensor.bytes = {reinterpret_cast<const char*>(bits.data()), 8};
        const auto mapped = torch(file.built(), "densenet201");
        REQUIRE(mapped);
        CHECK(mapped->notes.size() == 1);
        for (const FloatTensor& each : mapped->tensors)
            if (each.name == "conv1_bn.bias") return each.values;
        return std::vector<float>();
    };
    CHECK(converted("F16", {0x3c00, 0xc000, 0x0001, 0x7bff}) ==
          std::vector<float>{1, -2, std::ldexp(1.F, -24), 65504});
    CHECK(converted("BF16", {0x3f80, 0xc000, 0x0000, 0x4049}) == std::vector<float>{1, -2, 0, 3.140625F});
}

TEST_CASE("Files that are not weights are refused with what to do") {
    using namespace std::string_literals;
    const auto said = [](const std::string& bytes, const std::string& name) {
        const auto format = weights_format(bytes, name);
        REQUIRE_FALSE(format);
        CHECK(has(format.error().message, name));
        CHECK_FALSE(has(format.error().message, "\n"));
        return format.error().message;
    };
    const std::string zip = "PK\x03\x04 and some bytes ";
    CHECK(has(said("", "a.h5"), "is empty"));
    CHECK(has(said(zip + "archive/data.pkl", "a.pth"), "safetensors.torch"));
    CHECK(has(said(zip + "archive/data.pkl", "renamed.safetensors"), "pickle"));
    CHECK(has(said("\x80\x02}q\x00"s, "a.bin"), "pickle"));
    CHECK(has(said(std::string(257, 'a') + "ustar", "a.pt"), "pickle"));
    CHECK(has(said(zip + "model.weights.h5", "a.keras"), "model.save('model.h5')"));
    CHECK(has(said(zip, "a.zip"), "unpack it"));
    CHECK(has(said("\x08\x01", "saved_model.pb"), "SavedModel"));
    CHECK(has(said("anything", "model.ckpt.data-00000-of-00001"), "checkpoint"));
    CHECK(has(said("version https://git-lfs.github.com/spec/v1", "a.h5"), "git lfs pull"));
    CHECK(has(said("<!DOCTYPE html><html>", "a.h5"), "web page"));
    CHECK(has(said("something", "a.h5"), "damaged?"));
    CHECK(has(said("something", "a.txt"), "neither HDF5"));
    CHECK(weights_format("\x89HDF\r\n\x1a\n"s, "a").value() == WeightsFormat::kH5);
    CHECK(weights_format(std::string(512, ' ') + "\x89HDF\r\n\x1a\n", "a").value() == WeightsFormat::kH5);
    CHECK(weights_format("\x10\0\0\0\0\0\0\0{}"s, "a").value() == WeightsFormat::kSafetensors);

    const TemporaryFolder folder;
    CHECK(has(weights_format(folder.path()).error().message, "is a folder"));
    REQUIRE(write_file(real_files(), folder.path() / "saved_model.pb", "x"));
    CHECK(has(weights_format(folder.path()).error().message, "SavedModel"));
    CHECK(has(weights_format(folder.path() / "none").error().message, "cannot read"));
    REQUIRE(
        write_file(real_files(), folder.path() / "long.pth", zip + std::string(200'000, ' ') + "a/data.pkl"));
    CHECK(has(weights_format(folder.path() / "long.pth").error().message, "pickle"));
}

TEST_CASE("A manifest keeps where weights came from and is unchanged without") {
    const std::string demo = std::string(SCOPENODE_SOURCE_DIR) + "/config/models/demo/model.json";
    const std::string json = read_file(demo).value();
    auto manifest = parse_manifest(json);
    REQUIRE(manifest);
    CHECK(manifest->sources.empty());
    CHECK_FALSE(has(manifest_json(*manifest), "sources"));
    manifest->sources = {
        {"xception", 2, "a.h5", "Keras HDF5", std::string(64, 'a'), "MIT", {"predictions/kernel"}}};
    const std::string written = manifest_json(*manifest);
    const auto again = parse_manifest(written);
    REQUIRE(again);
    CHECK(manifest_json(*again) == written);
    REQUIRE(again->sources.size() == 1);
    CHECK(again->sources[0].number == 2);
    CHECK(again->sources[0].licence == "MIT");
    CHECK(again->sources[0].unused == std::vector<std::string>{"predictions/kernel"});
    manifest->sources[0].number = 9;
    CHECK(has(parse_manifest(manifest_json(*manifest)).error().message, "that no preset has"));
    manifest->sources[0] = {"xception", 1, "a.h5", "Keras HDF5", "abc", "MIT", {}};
    CHECK(has(parse_manifest(manifest_json(*manifest)).error().message, "64 hexadecimal digits"));
}

TEST_CASE("Imported weights go only where the preset has the whole network") {
    Preset preset = find_preset("scaled_scopeformer_2021").value();
    CHECK(places_of(preset, "xception", 0).value() == std::vector<std::size_t>{0, 1, 2, 3});
    CHECK(places_of(preset, "xception", 3).value() == std::vector<std::size_t>{2});
    CHECK(has(places_of(preset, "xception", 5).error().message, "--copy is from 1 to 4"));
    CHECK(has(places_of(preset, "densenet201", 0).error().message, "has no backbone densenet201"));
    preset.backbones[1].depth = 0.5;
    CHECK(places_of(preset, "xception", 1));
    CHECK(has(places_of(preset, "xception", 0).error().message, "narrowed"));
}
