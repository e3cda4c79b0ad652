// Torch's glog macros take the short names, so this file uses doctest's long ones.
#define DOCTEST_CONFIG_NO_SHORT_MACRO_NAMES
#include <cmath>
#include <random>

#include "base/core/ids.h"
#include "ml/torch/backbones.h"
#include "ml/torch/encoder.h"
#include "ml/torch/scopeformer.h"
#include "tests/unit/ml/nano_files.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::ml;

namespace {

long count(const std::vector<Tensor>& tensors) {
    long total = 0;
    for (const Tensor& tensor : tensors) total += long(tensor.numel());
    return total;
}

std::shared_ptr<Scopeformer> nano(std::uint64_t seed) {
    torch::manual_seed(seed);
    at::set_num_threads(1);  // spinning pools of two threads crawl where other programs run
    auto network = make_scopeformer(find_preset("scopeformer_nano").value());
    DOCTEST_REQUIRE(network);
    return *network;
}

double difference(const Tensor& a, const Tensor& b) {
    return (a.to(torch::kDouble) - b.to(torch::kDouble)).abs().max().item<double>();
}

/// Depthwise convolution as a sum of shifted products, in double precision.
Tensor plain_depthwise(const Tensor& x, const Tensor& weight, std::int64_t stride) {
    using torch::indexing::Slice;
    const std::int64_t kernel = weight.size(2);
    const SamePad y = same_pad(x.size(2), kernel, stride), z = same_pad(x.size(3), kernel, stride);
    const Tensor padded = torch::constant_pad_nd(x, {z.before, z.after, y.before, y.after}, 0);
    const std::int64_t rows = (padded.size(2) - kernel) / stride,
                       columns = (padded.size(3) - kernel) / stride;
    Tensor sum = torch::zeros({x.size(0), x.size(1), rows + 1, columns + 1}, x.options());
    for (std::int64_t i = 0; i < kernel; ++i)
        for (std::int64_t j = 0; j < kernel; ++j)
            sum = sum + padded.index({Slice(), Slice(), Slice(i, i + rows * stride + 1, stride),
                                      Slice(j, j + columns * stride + 1, stride)}) *
                            weight.index({Slice(), 0, i, j}).view({1, -1, 1, 1});
    return sum;
}

}  // namespace

const ModelFiles& test::nano_files() {
    static const ModelFiles kFiles = [] {
        ModelFiles files;
        files.where = "random";
        files.weights = save_weights(*nano(3));
        Manifest manifest;
        manifest.preset = find_preset("scopeformer_nano").value();
        manifest.name = "Random";
        manifest.weights_sha256 = sha256_hex(files.weights);
        files.manifest_json = manifest_json(manifest);
        return files;
    }();
    return kFiles;
}

