#include "ml/aggregate.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace scopenode::ml {
namespace {
constexpr double kSigmaMm = 3;
constexpr double kReachMm = 4 * kSigmaMm;

double logit(float probability) {
    const double p = std::clamp(static_cast<double>(probability), 1e-6, 1 - 1e-6);
    return std::log(p / (1 - p));
}
}  // namespace

Scores aggregate(std::span<const PlacedScores> slices) {
    std::vector<PlacedScores> sorted(slices.begin(), slices.end());
    // Equal places are ordered by their scores, so that the sum below does not depend on the order of
    // arrival.
    std::sort(sorted.begin(), sorted.end(), [](const PlacedScores& a, const PlacedScores& b) {
        return a.z_mm != b.z_mm ? a.z_mm < b.z_mm : a.scores < b.scores;
    });
    Scores best{};
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        std::array<double, kLabelCount> sum{};
        double weights = 0;
        const auto add = [&](const PlacedScores& other) {
            const double away = (other.z_mm - sorted[i].z_mm) / kSigmaMm;
            const double weight = std::exp(-0.5 * away * away);
            weights += weight;
            for (std::size_t k = 0; k < kLabelCount; ++k) sum[k] += weight * logit(other.scores[k]);
        };
        std::size_t first = i;
        while (first > 0 && sorted[i].z_mm - sorted[first - 1].z_mm <= kReachMm) --first;
        for (std::size_t j = first; j < sorted.size() && sorted[j].z_mm - sorted[i].z_mm <= kReachMm; ++j)
            add(sorted[j]);
        for (std::size_t k = 0; k < kLabelCount; ++k)
            best[k] = std::max(best[k], static_cast<float>(1 / (1 + std::exp(-sum[k] / weights))));
    }
    return best;
}

std::string_view aggregation_method() {
    return "Per finding, the logits of the slices are smoothed along the normal of the stack with a Gaussian "
           "of 3 mm "
           "(normalised over the slices present); the study's probability is the highest of them.";
}

}  // namespace scopenode::ml
