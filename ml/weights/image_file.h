#pragma once
#include <span>
#include <string>
#include <string_view>

#include "ml/backbone.h"

namespace scopenode::ml {

/// The tensor `image` of a safetensors file, for run_backbone(): N x 3 x H x W, float32 in [0,1], H and W
/// multiples of 32. kInvalidArgument says what is wrong.
Result<FloatTensor> read_image(std::string_view file, const std::string& where);
/// Tensors as a safetensors file, in the order given.
std::string tensor_file(std::span<const FloatTensor> tensors);

}  // namespace scopenode::ml
