#pragma once
#include <torch/torch.h>

#include <memory>
#include <vector>

#include "base/core/hu_image.h"
#include "ml/preset.h"
#include "ml/torch/encoder.h"

namespace scopenode::ml {

/// What the encoder leaves on its way, for explanations.
struct EncoderTrace {
    std::vector<torch::Tensor> blocks;     ///< output of each block, N x tokens x width
    std::vector<AttentionMaps> attention;  ///< of each block
};

/// A Scopeformer (paper Eq. 1-3, Fig. 1). forward: N x 3 x S x S windowed to [0,1] -> N x 6 logits, in the
/// order of kLabels. Parameter names are those of weights.safetensors.
class Scopeformer : public torch::nn::Module {
  public:
    torch::Tensor forward(const torch::Tensor& images) { return classify(features(images), nullptr); }

    /// The two halves of forward(): the last feature map of each CNN, N x C x S/32 x S/32, and what follows
    /// it.
    virtual std::vector<torch::Tensor> features(const torch::Tensor& images) = 0;
    virtual torch::Tensor classify(const std::vector<torch::Tensor>& features, EncoderTrace* trace) = 0;
    /// Mean and spread over its positions of every map that the encoder gets, N x 2d: what kind of picture it
    /// is.
    virtual torch::Tensor summary(const std::vector<torch::Tensor>& features) = 0;

    /// For inference only: folds batch norms into convolutions, and runs the CNNs in bfloat16 when wanted.
    virtual void prepare_inference(bool bfloat16) = 0;
};

/// The builder for every preset; random initial weights from torch's generator. Refuses an impossible preset.
Result<std::shared_ptr<Scopeformer>> make_scopeformer(const Preset& preset);

/// Statistics of all batch norms as of smooth random images: with its first values a deep network's features
/// would otherwise grow by orders of magnitude. For networks whose weights are random.
void measure_norms(Scopeformer& network, int input_size);

/// HU -> antialiased resize to `size` x `size`, still HU (1 x size x size, float32, clamped to [-1024,
/// 3071]).
torch::Tensor resize_hu(const HuImage& image, int size);
/// N x 1 x S x S in HU -> N x 3 x S x S in [0,1], one channel per window.
torch::Tensor apply_windows(const torch::Tensor& hu, const std::vector<Window>& windows);

/// All parameters and buffers as safetensors bytes, and back: every tensor filled exactly once, or an error.
std::string save_weights(const torch::nn::Module& module);
Status load_weights(torch::nn::Module& module, const std::string& bytes, const std::string& where);

}  // namespace scopenode::ml
