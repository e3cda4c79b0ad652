#pragma once
#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <string>

#include "ml/torch/same_pad.h"

namespace scopenode::ml {

using torch::Tensor;

/// Counts the multiply-accumulates per image of this thread's forward passes while it lives.
class MacCounter {
  public:
    MacCounter();
    ~MacCounter();
    MacCounter(const MacCounter&) = delete;
    MacCounter& operator=(const MacCounter&) = delete;
    double total() const { return total_; }
    static void add(double macs);

  private:
    double total_ = 0;
    MacCounter* outer_;
};

/// A module with parameters of its own. The constructor leaves them unset, so that figures of a large network
/// cost no memory; initialise() gives them their first values.
class Layer : public torch::nn::Module {
  public:
    virtual void initialise() = 0;
};
/// initialise() for every Layer inside.
void initialise_all(torch::nn::Module& module);

inline constexpr int kSame = -1;

struct ConvOptions {
    std::int64_t in = 0;
    std::int64_t out = 0;
    std::int64_t kernel = 1;
    std::int64_t stride = 1;
    bool bias = false;
    std::int64_t groups = 1;
    int pad = kSame;  ///< kSame as TensorFlow, or zeros on every side
};

/// 2-d convolution with TensorFlow's or explicit zero padding.
class Conv final : public Layer {
  public:
    explicit Conv(const ConvOptions& options);
    void initialise() override;
    Tensor forward(const Tensor& x);

    Tensor weight, bias;

  private:
    ConvOptions options_;
};

/// Batch normalisation over axis 1; its statistics are stored without a step counter, as Keras does.
class BatchNorm final : public Layer {
  public:
    BatchNorm(std::int64_t channels, double eps, double momentum);
    void initialise() override;
    Tensor forward(const Tensor& x);
    /// From the next forward pass: statistics of that batch alone, kept.
    void measure_next() { measuring_ = true; }
    /// Gives its scale and offset to the convolution before it and passes everything on from then.
    void fold_into(Conv& before);

    Tensor weight, bias, running_mean, running_var;

  private:
    double eps_, momentum_;
    bool folded_ = false, measuring_ = false;
};

class Dense final : public Layer {
  public:
    Dense(std::int64_t in, std::int64_t out, bool with_bias);
    void initialise() override;
    Tensor forward(const Tensor& x);

    Tensor weight, bias;
};

/// Normalises over the last `axes` axes; one scale and offset per element of the last axis.
class LayerNorm final : public Layer {
  public:
    explicit LayerNorm(std::int64_t width, int axes = 1);
    void initialise() override;
    Tensor forward(const Tensor& x);

    Tensor weight, bias;

  private:
    int axes_;
};

/// Pads with -inf as TensorFlow does, never with zeros.
Tensor max_pool_same(const Tensor& x, std::int64_t kernel, std::int64_t stride);

}  // namespace scopenode::ml
