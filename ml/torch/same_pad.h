#pragma once
#include <algorithm>
#include <cstdint>

namespace scopenode::ml {

/// TensorFlow's padding 'same' along one axis: an odd remainder goes to the end (bottom, right).
struct SamePad {
    std::int64_t before = 0;
    std::int64_t after = 0;
};
constexpr SamePad same_pad(std::int64_t size, std::int64_t kernel, std::int64_t stride) {
    const std::int64_t outputs = (size + stride - 1) / stride;
    const std::int64_t total = std::max<std::int64_t>((outputs - 1) * stride + kernel - size, 0);
    return {total / 2, total - total / 2};
}

}  // namespace scopenode::ml
