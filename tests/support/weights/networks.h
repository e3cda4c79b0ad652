#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace scopenode::test {

/// One tensor of a published network under its three names. Written down from Keras', timm's and
/// torchvision's sources, not taken from the importer.
struct NetworkTensor {
    std::string ours;                       ///< "block2_skip.weight"
    std::vector<std::int64_t> shape;        ///< OIHW
    std::string keras_layer, keras_weight;  ///< "conv2d", "kernel"
    bool depthwise = false;                 ///< HWC1 in Keras, where others are HWIO
    std::string torch;                      ///< "block1.skip.weight"; "" where there is no such file
};

/// Every tensor of a network, in the order of Keras' file. `narrow` divides the channels, for quick tests.
std::vector<NetworkTensor> network_tensors(const std::string& backbone, int narrow = 1);

/// The value of tensor number `index` of a list at `position` in OIHW order.
using ValueOf = std::function<float(const NetworkTensor& tensor, std::size_t index, std::size_t position)>;
/// A different whole number for every tensor and position; for networks narrowed by 16.
float distinct_value(const NetworkTensor& tensor, std::size_t index, std::size_t position);
/// Pseudo-random values of a sensible size from the tensor's torch name and the position: the same as in
/// tests/support/weights/reference.py.
float formula_value(const NetworkTensor& tensor, std::size_t index, std::size_t position);
/// In [0,1): what `image` of the reference holds at a position.
float formula_pixel(std::size_t position);

}  // namespace scopenode::test
