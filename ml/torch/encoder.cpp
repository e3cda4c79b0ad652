#include "ml/torch/encoder.h"

#include <cmath>

namespace scopenode::ml {

AttentionLayer::AttentionLayer(const Preset& preset, std::int64_t tokens)
    : heads_(preset.heads),
      head_dim_(preset.head_dim),
      tokens_(tokens),
      dropout_(preset.dropout),
      stable_(preset.reattention == ReattentionMode::kStable) {
    const std::int64_t inner = heads_ * head_dim_;
    qkv_ = register_module("qkv", std::make_shared<Dense>(preset.token_width, 3 * inner, false));
    out_ = register_module("out", std::make_shared<Dense>(inner, preset.token_width, true));
    if (preset.attention != Attention::kMhra) return;
    mix = register_parameter("mix", torch::empty({heads_, heads_}));
    mix_bias = register_parameter("mix_bias", torch::empty({heads_}));
    mix_norm = register_module("mix_norm", std::make_shared<BatchNorm>(heads_, 1e-5, 0.1));
}

void AttentionLayer::initialise() {
    torch::NoGradGuard no_grad;
    if (!mix.defined()) return;
    mix_bias.zero_();
    if (!stable_) {
        const double bound = 1 / std::sqrt(double(heads_));
        mix.uniform_(-bound, bound);
        return;
    }
    mix.normal_(0, 0.02).add_(torch::eye(heads_));
    // Maps enter the norm multiplied by N (mean 1): this scale gives rows their sum of 1 back.
    mix_norm->weight.fill_(1.0 / double(tokens_));
    mix_norm->bias.fill_(1.0 / double(tokens_));
}

Tensor AttentionLayer::reattend(const Tensor& maps) {
    const std::int64_t n = maps.size(-1);
    MacCounter::add(double(heads_ * heads_) * double(n) * double(n));
    const Tensor scaled = stable_ ? maps * double(n) : maps;
    const Tensor mixed = torch::matmul(mix.t(), scaled.flatten(2)) + mix_bias.unsqueeze(1);
    return mix_norm->forward(mixed.view(maps.sizes()));
}

Tensor AttentionLayer::forward(const Tensor& x, AttentionMaps* kept) {
    const std::int64_t n = x.size(1);
    const Tensor qkv = qkv_->forward(x).view({x.size(0), n, 3, heads_, head_dim_}).permute({2, 0, 3, 1, 4});
    Tensor maps = torch::softmax(
        torch::matmul(qkv[0] * std::pow(double(head_dim_), -0.5), qkv[1].transpose(-2, -1)), -1);
    MacCounter::add(2.0 * double(n) * double(n) * double(heads_ * head_dim_));
    if (kept) kept->softmax = maps;
    if (mix.defined()) maps = reattend(maps);
    if (kept && mix.defined()) kept->mixed = maps;
    const Tensor out =
        torch::matmul(maps, qkv[2]).transpose(1, 2).reshape({x.size(0), n, heads_ * head_dim_});
    return torch::dropout(out_->forward(out), dropout_, is_training());
}

EncoderBlock::EncoderBlock(const Preset& preset, std::int64_t tokens) : dropout_(preset.dropout) {
    const std::int64_t width = preset.token_width, hidden = preset.mlp_width;
    norm1_ = register_module("norm1", std::make_shared<LayerNorm>(width));
    attention_ = register_module("attention", std::make_shared<AttentionLayer>(preset, tokens));
    norm2_ = register_module("norm2", std::make_shared<LayerNorm>(width));
    mlp1_ = register_module("mlp1", std::make_shared<Dense>(width, hidden, true));
    mlp2_ = register_module("mlp2", std::make_shared<Dense>(hidden, width, true));
}

Tensor EncoderBlock::forward(const Tensor& x, AttentionMaps* kept) {
    const Tensor y = x + attention_->forward(norm1_->forward(x), kept);
    const Tensor hidden = torch::gelu(mlp1_->forward(norm2_->forward(y)));
    return y + torch::dropout(mlp2_->forward(hidden), dropout_, is_training());
}

}  // namespace scopenode::ml
