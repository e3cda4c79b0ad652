#pragma once
#include <memory>

#include "ml/preset.h"
#include "ml/torch/layers.h"

namespace scopenode::ml {

/// The maps of one attention layer, N x heads x tokens x tokens.
struct AttentionMaps {
    Tensor softmax;  ///< rows sum to 1
    Tensor mixed;    ///< MHRA only: after M and its norm
};

/// Multi-head attention; with re-attention (MHRA, paper Eq. 2) the maps are mixed over heads and normalised.
class AttentionLayer final : public Layer {
  public:
    AttentionLayer(const Preset& preset, std::int64_t tokens);
    void initialise() override;
    Tensor forward(const Tensor& x, AttentionMaps* kept = nullptr);

    /// MHRA only: map g becomes norm(sum over h of mix[h][g] * map h + mix_bias[g]).
    Tensor mix, mix_bias;
    std::shared_ptr<BatchNorm> mix_norm;

  private:
    Tensor reattend(const Tensor& maps);

    std::int64_t heads_, head_dim_, tokens_;
    double dropout_;
    bool stable_;
    std::shared_ptr<Dense> qkv_, out_;
};

/// Pre-norm encoder block: x + attention(norm(x)), then x + mlp(norm(x)).
class EncoderBlock final : public torch::nn::Module {
  public:
    EncoderBlock(const Preset& preset, std::int64_t tokens);
    Tensor forward(const Tensor& x, AttentionMaps* kept = nullptr);

  private:
    double dropout_;
    std::shared_ptr<LayerNorm> norm1_, norm2_;
    std::shared_ptr<AttentionLayer> attention_;
    std::shared_ptr<Dense> mlp1_, mlp2_;
};

}  // namespace scopenode::ml
