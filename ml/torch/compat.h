#pragma once
#include <torch/torch.h>
#include <torch/version.h>

// What differs between LibTorch 1.13 (Debian 12) and 2.x lives here and nowhere else.
namespace scopenode::ml::compat {

#if TORCH_VERSION_MAJOR >= 2
template <class T>
using Optional = std::optional<T>;
#else
template <class T>
using Optional = c10::optional<T>;
#endif

/// Bilinear with a triangle filter as wide as the reduction (Pillow's BILINEAR): no aliasing when shrinking.
inline torch::Tensor resize_antialiased(const torch::Tensor& images, std::int64_t height,
                                        std::int64_t width) {
    return at::_upsample_bilinear2d_aa(images, {height, width}, false, Optional<double>(),
                                       Optional<double>());
}

}  // namespace scopenode::ml::compat
