#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ml/backbone.h"
#include "ml/safetensors.h"

namespace scopenode::ml {

/// How a source's axes become ours.
enum class Axes {
    kAsTheyAre,
    kHwioToOihw,   ///< TensorFlow's convolution: height, width, in, out
    kHwcToChw,     ///< TensorFlow's depthwise convolution: height, width, channels, 1
    kWithoutOnes,  ///< very old PyTorch files lack axes of length 1
};

/// One tensor of a backbone and the tensor of a file that fills it.
struct Fill {
    std::size_t target = 0;  ///< number in the list of targets
    std::size_t source = 0;  ///< number in the list of sources
    Axes axes = Axes::kAsTheyAre;
};
struct Assignment {
    std::vector<Fill> fills;
    std::vector<std::size_t> ignored;  ///< sources that the network by design does not take
    std::vector<std::string> notes;    ///< for the person: what was decided
};

/// Sources named "<layer>/<weight>" as flatten_h5 gives them. Layers are found by name; Xception's four skip
/// convolutions and their norms, which Keras numbers, in the order of their numbers.
Result<Assignment> assign_keras(const std::string& backbone, std::span<const TensorShape> targets,
                                std::span<const TensorBytes> sources);
/// Sources named as in timm or torchvision: densenet201, tf_efficientnet_b5, legacy_xception.
Result<Assignment> assign_torch(const std::string& backbone, std::span<const TensorShape> targets,
                                std::span<const TensorBytes> sources);

/// "; it looks like densenet201", or "" when nothing is recognised. `layers`: names as the two above see
/// them.
std::string looks_like(std::span<const std::string> names, const std::string& wanted);

}  // namespace scopenode::ml
