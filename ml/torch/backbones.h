#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/core/result.h"
#include "ml/preset.h"
#include "ml/torch/layers.h"

namespace scopenode::ml {

/// A CNN without its classifier, layer for layer as in Keras Applications; parts carry Keras' layer names. A
/// chain of steps (stem, blocks, last norm), so that a lower part can be frozen and run without autograd.
class Backbone : public torch::nn::Module {
  public:
    /// N x 3 x H x W in [0,1] -> N x channels() x H/32 x W/32. Normalises its input itself.
    Tensor forward(const Tensor& images);
    std::int64_t channels() const { return channels_; }
    /// Non-trainable numbers that Keras counts and that are constants here.
    virtual std::int64_t keras_constants() const { return 0; }

    /// What lies below the top 30 % (reference 4.5) stops learning: no gradients, norms keep their
    /// statistics.
    void freeze_lower_part();
    /// For inference: norms directly behind a convolution become part of it. Cannot be undone.
    void fold_norms();
    void train(bool on = true) override;

  protected:
    using Run = std::function<Tensor(const Tensor&)>;

    std::shared_ptr<Conv> conv(const std::string& name, const ConvOptions& options) {
        return register_module(name, std::make_shared<Conv>(options));
    }
    std::shared_ptr<BatchNorm> norm(const std::string& name, std::int64_t channels) {
        return register_module(name, std::make_shared<BatchNorm>(channels, eps_, 0.01));
    }
    /// A norm that sees nothing but the output of `before`.
    std::shared_ptr<BatchNorm> norm_of(const std::shared_ptr<Conv>& before, const std::string& name) {
        pairs_.emplace_back(before, norm(name, before->weight.size(0)));
        return pairs_.back().second;
    }
    /// Steps run in the order they were added; `name` begins the names of the step's layers.
    void add_step(const std::string& name, Run run) { steps_.push_back({in_top(name), std::move(run)}); }
    /// Whether a layer belongs to the top 30 % that the paper trains.
    virtual bool in_top(const std::string& layer) const = 0;
    virtual Tensor normalise(const Tensor& images) const = 0;

    std::int64_t channels_ = 0;
    double eps_ = 1e-3;

  private:
    struct Step {
        bool top;
        Run run;
    };
    std::vector<Step> steps_;
    std::vector<std::pair<std::shared_ptr<Conv>, std::shared_ptr<BatchNorm>>> pairs_;
    bool frozen_ = false;
};

/// Unset parameters (see Layer), frozen as the preset says. Scaled channels are multiples of 8; at least one
/// block per stage is kept.
Result<std::shared_ptr<Backbone>> make_backbone(const BackbonePreset& preset);

}  // namespace scopenode::ml
