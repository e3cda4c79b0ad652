#include "ml/torch/backbones.h"

#include <cmath>
#include <vector>

#include <fmt/format.h>

namespace scopenode::ml {
namespace {

/// `channels` of the published network times the preset's width, to a multiple of 8.
class Scale {
  public:
    explicit Scale(const BackbonePreset& preset) : width_(preset.width), depth_(preset.depth) {}
    std::int64_t channels(std::int64_t published) const {
        if (width_ == 1) return published;
        return std::max<std::int64_t>(8, std::llround(double(published) * width_ / 8) * 8);
    }
    /// Inner widening of an inverted bottleneck: at 128 x 128 pixels it costs a narrow network most of its
    /// time.
    int expansion(int published) const {
        return width_ >= 1 ? published : std::max(2, int(std::lround(published * std::sqrt(width_))));
    }
    int blocks(int published) const { return std::max(1, int(std::lround(published * depth_))); }

  private:
    double width_, depth_;
};

bool starts_with_any(const std::string& text, std::initializer_list<const char*> heads) {
    for (const char* head : heads)
        if (text.rfind(head, 0) == 0) return true;
    return false;
}

/// For a norm's output, which nothing else reads.
Tensor relu_in_place(const Tensor& fresh) {
    return fresh.relu_();
}

Tensor to_plus_minus_one(const Tensor& images) {
    return images * 2 - 1;
}

Tensor by_imagenet_statistics(const Tensor& images) {
    const auto mean = torch::tensor({0.485f, 0.456f, 0.406f}).view({1, 3, 1, 1}).to(images.options());
    const auto deviation = torch::tensor({0.229f, 0.224f, 0.225f}).view({1, 3, 1, 1}).to(images.options());
    return (images - mean) / deviation;
}

/// 3x3, stride 2, behind one ring of zeros.
Tensor pool_with_zeros(const Tensor& x) {
    return torch::max_pool2d(torch::constant_pad_nd(x, {1, 1, 1, 1}, 0), {3, 3}, {2, 2});
}

/// Depthwise 3x3 then 1x1, nothing between.
class SeparableConv final : public torch::nn::Module {
  public:
    SeparableConv(std::int64_t in, std::int64_t out)
        : depthwise_(
              register_module("depthwise", std::make_shared<Conv>(ConvOptions{in, in, 3, 1, false, in}))),
          pointwise_(register_module("pointwise", std::make_shared<Conv>(ConvOptions{in, out}))) {}
    Tensor forward(const Tensor& x) { return pointwise_->forward(depthwise_->forward(x)); }
    const std::shared_ptr<Conv>& pointwise() const { return pointwise_; }

  private:
    std::shared_ptr<Conv> depthwise_, pointwise_;
};

class Xception final : public Backbone {
  public:
    explicit Xception(const Scale& scale) {
        const std::int64_t stem = scale.channels(32), stem_out = scale.channels(64);
        const auto conv1 = conv("block1_conv1", {3, stem, 3, 2, false, 1, 0});
        const auto norm1 = norm_of(conv1, "block1_conv1_bn");
        const auto conv2 = conv("block1_conv2", {stem, stem_out, 3, 1, false, 1, 0});
        const auto norm2 = norm_of(conv2, "block1_conv2_bn");
        add_step("block1_", [=](const Tensor& images) {
            const Tensor x = relu_in_place(norm1->forward(conv1->forward(images)));
            return relu_in_place(norm2->forward(conv2->forward(x)));
        });
        std::int64_t width = stem_out;
        for (int b = 0; b < 3; ++b) {
            const std::int64_t out = scale.channels(std::vector<std::int64_t>{128, 256, 728}[std::size_t(b)]);
            add_block(fmt::format("block{}", b + 2), {width, out, out}, true, b > 0);
            width = out;
        }
        const int middle = scale.blocks(8);
        for (int b = 0; b < middle; ++b)
            add_block(fmt::format("block{}", b + 5), {width, width, width, width}, false, true);
        const std::int64_t exit = scale.channels(1024);
        add_block("block13", {width, width, exit}, true, true);
        const Block last = make_block("block14", {exit, scale.channels(1536), scale.channels(2048)}, false);
        add_step("block14_", [last](Tensor x) {
            for (const Step& step : last.steps) x = relu_in_place(step.norm->forward(step.conv->forward(x)));
            return x;
        });
        channels_ = scale.channels(2048);
    }

