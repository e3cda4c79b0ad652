#include "ml/torch/scopeformer.h"

#include <vector>

#include "ml/labels.h"
#include "ml/torch/backbones.h"
#include "ml/torch/encoder.h"

namespace scopenode::ml {
namespace {

struct TokenShape {
    std::int64_t count = 0;  ///< with the class token
    std::int64_t width = 0;
};

TokenShape token_shape(const Preset& preset) {
    const std::int64_t side = preset.input_size / 32, cells = side * side;
    if (preset.tokens == Tokens::kPatchesCls) return {cells + 1, preset.global_channels};
    return {preset.global_channels + (preset.tokens == Tokens::kChannelsCls ? 1 : 0), cells};
}

class Network final : public Scopeformer {
  public:
    Network(const Preset& preset, const std::vector<std::shared_ptr<Backbone>>& backbones)
        : tokens_(preset.tokens), dropout_(preset.dropout), shape_(token_shape(preset)) {
        const auto share = preset.global_channels / std::int64_t(backbones.size());
        auto cnns = register_module("backbones", torch::nn::ModuleList());
        auto projections = register_module("projections", torch::nn::ModuleList());
        for (const auto& backbone : backbones) {
            cnns->push_back(backbone);
            backbones_.push_back(backbone);
            projections_.push_back(
                std::make_shared<Conv>(ConvOptions{backbone->channels(), share, 1, 1, true}));
            projections->push_back(projections_.back());
        }
        encoder_ = register_module("encoder", std::make_shared<Encoder>(preset, shape_, with_class_token()));
        const std::int64_t width = with_class_token() ? shape_.width : preset.global_channels;
        if (with_class_token())
            hidden_ = register_module("head_hidden", std::make_shared<Dense>(width, width, true));
        head_ = register_module("head", std::make_shared<Dense>(width, std::int64_t(kLabelCount), true));
    }

    std::vector<Tensor> features(const Tensor& images) override {
        // LibTorch 1.13's convolutions of 16 channels or fewer are up to 100 times faster in this layout.
        const Tensor pixels = images.contiguous(at::MemoryFormat::ChannelsLast);
        std::vector<Tensor> maps;
        for (const auto& backbone : backbones_) maps.push_back(backbone->forward(pixels));
        return maps;
    }

    Tensor classify(const std::vector<Tensor>& features, EncoderTrace* trace) override {
        Tensor tokens = projected(features);
        if (tokens_ == Tokens::kPatchesCls) tokens = tokens.transpose(1, 2);
        tokens = encoder_->forward(tokens, trace);
        if (!with_class_token()) return head_->forward(tokens.mean(2));
        const Tensor hidden = torch::gelu(hidden_->forward(tokens.select(1, 0)));
        return head_->forward(torch::dropout(hidden, dropout_, is_training()));
    }

    Tensor summary(const std::vector<Tensor>& features) override {
        const Tensor maps = projected(features);
        return torch::cat({maps.mean(2), maps.std(2, false)}, 1);
    }

    void prepare_inference(bool bfloat16) override {
        for (const auto& backbone : backbones_) {
            backbone->fold_norms();
            if (bfloat16) backbone->to(torch::kBFloat16);
        }
        if (!bfloat16) return;
        for (const auto& projection : projections_) projection->to(torch::kBFloat16);
    }

    const std::vector<std::shared_ptr<Backbone>>& backbones() const { return backbones_; }
    const std::vector<std::shared_ptr<Conv>>& projections() const { return projections_; }

  private:
    /// Class token, positions, blocks and the last norm.
    class Encoder final : public Layer {
      public:
        // The Efficient head averages each channel token over its positions. A LayerNorm over those positions
        // would make every such average equal its offset and lose the image, so this head's last norm takes
        // its statistics over tokens and positions together; scale and offset stay one per position (same
        // count).
        Encoder(const Preset& preset, const TokenShape& shape, bool class_token) : dropout_(preset.dropout) {
            positions_ = register_parameter("positions", torch::empty({1, shape.count, shape.width}));
            if (class_token)
                class_token_ = register_parameter("class_token", torch::empty({1, 1, shape.width}));
            auto blocks = register_module("blocks", torch::nn::ModuleList());
            for (int i = 0; i < preset.blocks; ++i) {
                blocks_.push_back(std::make_shared<EncoderBlock>(preset, shape.count));
                blocks->push_back(blocks_.back());
            }
            norm_ = register_module("norm", std::make_shared<LayerNorm>(shape.width, class_token ? 1 : 2));
        }

        void initialise() override {
            torch::NoGradGuard no_grad;
            positions_.normal_(0, 0.02);
            if (class_token_.defined()) class_token_.zero_();
        }