DOCTEST_TEST_CASE("Backbones have Keras' parameters and shapes") {
    struct Expected {
        const char* name;
        long trainable, statistics, channels;
    };
    for (const Expected& e : {Expected{"xception", 20'806'952, 54'528, 2048},
                              Expected{"efficientnet_b5", 28'340'784, 172'736, 2048},
                              Expected{"resnet152v2", 58'187'904, 143'744, 2048},
                              Expected{"densenet201", 18'092'928, 229'056, 1920}}) {
        const auto backbone = make_backbone({e.name, 1, 1});
        DOCTEST_REQUIRE(backbone);
        DOCTEST_CHECK(count((*backbone)->parameters()) == e.trainable);
        DOCTEST_CHECK(count((*backbone)->buffers()) == e.statistics);
        const torch::NoGradGuard no_grad;
        (*backbone)->eval();
        for (const std::int64_t size : {256, 512}) {
            const auto shape = (*backbone)->forward(torch::zeros({0, 3, size, size})).sizes().vec();
            DOCTEST_CHECK(shape == std::vector<std::int64_t>{0, e.channels, size / 32, size / 32});
        }
    }
    DOCTEST_CHECK_FALSE(make_backbone({"vgg", 1, 1}));
}

DOCTEST_TEST_CASE("Padding is TensorFlow's") {
    struct Row {
        std::int64_t size, kernel, stride, before, after;
    };
    for (const Row& row :
         {Row{256, 3, 2, 0, 1}, Row{128, 5, 2, 1, 2}, Row{125, 3, 2, 1, 1}, Row{63, 3, 2, 1, 1},
          Row{32, 3, 2, 0, 1}, Row{16, 3, 2, 0, 1}, Row{16, 3, 1, 1, 1}, Row{16, 1, 2, 0, 0}}) {
        const SamePad pad = same_pad(row.size, row.kernel, row.stride);
        DOCTEST_CHECK(pad.before == row.before);
        DOCTEST_CHECK(pad.after == row.after);
    }
    const Tensor negative = -torch::arange(1, 17, torch::kFloat32).view({1, 1, 4, 4});
    const Tensor pooled = max_pool_same(negative, 3, 2).flatten();
    DOCTEST_CHECK(difference(pooled, torch::tensor({-1.F, -3.F, -9.F, -11.F})) == 0);
}

DOCTEST_TEST_CASE("Narrow depthwise convolutions are right forward and backward") {
    torch::manual_seed(1);
    for (const std::int64_t channels : {8, 16, 24, 48})
        for (const std::int64_t kernel : {3, 5})
            for (const std::int64_t stride : {1, 2}) {
                const Tensor x = torch::randn({2, channels, 17, 16}),
                             w = torch::randn({channels, 1, kernel, kernel});
                const Tensor x1 = x.contiguous(at::MemoryFormat::ChannelsLast).set_requires_grad(true);
                const Tensor x2 = x.to(torch::kDouble).set_requires_grad(true);
                const Tensor w2 = w.to(torch::kDouble).set_requires_grad(true);
                Conv conv({channels, channels, kernel, stride, false, channels});
                {
                    const torch::NoGradGuard no_grad;
                    conv.weight.copy_(w);
                }
                const Tensor y1 = conv.forward(x1), y2 = plain_depthwise(x2, w2, stride);
                DOCTEST_CHECK(difference(y1, y2) < 1e-4);
                const Tensor gradient = torch::randn_like(y1);
                y1.backward(gradient);
                y2.backward(gradient.to(torch::kDouble));
                DOCTEST_CHECK(difference(x1.grad(), x2.grad()) < 1e-4);
                DOCTEST_CHECK(difference(conv.weight.grad(), w2.grad()) < 1e-3);
            }
}

DOCTEST_TEST_CASE("Re-attention with M = I and an inert norm is plain attention") {
    for (const ReattentionMode mode : {ReattentionMode::kStable, ReattentionMode::kFidelity}) {
        torch::manual_seed(2);
        Preset preset;
        preset.heads = 4;
        preset.head_dim = 8;
        preset.reattention = mode;
        AttentionLayer mixed(preset, 20);
        preset.attention = Attention::kMhsa;
        AttentionLayer plain(preset, 20);
        initialise_all(mixed);
        const torch::NoGradGuard no_grad;
        for (const auto& item : plain.named_parameters())
            item.value().copy_(*mixed.named_parameters().find(item.key()));
        mixed.mix.copy_(torch::eye(4));
        mixed.mix_norm->weight.fill_(std::sqrt(1 + 1e-5) / (mode == ReattentionMode::kStable ? 20 : 1));
        mixed.mix_norm->bias.zero_();
        mixed.eval();
        plain.eval();
        const Tensor x = torch::randn({2, 20, 64});
        DOCTEST_CHECK(difference(mixed.forward(x), plain.forward(x)) < 1e-6);
    }
}

DOCTEST_TEST_CASE("Stable re-attention starts at the scale of plain attention") {
    struct Case {
        std::int64_t tokens;
        int width;
    };
    for (const Case& c : {Case{65, 1024}, Case{385, 64}}) {
        torch::manual_seed(4);
        Preset preset;
        preset.token_width = c.width;
        AttentionLayer mixed(preset, c.tokens);
        preset.attention = Attention::kMhsa;
        AttentionLayer plain(preset, c.tokens);
        initialise_all(mixed);
        const torch::NoGradGuard no_grad;
        for (const auto& item : plain.named_parameters())
            item.value().copy_(*mixed.named_parameters().find(item.key()));
        const Tensor x = torch::randn({1, c.tokens, c.width});
        const double ratio = (mixed.forward(x).std() / plain.forward(x).std()).item<double>();
        DOCTEST_CHECK(ratio > 0.3);
        DOCTEST_CHECK(ratio < 5);
    }
}

DOCTEST_TEST_CASE(
    "The network gives six logits a slice and its output depends on every pixel's neighbourhood") {
    const auto network = nano(5);
    const Tensor images = torch::rand({2, 3, 256, 256}).set_requires_grad(true);
    const Tensor logits = network->forward(images);
    DOCTEST_CHECK(logits.sizes().vec() == std::vector<std::int64_t>{2, 6});
    logits.pow(2).sum().backward();
    const Tensor gradient = torch::avg_pool2d(images.grad().abs(), {32, 32}, {32, 32});
    DOCTEST_CHECK(gradient.min().item<double>() > 0);
    for (const auto& item : network->named_parameters())
        DOCTEST_CHECK_MESSAGE(item.value().grad().defined(), item.key());
}

DOCTEST_TEST_CASE("Weights come back bit for bit and a failed load changes nothing") {
    const auto first = nano(6), second = nano(7);
    const std::string a = save_weights(*first), b = save_weights(*second);
    DOCTEST_CHECK(a != b);
    DOCTEST_CHECK(a.size() < 8'000'000);
    DOCTEST_CHECK_FALSE(load_weights(*second, a.substr(0, a.size() - 4), "here"));
    DOCTEST_CHECK(save_weights(*second) == b);
    DOCTEST_REQUIRE(load_weights(*second, a, "here"));
    DOCTEST_CHECK(save_weights(*second) == a);
}

DOCTEST_TEST_CASE("Shrinking averages with a triangle as wide as the reduction") {
    std::mt19937 random(1);
    HuImage image{64, 64, {}};
    for (int i = 0; i < 64 * 64; ++i) image.hu.push_back(float(random() % 200) - 100);
    const Tensor small = resize_hu(image, 32);
    DOCTEST_REQUIRE(small.sizes().vec() == std::vector<std::int64_t>{1, 32, 32});
    constexpr double kWeights[] = {0.125, 0.375, 0.375, 0.125};
    double largest = 0;
    for (int y = 1; y < 31; ++y)
        for (int x = 1; x < 31; ++x) {
            double sum = 0;
            for (int i = 0; i < 4; ++i)
                for (int j = 0; j < 4; ++j)
                    sum += kWeights[i] * kWeights[j] *
                           image.hu[std::size_t((2 * y - 1 + i) * 64 + 2 * x - 1 + j)];
            largest = std::max(largest, std::abs(sum - small[0][y][x].item<double>()));
        }
    DOCTEST_CHECK(largest < 1e-3);
}

DOCTEST_TEST_CASE("Padding counts as air and a slice that is not square keeps its proportions") {
    HuImage image{32, 16, std::vector<float>(32 * 16, 40.F)};
    image.hu[0] = -2000;
    image.hu[1] = std::nanf("");
    image.hu[2] = 30000;
    const Tensor same = resize_hu(image, 32);
    DOCTEST_CHECK(same.min().item<float>() == -1024);
    DOCTEST_CHECK(same.max().item<float>() == 3071);
    DOCTEST_CHECK(same[0][7][16].item<float>() == -1024);
    DOCTEST_CHECK(same[0][8][1].item<float>() == -1024);
    DOCTEST_CHECK(same[0][8][3].item<float>() == 40);
    DOCTEST_CHECK(same[0][23][31].item<float>() == 40);
    DOCTEST_CHECK(same[0][24][16].item<float>() == -1024);
}

DOCTEST_TEST_CASE("Windows map their ends to 0 and 1") {
    const Tensor hu =
        torch::tensor({-1024.F, -150.F, -20.F, 0.F, 40.F, 80.F, 180.F, 230.F, 3071.F}).view({1, 1, 3, 3});
    const Tensor out = apply_windows(hu, {{40, 80}, {80, 200}, {40, 380}}).view({3, 9});
    const Tensor expected =
        torch::tensor({{0.F, 0.F, 0.F, 0.F, 0.5F, 1.F, 1.F, 1.F, 1.F},
                       {0.F, 0.F, 0.F, 0.1F, 0.3F, 0.5F, 1.F, 1.F, 1.F},
                       {0.F, 0.F, 130.F / 380, 150.F / 380, 0.5F, 230.F / 380, 330.F / 380, 1.F, 1.F}});
    DOCTEST_CHECK(difference(out, expected) < 1e-6);
}