  private:
    struct Step {
        std::shared_ptr<SeparableConv> conv;
        std::shared_ptr<BatchNorm> norm;
    };
    struct Block {
        std::vector<Step> steps;
        std::shared_ptr<Conv> skip;
        std::shared_ptr<BatchNorm> skip_norm;
        bool leading_relu = true;
    };

    bool in_top(const std::string& layer) const override {
        return starts_with_any(layer, {"block11_", "block12_", "block13_", "block14_"});
    }
    Tensor normalise(const Tensor& images) const override { return to_plus_minus_one(images); }

    Block make_block(const std::string& name, const std::vector<std::int64_t>& widths, bool shrink) {
        Block block;
        if (shrink) {
            block.skip = conv(name + "_skip", {widths.front(), widths.back(), 1, 2});
            block.skip_norm = norm_of(block.skip, name + "_skip_bn");
        }
        for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
            const std::string step = fmt::format("{}_sepconv{}", name, i + 1);
            const auto separable =
                register_module(step, std::make_shared<SeparableConv>(widths[i], widths[i + 1]));
            block.steps.push_back({separable, norm_of(separable->pointwise(), step + "_bn")});
        }
        return block;
    }

    void add_block(const std::string& name, const std::vector<std::int64_t>& widths, bool shrink,
                   bool leading_relu) {
        Block block = make_block(name, widths, shrink);
        block.leading_relu = leading_relu;
        add_step(name + "_", [block](const Tensor& x) { return run(block, x); });
    }

    static Tensor run(const Block& block, const Tensor& x) {
        Tensor y = x;
        for (std::size_t i = 0; i < block.steps.size(); ++i) {
            if (i > 0)
                y = relu_in_place(y);
            else if (block.leading_relu)
                y = torch::relu(y);
            y = block.steps[i].norm->forward(block.steps[i].conv->forward(y));
        }
        if (!block.skip) return x + y;
        return max_pool_same(y, 3, 2) + block.skip_norm->forward(block.skip->forward(x));
    }
};

class EfficientNetB5 final : public Backbone {
  public:
    explicit EfficientNetB5(const Scale& scale) {
        struct Stage {
            int kernel, stride, expand, out, repeats;
        };
        constexpr Stage kStages[] = {{3, 1, 1, 24, 3},  {3, 2, 6, 40, 5},  {5, 2, 6, 64, 5},
                                     {3, 2, 6, 128, 7}, {5, 1, 6, 176, 7}, {5, 2, 6, 304, 9},
                                     {3, 1, 6, 512, 3}};
        std::int64_t width = scale.channels(48);
        add_swish_step("stem_", conv("stem_conv", {3, width, 3, 2}));
        for (int s = 0; s < 7; ++s) {
            const Stage& stage = kStages[s];
            const std::int64_t out = scale.channels(stage.out);
            const int repeats = scale.blocks(stage.repeats);
            for (int r = 0; r < repeats; ++r) {
                const std::string name = fmt::format("block{}{}_", s + 1, char('a' + r));
                add_block(name, width, out, stage.kernel, r == 0 ? stage.stride : 1,
                          stage.expand == 1 ? 1 : scale.expansion(stage.expand));
                width = out;
            }
        }
        channels_ = scale.channels(2048);
        add_swish_step("top_", conv("top_conv", {width, channels_}));
    }

    /// Mean, variance and count of its Normalization layer.
    std::int64_t keras_constants() const override { return 7; }

  private:
    struct Block {
        std::shared_ptr<Conv> expand, depthwise, reduce, excite, project;
        std::shared_ptr<BatchNorm> expand_norm, depthwise_norm, project_norm;
        bool residual = false;
    };

    bool in_top(const std::string& layer) const override {
        return starts_with_any(layer, {"block6", "block7", "top_"});
    }
    Tensor normalise(const Tensor& images) const override { return by_imagenet_statistics(images); }

    /// Convolution, norm, swish.
    void add_swish_step(const std::string& name, const std::shared_ptr<Conv>& layer) {
        const auto norm = norm_of(layer, name + "bn");
        add_step(name, [=](const Tensor& x) { return torch::silu(norm->forward(layer->forward(x))); });
    }