        Tensor forward(Tensor x, EncoderTrace* trace) {
            if (class_token_.defined()) x = torch::cat({class_token_.expand({x.size(0), -1, -1}), x}, 1);
            x = torch::dropout(x + positions_, dropout_, is_training());
            for (const auto& block : blocks_) {
                if (trace) trace->attention.emplace_back();
                x = block->forward(x, trace ? &trace->attention.back() : nullptr);
                if (trace) trace->blocks.push_back(x);
            }
            return norm_->forward(x);
        }

      private:
        double dropout_;
        Tensor positions_, class_token_;
        std::vector<std::shared_ptr<EncoderBlock>> blocks_;
        std::shared_ptr<LayerNorm> norm_;
    };

    /// N x d x positions.
    Tensor projected(const std::vector<Tensor>& features) {
        std::vector<Tensor> maps;
        for (std::size_t i = 0; i < projections_.size(); ++i)
            maps.push_back(projections_[i]->forward(features[i]).to(torch::kFloat32));
        return torch::cat(maps, 1).flatten(2);
    }

    bool with_class_token() const { return tokens_ != Tokens::kChannels; }

    Tokens tokens_;
    double dropout_;
    TokenShape shape_;
    std::vector<std::shared_ptr<Backbone>> backbones_;
    std::vector<std::shared_ptr<Conv>> projections_;
    std::shared_ptr<Encoder> encoder_;
    std::shared_ptr<Dense> hidden_, head_;
};

Result<std::shared_ptr<Network>> build(const Preset& preset) {
    SCOPENODE_TRY(check_preset(preset));
    std::vector<std::shared_ptr<Backbone>> backbones;
    for (const BackbonePreset& wanted : preset.backbones) {
        SCOPENODE_ASSIGN(auto backbone, make_backbone(wanted));
        backbones.push_back(std::move(backbone));
    }
    return std::make_shared<Network>(preset, backbones);
}

PresetFigures::Cnn cnn_figures(const std::string& name, const Backbone& backbone) {
    PresetFigures::Cnn figures;
    figures.name = name;
    for (const auto& parameter : backbone.parameters()) {
        figures.trainable += parameter.numel();
        if (parameter.requires_grad()) figures.learns += parameter.numel();
    }
    for (const auto& buffer : backbone.buffers()) figures.non_trainable += buffer.numel();
    figures.non_trainable += backbone.keras_constants();
    figures.channels = backbone.channels();
    return figures;
}

}  // namespace

Result<std::shared_ptr<Scopeformer>> make_scopeformer(const Preset& preset) {
    return guard(Code::kInvalidArgument, [&]() -> Result<std::shared_ptr<Scopeformer>> {
        SCOPENODE_ASSIGN(auto network, build(preset));
        initialise_all(*network);
        return network;
    });
}

void measure_norms(Scopeformer& network, int input_size) {
    const torch::NoGradGuard no_grad;
    const bool training = network.is_training();
    network.eval();
    for (const auto& inner : network.modules(false))
        if (auto* norm = dynamic_cast<BatchNorm*>(inner.get())) norm->measure_next();
    network.forward(torch::upsample_bilinear2d(torch::rand({2, 3, 8, 8}), {input_size, input_size}, true));
    network.train(training);
}

Result<PresetFigures> preset_figures(const Preset& preset) {
    return guard(Code::kInvalidArgument, [&]() -> Result<PresetFigures> {
        SCOPENODE_ASSIGN(auto network, build(preset));
        torch::NoGradGuard no_grad;
        network->eval();
        PresetFigures figures;
        long beside = 0, learns = 0, parameters = 0, buffers = 0;
        for (const auto& parameter : network->parameters()) {
            parameters += parameter.numel();
            if (parameter.requires_grad()) learns += parameter.numel();
        }
        for (const auto& buffer : network->buffers()) buffers += buffer.numel();
        for (const auto& projection : network->projections())
            for (const auto& parameter : projection->parameters()) beside += parameter.numel();
        for (std::size_t i = 0; i < network->backbones().size(); ++i) {
            figures.backbones.push_back(cnn_figures(preset.backbones[i].name, *network->backbones()[i]));
            beside += figures.backbones.back().trainable;
        }
        figures.paper_parameters = parameters - beside;
        figures.trainable_parameters = learns;
        figures.stored_parameters = parameters + buffers;
        // A batch of no slices passes through every layer and costs nothing.
        MacCounter counter;
        network->forward(torch::zeros({0, 3, preset.input_size, preset.input_size}));
        figures.gmac_per_slice = counter.total() / 1e9;
        figures.input_shape = {1, 3, preset.input_size, preset.input_size};
        const TokenShape shape = token_shape(preset);
        figures.token_shape = {shape.count, shape.width};
        return figures;
    });
}

}  // namespace scopenode::ml
