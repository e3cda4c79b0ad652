#include "tests/support/weights/networks.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace scopenode::test {
namespace {

class Builder {
  public:
    explicit Builder(int narrow) : narrow_(narrow) {}

    void conv(const std::string& keras, const std::string& torch, int in, int out, int kernel,
              bool bias = false, const std::string& ours = "") {
        layer_ = ours.empty() ? flat(keras) : ours;
        keras_ = keras;
        torch_ = torch;
        add("weight", "kernel", {few(out), few(in), kernel, kernel});
        if (bias) add("bias", "bias", {few(out)});
    }
    void depthwise(const std::string& keras, const std::string& torch, int channels, int kernel) {
        layer_ = keras_ = keras;
        torch_ = torch;
        add("weight", "depthwise_kernel", {few(channels), 1, kernel, kernel}, true);
    }
    void separable(const std::string& keras, const std::string& torch, int in, int out) {
        layer_ = keras_ = keras;
        torch_ = torch;
        add("depthwise.weight", "depthwise_kernel", {few(in), 1, 3, 3}, true);
        tensors.back().torch = torch + ".conv1.weight";
        add("pointwise.weight", "pointwise_kernel", {few(out), few(in), 1, 1});
    }
    void norm(const std::string& keras, const std::string& torch, int channels,
              const std::string& ours = "") {
        layer_ = ours.empty() ? flat(keras) : ours;
        keras_ = keras;
        torch_ = torch;
        add("weight", "gamma", {few(channels)});
        add("bias", "beta", {few(channels)});
        add("running_mean", "moving_mean", {few(channels)});
        add("running_var", "moving_variance", {few(channels)});
    }

    std::vector<NetworkTensor> tensors;

  private:
    static std::string flat(std::string name) {
        std::replace(name.begin(), name.end(), '/', '_');
        return name;
    }
    std::int64_t few(int channels) const {
        return channels <= 3 ? channels : (channels + narrow_ - 1) / narrow_;
    }
    void add(const std::string& part, const std::string& keras, std::vector<std::int64_t> shape,
             bool depthwise = false) {
        tensors.push_back({layer_ + "." + part, std::move(shape), keras_, keras, depthwise,
                           torch_.empty() ? "" : torch_ + "." + part});
    }