    void add_block(const std::string& name, std::int64_t in, std::int64_t out, int kernel, int stride,
                   int ratio) {
        Block block;
        const std::int64_t wide = in * ratio;
        if (ratio != 1) {
            block.expand = conv(name + "expand_conv", {in, wide});
            block.expand_norm = norm_of(block.expand, name + "expand_bn");
        }
        block.depthwise = conv(name + "dwconv", {wide, wide, kernel, stride, false, wide});
        block.depthwise_norm = norm_of(block.depthwise, name + "bn");
        const std::int64_t squeezed = std::max<std::int64_t>(1, in / 4);
        block.reduce = conv(name + "se_reduce", {wide, squeezed, 1, 1, true});
        block.excite = conv(name + "se_expand", {squeezed, wide, 1, 1, true});
        block.project = conv(name + "project_conv", {wide, out});
        block.project_norm = norm_of(block.project, name + "project_bn");
        block.residual = stride == 1 && in == out;
        add_step(name, [block](const Tensor& x) { return run(block, x); });
    }

    static Tensor run(const Block& block, const Tensor& x) {
        Tensor y = x;
        if (block.expand) y = torch::silu(block.expand_norm->forward(block.expand->forward(y)));
        y = torch::silu(block.depthwise_norm->forward(block.depthwise->forward(y)));
        const Tensor squeezed = torch::silu(block.reduce->forward(y.mean({2, 3}, true)));
        y = y * torch::sigmoid(block.excite->forward(squeezed));
        y = block.project_norm->forward(block.project->forward(y));
        return block.residual ? x + y : y;
    }
};

/// The TF-slim layout: a stack strides in its last block, and the last stack does not stride.
class ResNet152V2 final : public Backbone {
  public:
    explicit ResNet152V2(const Scale& scale) {
        eps_ = 1.001e-5;
        std::int64_t width = scale.channels(64);
        const auto stem = conv("conv1_conv", {3, width, 7, 2, true, 1, 3});
        // No normalisation stands before this pool, so it sees negative values: its padding of zeros shows.
        add_step("conv1_", [stem](const Tensor& x) { return pool_with_zeros(stem->forward(x)); });
        constexpr int kRepeats[] = {3, 8, 36, 3};
        for (int s = 0; s < 4; ++s) {
            const std::int64_t inner = scale.channels(64 << s), out = scale.channels(256 << s);
            const int repeats = scale.blocks(kRepeats[s]);
            for (int r = 0; r < repeats; ++r) {
                const int stride = s < 3 && r == repeats - 1 ? 2 : 1;
                add_block(fmt::format("conv{}_block{}_", s + 2, r + 1), width, inner, out, stride, r == 0);
                width = out;
            }
        }
        const auto post = norm("post_bn", width);
        add_step("post_bn", [post](const Tensor& x) { return relu_in_place(post->forward(x)); });
        channels_ = width;
    }

  private:
    struct Block {
        std::shared_ptr<BatchNorm> preact, norm1, norm2;
        std::shared_ptr<Conv> shortcut, conv1, conv2, conv3;
        int stride = 1;
    };

    bool in_top(const std::string& layer) const override {
        int block = 0;
        if (std::sscanf(layer.c_str(), "conv4_block%d_", &block) == 1) return block >= 25;
        return starts_with_any(layer, {"conv5_", "post_bn"});
    }
    Tensor normalise(const Tensor& images) const override { return to_plus_minus_one(images); }

    void add_block(const std::string& name, std::int64_t in, std::int64_t inner, std::int64_t out, int stride,
                   bool with_shortcut) {
        Block block;
        block.stride = stride;
        block.preact = norm(name + "preact_bn", in);
        if (with_shortcut) block.shortcut = conv(name + "0_conv", {in, out, 1, stride, true});
        block.conv1 = conv(name + "1_conv", {in, inner});
        block.norm1 = norm_of(block.conv1, name + "1_bn");
        block.conv2 = conv(name + "2_conv", {inner, inner, 3, stride, false, 1, 1});
        block.norm2 = norm_of(block.conv2, name + "2_bn");
        block.conv3 = conv(name + "3_conv", {inner, out, 1, 1, true});
        add_step(name, [block](const Tensor& x) { return run(block, x); });
    }

