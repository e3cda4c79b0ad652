// The networks beside an implementation that shares no code with them: keras_reference.py, plain numpy.
#define DOCTEST_CONFIG_NO_SHORT_MACRO_NAMES
#include <cstdlib>
#include <filesystem>

#include "base/core/files.h"
#include "ml/backbone.h"
#include "ml/safetensors.h"
#include "ml/torch/encoder.h"
#include "ml/weights/image_file.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::ml;

namespace {

FloatTensor plain(const std::string& name, const Tensor& tensor) {
    const Tensor flat = tensor.detach().to(torch::kFloat32).contiguous();
    return {name, flat.sizes().vec(), {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()}};
}

Tensor tensor_of(const FloatTensor& tensor) {
    return torch::from_blob(const_cast<float*>(tensor.values.data()), tensor.shape, torch::kFloat32).clone();
}

/// Runs the reference on `inputs`; gives its one tensor.
Tensor reference(const std::string& name, const std::vector<FloatTensor>& inputs) {
    const TemporaryFolder folder;
    const auto in = folder.path() / "in.safetensors", out = folder.path() / "out.safetensors";
    DOCTEST_REQUIRE(write_file(real_files(), in, tensor_file(inputs)));
    const std::string command = fmt::format("/usr/bin/python3 {}/tests/unit/ml/keras_reference.py {} {} {}",
                                            SCOPENODE_SOURCE_DIR, name, in.string(), out.string());
    DOCTEST_REQUIRE(std::system(command.c_str()) == 0);
    const auto bytes = read_file(out);
    DOCTEST_REQUIRE(bytes);
    const auto parsed = parse_safetensors(*bytes, "reference");
    DOCTEST_REQUIRE(parsed);
    const TensorBytes& t = parsed->front();
    return torch::from_blob(const_cast<char*>(t.bytes.data()), t.shape, torch::kFloat32).clone();
}

double relative_difference(const Tensor& a, const Tensor& b) {
    return ((a - b).to(torch::kDouble).norm() / b.to(torch::kDouble).norm()).item<double>();
}

/// Weights that keep values in range through a hundred layers, with norms that do something.
std::vector<FloatTensor> random_weights(const BackbonePreset& backbone) {
    const auto shapes = backbone_tensors(backbone);
    DOCTEST_REQUIRE(shapes);
    std::vector<FloatTensor> weights;
    for (const TensorShape& t : *shapes) {
        const auto ends = [&](const char* part) { return t.name.ends_with(part); };
        Tensor values = torch::randn(t.shape);
        if (ends("running_var"))
            values = torch::rand(t.shape) + 0.5;
        else if (t.shape.size() == 1 && ends(".weight"))
            values = torch::rand(t.shape) * 0.5 + 0.5;
        else if (t.shape.size() == 1)
            values = values * 0.1;
        else
            values = values * std::sqrt(2.0 / double(t.shape[1] * t.shape[2] * t.shape[3]));
        weights.push_back(plain(t.name, values));
    }
    return weights;
}

}  // namespace

DOCTEST_TEST_CASE("The four CNNs give what a numpy implementation of Keras gives") {
    for (const char* name : {"xception", "efficientnet_b5", "resnet152v2", "densenet201"}) {
        DOCTEST_CAPTURE(name);
        torch::manual_seed(11);
        const BackbonePreset backbone{name};
        auto weights = random_weights(backbone);
        // Not square, so that rows and columns cannot be taken for each other; odd sizes come inside.
        const FloatTensor image = plain("image", torch::rand({1, 3, 96, 64}));
        const auto ours = run_backbone(backbone, weights, image);
        DOCTEST_REQUIRE(ours);
        weights.push_back(image);
        const Tensor theirs = reference(name, weights);
        DOCTEST_REQUIRE(theirs.sizes() == torch::IntArrayRef(ours->shape));
        DOCTEST_CHECK(theirs.std().item<double>() > 1e-3);
        DOCTEST_CHECK(relative_difference(tensor_of(*ours), theirs) < 1e-4);
    }
}

DOCTEST_TEST_CASE("Attention and re-attention are the paper's Eq. 1 and 2") {
    struct Case {
        Attention attention;
        ReattentionMode mode;
    };
    for (const Case& c :
         {Case{Attention::kMhsa, ReattentionMode::kStable}, Case{Attention::kMhra, ReattentionMode::kStable},
          Case{Attention::kMhra, ReattentionMode::kFidelity}}) {
        torch::manual_seed(12);
        Preset preset;
        preset.token_width = 24;
        preset.heads = 6;
        preset.head_dim = 8;
        preset.attention = c.attention;
        preset.reattention = c.mode;
        constexpr int kTokens = 10;
        AttentionLayer layer(preset, kTokens);
        initialise_all(layer);
        const torch::NoGradGuard no_grad;
        const Tensor x = torch::randn({2, kTokens, preset.token_width});
        std::vector<FloatTensor> inputs{plain("x", x), plain("heads", torch::tensor({6.F}))};
        for (const auto& item : layer.named_parameters()) {
            item.value().uniform_(-0.5, 0.5);
            static const std::map<std::string, std::string> kNames{
                {"qkv.weight", "qkv"},    {"out.weight", "out"},    {"out.bias", "out_bias"},
                {"mix", "mix"},           {"mix_bias", "mix_bias"}, {"mix_norm.weight", "gamma"},
                {"mix_norm.bias", "beta"}};
            inputs.push_back(plain(kNames.at(item.key()), item.value()));
        }
        if (c.attention == Attention::kMhra) {
            layer.mix_norm->running_mean.uniform_(-0.5, 0.5);
            layer.mix_norm->running_var.uniform_(0.5, 1.5);
            inputs.push_back(plain("mean", layer.mix_norm->running_mean));
            inputs.push_back(plain("var", layer.mix_norm->running_var));
            inputs.push_back(
                plain("scale", torch::tensor({c.mode == ReattentionMode::kStable ? float(kTokens) : 1.F})));
        }
        layer.eval();
        DOCTEST_CHECK(relative_difference(layer.forward(x), reference("attention", inputs)) < 1e-5);
    }
}
