#include <algorithm>
#include <cmath>

#include "ml/phantom/phantom.h"

namespace scopenode::ml {
namespace {
/// What bone encloses in a slice: not reachable from the border without crossing 300 HU, and not bone itself.
std::vector<char> inside_skull(const HuImage& slice) {
    const int w = slice.width, h = slice.height;
    std::vector<char> state(slice.hu.size(), 1);
    std::vector<int> stack;
    const auto visit = [&](int i) {
        const auto n = static_cast<std::size_t>(i);
        if (state[n] == 0 || slice.hu[n] >= 300) return;
        state[n] = 0;
        stack.push_back(i);
    };
    for (int x = 0; x < w; ++x) {
        visit(x);
        visit((h - 1) * w + x);
    }
    for (int y = 0; y < h; ++y) {
        visit(y * w);
        visit(y * w + w - 1);
    }
    while (!stack.empty()) {
        const int i = stack.back();
        stack.pop_back();
        const int x = i % w, y = i / w;
        if (x > 0) visit(i - 1);
        if (x + 1 < w) visit(i + 1);
        if (y > 0) visit(i - w);
        if (y + 1 < h) visit(i + w);
    }
    for (std::size_t i = 0; i < state.size(); ++i)
        if (slice.hu[i] >= 300) state[i] = 0;
    return state;
}

/// Highest mean over squares of `side` pixels that lie wholly inside.
double highest_mean(const HuImage& slice, const std::vector<char>& inside, int side) {
    const int w = slice.width, h = slice.height;
    if (w < side || h < side) return -1000;
    const auto stride = static_cast<std::size_t>(w + 1);
    std::vector<double> hu(stride * static_cast<std::size_t>(h + 1), 0);
    std::vector<int> count(hu.size(), 0);
    for (std::size_t y = 0; y < static_cast<std::size_t>(h); ++y)
        for (std::size_t x = 0; x < static_cast<std::size_t>(w); ++x) {
            const std::size_t i = y * static_cast<std::size_t>(w) + x, o = (y + 1) * stride + x + 1;
            hu[o] = hu[o - 1] + hu[o - stride] - hu[o - stride - 1] +
                    (inside[i] ? static_cast<double>(slice.hu[i]) : 0.0);
            count[o] = count[o - 1] + count[o - stride] - count[o - stride - 1] + (inside[i] ? 1 : 0);
        }
    double best = -1000;
    const auto s = static_cast<std::size_t>(side);
    for (std::size_t o = s * stride + s; o < hu.size(); ++o) {
        if (o % stride < s) continue;
        const std::size_t up = s * stride;
        if (count[o] - count[o - s] - count[o - up] + count[o - up - s] != side * side) continue;
        best = std::max(best, (hu[o] - hu[o - s] - hu[o - up] + hu[o - up - s]) / (side * side));
    }
    return best;
}
}  // namespace

BaselineScores baseline_scores(const std::vector<HuImage>& slices, double pixel_mm, double slice_mm) {
    BaselineScores scores;
    scores.highest_hu = -1000;
    const int side = std::max(1, static_cast<int>(std::lround(5 / pixel_mm)));
    double dense = 0;
    for (const auto& slice : slices) {
        const auto inside = inside_skull(slice);
        scores.highest_hu = std::max(scores.highest_hu, highest_mean(slice, inside, side));
        for (std::size_t i = 0; i < inside.size(); ++i)
            if (inside[i] && slice.hu[i] >= 50 && slice.hu[i] <= 90) dense += 1;
    }
    scores.dense_volume_ml = dense * pixel_mm * pixel_mm * slice_mm / 1000;
    return scores;
}

}  // namespace scopenode::ml