    int narrow_;
    std::string layer_, keras_, torch_;
};

void xception(Builder& b) {
    b.conv("block1_conv1", "conv1", 3, 32, 3);
    b.norm("block1_conv1_bn", "bn1", 32);
    b.conv("block1_conv2", "conv2", 32, 64, 3);
    b.norm("block1_conv2_bn", "bn2", 64);
    int in = 64, skip = 0;
    const auto unnamed = [&](const char* name) {
        return skip == 0 ? name : fmt::format("{}_{}", name, skip);
    };
    for (int block = 2; block <= 13; ++block) {
        const bool shrinks = block <= 4 || block == 13;
        const int out = block == 2 ? 128 : block == 3 ? 256 : block == 13 ? 1024 : 728;
        const int steps = shrinks ? 2 : 3;
        for (int step = 1; step <= steps; ++step) {
            const int from = step == 1     ? in
                             : block == 13 ? 728
                                           : out,
                      to = block == 13 && step == 1 ? 728 : out;
            const std::string keras = fmt::format("block{}_sepconv{}", block, step);
            const int at = (step - 1) * 3 + (block == 2 ? 0 : 1);
            b.separable(keras, fmt::format("block{}.rep.{}", block - 1, at), from, to);
            b.norm(keras + "_bn", fmt::format("block{}.rep.{}", block - 1, at + 1), to);
        }
        if (shrinks) {
            const std::string ours = fmt::format("block{}_skip", block),
                              torch = fmt::format("block{}.skip", block - 1);
            b.conv(unnamed("conv2d"), torch, in, out, 1, false, ours);
            b.norm(unnamed("batch_normalization"), torch + "bn", out, ours + "_bn");
            ++skip;
        }
        in = out;
    }
    b.separable("block14_sepconv1", "conv3", 1024, 1536);
    b.norm("block14_sepconv1_bn", "bn3", 1536);
    b.separable("block14_sepconv2", "conv4", 1536, 2048);
    b.norm("block14_sepconv2_bn", "bn4", 2048);
}

void efficientnet_block(Builder& b, int stage, int repeat, int in, int out, int kernel) {
    const std::string keras = fmt::format("block{}{}_", stage, char('a' + repeat));
    const std::string torch = fmt::format("blocks.{}.{}.", stage - 1, repeat);
    const int wide = stage == 1 ? in : in * 6;
    const bool expands = stage != 1;
    if (expands) {
        b.conv(keras + "expand_conv", torch + "conv_pw", in, wide, 1);
        b.norm(keras + "expand_bn", torch + "bn1", wide);
    }
    b.depthwise(keras + "dwconv", torch + "conv_dw", wide, kernel);
    b.norm(keras + "bn", torch + (expands ? "bn2" : "bn1"), wide);
    b.conv(keras + "se_reduce", torch + "se.conv_reduce", wide, in / 4, 1, true);
    b.conv(keras + "se_expand", torch + "se.conv_expand", in / 4, wide, 1, true);
    b.conv(keras + "project_conv", torch + (expands ? "conv_pwl" : "conv_pw"), wide, out, 1);
    b.norm(keras + "project_bn", torch + (expands ? "bn3" : "bn2"), out);
}

void efficientnet(Builder& b) {
    b.conv("stem_conv", "conv_stem", 3, 48, 3);
    b.norm("stem_bn", "bn1", 48);
    const struct {
        int kernel, out, repeats;
    } stages[] = {{3, 24, 3}, {3, 40, 5}, {5, 64, 5}, {3, 128, 7}, {5, 176, 7}, {5, 304, 9}, {3, 512, 3}};
    int in = 48;
    for (int s = 0; s < 7; ++s)
        for (int r = 0; r < stages[s].repeats; ++r) {
            efficientnet_block(b, s + 1, r, in, stages[s].out, stages[s].kernel);
            in = stages[s].out;
        }
    b.conv("top_conv", "conv_head", 512, 2048, 1);
    b.norm("top_bn", "bn2", 2048);
}

void resnet(Builder& b) {
    b.conv("conv1_conv", "", 3, 64, 7, true);
    const int repeats[] = {3, 8, 36, 3};
    int in = 64;
    for (int s = 0; s < 4; ++s)
        for (int r = 1; r <= repeats[s]; ++r) {
            const int inner = 64 << s, out = inner * 4;
            const std::string keras = fmt::format("conv{}_block{}_", s + 2, r);
            b.norm(keras + "preact_bn", "", in);
            b.conv(keras + "1_conv", "", in, inner, 1);
            b.norm(keras + "1_bn", "", inner);
            b.conv(keras + "2_conv", "", inner, inner, 3);
            b.norm(keras + "2_bn", "", inner);
            if (r == 1) b.conv(keras + "0_conv", "", in, out, 1, true);
            b.conv(keras + "3_conv", "", inner, out, 1, true);
            in = out;
        }
    b.norm("post_bn", "", 2048);
}

void densenet(Builder& b) {
    b.conv("conv1/conv", "features.conv0", 3, 64, 7);
    b.norm("conv1/bn", "features.norm0", 64);
    const int repeats[] = {6, 12, 48, 32};
    int in = 64;
    for (int s = 0; s < 4; ++s) {
        for (int r = 1; r <= repeats[s]; ++r) {
            const std::string keras = fmt::format("conv{}_block{}_", s + 2, r);
            const std::string torch = fmt::format("features.denseblock{}.denselayer{}.", s + 1, r);
            b.norm(keras + "0_bn", torch + "norm1", in);
            b.conv(keras + "1_conv", torch + "conv1", in, 128, 1);
            b.norm(keras + "1_bn", torch + "norm2", 128);
            b.conv(keras + "2_conv", torch + "conv2", 128, 32, 3);
            in += 32;
        }
        if (s == 3) break;
        const std::string keras = fmt::format("pool{}_", s + 2),
                          torch = fmt::format("features.transition{}.", s + 1);
        b.norm(keras + "bn", torch + "norm", in);
        b.conv(keras + "conv", torch + "conv", in, in / 2, 1);
        in /= 2;
    }
    b.norm("bn", "features.norm5", 1920);
}

double uniform(std::uint32_t x) {
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    x ^= x >> 16;
    return double(x >> 8) / double(1U << 24);
}

}  // namespace

std::vector<NetworkTensor> network_tensors(const std::string& backbone, int narrow) {
    Builder builder(narrow);
    if (backbone == "xception") xception(builder);
    if (backbone == "efficientnet_b5") efficientnet(builder);
    if (backbone == "resnet152v2") resnet(builder);
    if (backbone == "densenet201") densenet(builder);
    return std::move(builder.tensors);
}

float distinct_value(const NetworkTensor&, std::size_t index, std::size_t position) {
    constexpr std::size_t kMostPositions = 16'384;
    return float(index * kMostPositions + position);
}

float formula_value(const NetworkTensor& tensor, std::size_t, std::size_t position) {
    std::uint32_t seed = 2166136261U;
    for (const char c : tensor.torch)
        seed = (seed ^ std::uint32_t(static_cast<unsigned char>(c))) * 16777619U;
    const double u = uniform(seed + std::uint32_t(position));
    if (tensor.shape.size() == 4)
        return float((2 * u - 1) *
                     std::sqrt(6 / double(tensor.shape[1] * tensor.shape[2] * tensor.shape[3])));
    if (tensor.ours.ends_with(".running_var")) return float(0.8 + 0.4 * u);
    if (tensor.ours.ends_with(".weight")) return float(0.9 + 0.2 * u);
    return float(0.1 * (2 * u - 1));
}

float formula_pixel(std::size_t position) {
    return float(uniform(std::uint32_t(position)));
}

}  // namespace scopenode::test
