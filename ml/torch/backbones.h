#pragma once
#include <memory>
#include <string>

#include "base/core/result.h"
#include "ml/preset.h"
#include "ml/torch/layers.h"

namespace scopenode::ml {

/// A CNN without its classifier, layer for layer as in Keras Applications; parts carry Keras' layer names.
class Backbone : public torch::nn::Module {
  public:
    /// N x 3 x H x W in [0,1] -> N x channels() x H/32 x W/32. Normalises its input itself.
    virtual Tensor forward(const Tensor& images) = 0;
    std::int64_t channels() const { return channels_; }
    /// Whether a parameter belongs to the top 30 % that the paper trains (reference 4.5).
    virtual bool in_top(const std::string& parameter) const = 0;

  protected:
    std::shared_ptr<Conv> conv(const std::string& name, const ConvOptions& options) {
        return register_module(name, std::make_shared<Conv>(options));
    }
    std::shared_ptr<BatchNorm> norm(const std::string& name, std::int64_t channels) {
        return register_module(name, std::make_shared<BatchNorm>(channels, eps_, 0.01));
    }

    std::int64_t channels_ = 0;
    double eps_ = 1e-3;
};

/// Unset parameters (see Layer). Scaled channels are multiples of 8; at least one block per stage is kept.
Result<std::shared_ptr<Backbone>> make_backbone(const BackbonePreset& preset);

}  // namespace scopenode::ml
