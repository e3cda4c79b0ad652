#include "ml/curves.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace scopenode::ml {
namespace {

/// What has been called positive when the threshold is at a distinct score, from the highest down.
struct Step {
    double score = 0;
    long true_positives = 0, false_positives = 0;
};

std::vector<Step> steps_of(std::span<const double> scores, std::span<const char> truth) {
    const std::size_t n = std::min(scores.size(), truth.size());
    std::vector<std::pair<double, bool>> items;
    for (std::size_t i = 0; i < n; ++i) {
        if (std::isnan(scores[i])) return {};
        items.emplace_back(scores[i], truth[i] != 0);
    }
    std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<Step> out;
    Step now;
    for (std::size_t i = 0; i < n; ++i) {
        now.score = items[i].first;
        (items[i].second ? now.true_positives : now.false_positives) += 1;
        if (i + 1 == n || items[i + 1].first != now.score) out.push_back(now);
    }
    return out;
}

double share(long hits, long of) {
    return static_cast<double>(hits) / static_cast<double>(of);
}

}  // namespace

std::vector<CurvePoint> roc_curve(std::span<const double> scores, std::span<const char> truth) {
    const auto steps = steps_of(scores, truth);
    if (steps.empty() || steps.back().true_positives == 0 || steps.back().false_positives == 0) return {};
    std::vector<CurvePoint> out{{0, 0}};
    for (const Step& step : steps)
        out.push_back({share(step.false_positives, steps.back().false_positives),
                       share(step.true_positives, steps.back().true_positives)});
    return out;
}

std::vector<CurvePoint> precision_recall_curve(std::span<const double> scores, std::span<const char> truth) {
    const auto steps = steps_of(scores, truth);
    if (steps.empty() || steps.back().true_positives == 0) return {};
    std::vector<CurvePoint> out;
    for (const Step& step : steps)
        out.push_back({share(step.true_positives, steps.back().true_positives),
                       share(step.true_positives, step.true_positives + step.false_positives)});
    return out;
}

std::vector<ReliabilityBin> reliability(std::span<const double> probabilities, std::span<const char> truth,
                                        int bins) {
    std::vector<ReliabilityBin> out;
    const auto steps = steps_of(probabilities, truth);
    if (steps.empty() || bins < 1 || steps.front().score > 1 || steps.back().score < 0) return out;
    const long all = steps.back().true_positives + steps.back().false_positives;
    Step before;
    double sum = 0;
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
        const bool last = step + 1 == steps.rend();
        const Step above = last ? Step{} : *(step + 1);
        const long positives = step->true_positives - above.true_positives;
        const long studies = positives + step->false_positives - above.false_positives;
        sum += step->score * static_cast<double>(studies);
        before.true_positives += positives;
        before.false_positives += studies - positives;
        const long held = before.true_positives + before.false_positives;
        if (!last && held * bins < all) continue;
        out.push_back({sum / static_cast<double>(held), held, before.true_positives});
        before = {};
        sum = 0;
    }
    return out;
}

}  // namespace scopenode::ml
