#include "workflows/stack_shape.h"

#include <algorithm>
#include <cmath>

namespace scopenode::workflows {
namespace {

constexpr double kGap = 1.5;
constexpr double kAsThick = 1.2;
constexpr double kSameDistance = 0.1;

bool is_as_next(const std::vector<double>& distances, std::size_t i) {
    const auto same = [&](std::size_t k) {
        return std::abs(distances[k] - distances[i]) < kSameDistance * distances[i];
    };
    return (i > 0 && same(i - 1)) || (i + 1 < distances.size() && same(i + 1));
}

}  // namespace

StackShape shape_of(std::vector<SlicePlace> places) {
    StackShape shape;
    shape.slices = static_cast<int>(places.size());
    if (places.size() < 2) return shape;
    std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.mm < b.mm; });
    std::vector<double> distances;
    for (std::size_t i = 1; i < places.size(); ++i) distances.push_back(places[i].mm - places[i - 1].mm);
    std::vector<double> sorted = distances;
    // Not the median: where every second slice is missing that is the distance across the holes.
    const auto quarter = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 4);
    std::nth_element(sorted.begin(), quarter, sorted.end());
    shape.spacing_mm = *quarter;
    for (std::size_t i = 0; i < distances.size(); ++i) {
        const double distance = distances[i];
        if (distance <= kGap * shape.spacing_mm) continue;
        const double thick = std::max(places[i].thickness, places[i + 1].thickness);
        if (distance <= kAsThick * thick && is_as_next(distances, i)) continue;
        shape.missing += std::max(1, static_cast<int>(std::lround(distance / shape.spacing_mm)) - 1);
        shape.largest_gap_mm = std::max(shape.largest_gap_mm, distance - shape.spacing_mm);
    }
    return shape;
}

}  // namespace scopenode::workflows