    static Tensor run(const Block& block, const Tensor& x) {
        using torch::indexing::None;
        using torch::indexing::Slice;
        const Tensor active = relu_in_place(block.preact->forward(x));
        Tensor shortcut = x;
        if (block.shortcut)
            shortcut = block.shortcut->forward(active);
        else if (block.stride > 1)
            shortcut =
                x.index({Slice(), Slice(), Slice(None, None, block.stride), Slice(None, None, block.stride)});
        Tensor y = relu_in_place(block.norm1->forward(block.conv1->forward(active)));
        y = relu_in_place(block.norm2->forward(block.conv2->forward(y)));
        return shortcut + block.conv3->forward(y);
    }
};

class DenseNet201 final : public Backbone {
  public:
    explicit DenseNet201(const Scale& scale) {
        eps_ = 1.001e-5;
        const std::int64_t growth = scale.channels(32);
        std::int64_t width = scale.channels(64);
        const auto stem = conv("conv1_conv", {3, width, 7, 2, false, 1, 3});
        const auto stem_norm = norm_of(stem, "conv1_bn");
        add_step("conv1_", [=](const Tensor& x) {
            return pool_with_zeros(relu_in_place(stem_norm->forward(stem->forward(x))));
        });
        constexpr int kRepeats[] = {6, 12, 48, 32};
        for (int s = 0; s < 4; ++s) {
            const int repeats = scale.blocks(kRepeats[s]);
            for (int r = 0; r < repeats; ++r) {
                add_layer(fmt::format("conv{}_block{}_", s + 2, r + 1), width, growth);
                width += growth;
            }
            if (s == 3) break;
            add_transition(fmt::format("pool{}_", s + 2), width);
            width /= 2;
        }
        const auto last = norm("bn", width);
        add_step("bn", [last](const Tensor& x) { return relu_in_place(last->forward(x)); });
        channels_ = width;
    }

  private:
    bool in_top(const std::string& layer) const override {
        return layer == "bn" || starts_with_any(layer, {"conv5_"});
    }
    Tensor normalise(const Tensor& images) const override { return by_imagenet_statistics(images); }

    void add_layer(const std::string& name, std::int64_t width, std::int64_t growth) {
        const auto norm1 = norm(name + "0_bn", width);
        const auto conv1 = conv(name + "1_conv", {width, 4 * growth});
        const auto norm2 = norm_of(conv1, name + "1_bn");
        const auto conv2 = conv(name + "2_conv", {4 * growth, growth, 3, 1, false, 1, 1});
        add_step(name, [=](const Tensor& x) {
            const Tensor y = conv1->forward(relu_in_place(norm1->forward(x)));
            return torch::cat({x, conv2->forward(relu_in_place(norm2->forward(y)))}, 1);
        });
    }

    void add_transition(const std::string& name, std::int64_t width) {
        const auto before = norm(name + "bn", width);
        const auto shrink = conv(name + "conv", {width, width / 2});
        add_step(name, [=](const Tensor& x) {
            return torch::avg_pool2d(shrink->forward(relu_in_place(before->forward(x))), {2, 2}, {2, 2});
        });
    }
};

}  // namespace

Tensor Backbone::forward(const Tensor& images) {
    const auto type = parameters().front().scalar_type();
    Tensor x = normalise(images).to(type);
    for (const Step& step : steps_) {
        const torch::AutoGradMode gradients(torch::GradMode::is_enabled() && (step.top || !frozen_));
        x = step.run(x);
    }
    return x;
}

void Backbone::freeze_lower_part() {
    frozen_ = true;
    for (const auto& layer : named_children())
        if (!in_top(layer.key()))
            for (auto& parameter : layer.value()->parameters()) parameter.set_requires_grad(false);
    train(is_training());
}

void Backbone::train(bool on) {
    torch::nn::Module::train(on);
    if (!frozen_) return;
    for (const auto& layer : named_children())
        if (!in_top(layer.key())) layer.value()->train(false);
}

void Backbone::fold_norms() {
    for (auto& [conv, norm] : pairs_) norm->fold_into(*conv);
    pairs_.clear();
}

Result<std::shared_ptr<Backbone>> make_backbone(const BackbonePreset& preset) {
    const Scale scale(preset);
    std::shared_ptr<Backbone> made;
    if (preset.name == "xception") made = std::make_shared<Xception>(scale);
    if (preset.name == "efficientnet_b5") made = std::make_shared<EfficientNetB5>(scale);
    if (preset.name == "resnet152v2") made = std::make_shared<ResNet152V2>(scale);
    if (preset.name == "densenet201") made = std::make_shared<DenseNet201>(scale);
    if (!made) return fail(Code::kInvalidArgument, "no backbone is called '{}'", preset.name);
    if (preset.training == BackboneTraining::kTop) made->freeze_lower_part();
    return made;
}

}  // namespace scopenode::ml
