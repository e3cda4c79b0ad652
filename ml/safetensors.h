#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace scopenode::ml {

/// One tensor of a safetensors file; `bytes` points into the file.
struct TensorBytes {
    std::string name;
    std::string dtype;  ///< "F32"
    std::vector<std::int64_t> shape;
    std::string_view bytes;
};

/// Checks everything before anything is used: sizes, types, names, that data neither overlaps nor has holes.
/// kDamagedModel names `where` and the fault.
Result<std::vector<TensorBytes>> parse_safetensors(std::string_view file, const std::string& where);
/// Tensors are written in the order given.
std::string build_safetensors(std::span<const TensorBytes> tensors);

}  // namespace scopenode::ml
