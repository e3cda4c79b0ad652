#include <algorithm>

#include "ml/torch/compat.h"
#include "ml/torch/scopeformer.h"

namespace scopenode::ml {
namespace {
constexpr float kAir = -1024, kHighest = 3071;
}

torch::Tensor resize_hu(const HuImage& image, int size) {
    torch::NoGradGuard no_grad;
    // Clamped before anything is averaged: padding of -2000 or -32768 must not darken the edge of the head.
    auto hu = torch::from_blob(const_cast<float*>(image.hu.data()), {1, 1, image.height, image.width},
                               torch::kFloat32)
                  .nan_to_num(kAir, kHighest, kAir)
                  .clamp(kAir, kHighest);
    if (image.height != image.width) {
        const int side = std::max(image.height, image.width);
        const int top = (side - image.height) / 2, left = (side - image.width) / 2;
        hu = torch::constant_pad_nd(hu, {left, side - image.width - left, top, side - image.height - top},
                                    kAir);
    }
    if (hu.size(3) != size) hu = compat::resize_antialiased(hu, size, size).clamp(kAir, kHighest);
    return hu.squeeze(0).contiguous();
}

torch::Tensor apply_windows(const torch::Tensor& hu, const std::vector<Window>& windows) {
    std::vector<torch::Tensor> channels;
    for (const Window& window : windows) {
        const double lowest = window.level - window.width / 2;
        channels.push_back(((hu - lowest) / window.width).clamp(0, 1));
    }
    return torch::cat(channels, 1);
}

}  // namespace scopenode::ml
