#include "ml/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace scopenode::ml {

double auroc(std::span<const float> scores, std::span<const char> truth) {
    const std::size_t n = std::min(scores.size(), truth.size());
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
    double positives = 0, negatives = 0, won = 0;
    for (std::size_t i = 0; i < n;) {
        double tied_positives = 0, tied_negatives = 0;
        const float score = scores[order[i]];
        for (; i < n && !(scores[order[i]] > score); ++i)
            (truth[order[i]] ? tied_positives : tied_negatives) += 1;
        won += tied_positives * (negatives + 0.5 * tied_negatives);
        positives += tied_positives;
        negatives += tied_negatives;
    }
    if (positives == 0 || negatives == 0) return std::numeric_limits<double>::quiet_NaN();
    return won / (positives * negatives);
}

double log_loss(std::span<const float> probabilities, std::span<const char> truth) {
    const std::size_t n = std::min(probabilities.size(), truth.size());
    if (n == 0) return std::numeric_limits<double>::quiet_NaN();
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double p = std::clamp(static_cast<double>(probabilities[i]), 1e-15, 1 - 1e-15);
        sum -= std::log(truth[i] ? p : 1 - p);
    }
    return sum / static_cast<double>(n);
}

}  // namespace scopenode::ml
