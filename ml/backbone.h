#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "ml/preset.h"

namespace scopenode::ml {

/// A tensor of a network: its name as in weights.safetensors, axes as in PyTorch (OIHW for convolutions).
struct TensorShape {
    std::string name;
    std::vector<std::int64_t> shape;
};
struct FloatTensor {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<float> values;  ///< row-major
};

/// Every tensor of a backbone alone, named without the network's prefix: Keras' layer name, then the part
/// ("block1_conv1.weight", "block1_conv1_bn.running_mean", "block2_sepconv1.pointwise.weight").
Result<std::vector<TensorShape>> backbone_tensors(const BackbonePreset& backbone);

/// Runs a backbone alone. `weights` fill each of its tensors exactly once; `image` is N x 3 x H x W in [0,1],
/// H and W multiples of 32. Gives "features", N x C x H/32 x W/32. kDamagedModel or kInvalidArgument with the
/// reason.
Result<FloatTensor> run_backbone(const BackbonePreset& backbone, const std::vector<FloatTensor>& weights,
                                 const FloatTensor& image);

/// weights.safetensors of a new model of `preset`: random first values from `seed`.
Result<std::string> first_weights(const Preset& preset, std::uint64_t seed);
/// `weights` (safetensors of a model of `preset`) with the tensors of backbone number `index` (0-based)
/// exchanged.
Result<std::string> with_backbone(const Preset& preset, const std::string& weights, std::size_t index,
                                  const std::vector<FloatTensor>& tensors);

}  // namespace scopenode::ml
