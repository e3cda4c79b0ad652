#include "ml/metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace scopenode::ml {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kSmallest = 1e-15;

/// Scores from the lowest to the highest with their truth; nothing when one is no number.
std::optional<std::vector<std::pair<double, bool>>> sorted(std::span<const double> scores,
                                                           std::span<const char> truth) {
    const std::size_t n = std::min(scores.size(), truth.size());
    std::vector<std::pair<double, bool>> out(n);
    for (std::size_t i = 0; i < n; ++i) {
        if (std::isnan(scores[i])) return std::nullopt;
        out[i] = {scores[i], truth[i] != 0};
    }
    std::sort(out.begin(), out.end());
    return out;
}

/// Where the scores that equal number `begin` end, and how many of them are positive.
std::pair<std::size_t, double> ties(const std::vector<std::pair<double, bool>>& items, std::size_t begin) {
    std::size_t end = begin;
    double positives = 0;
    for (; end < items.size() && items[end].first == items[begin].first; ++end)
        positives += items[end].second ? 1 : 0;
    return {end, positives};
}

bool is_probability(double p) {
    return p >= 0 && p <= 1;
}

double log_loss_of(double p, bool truth) {
    if (!is_probability(p)) return kNaN;
    const double clipped = std::clamp(p, kSmallest, 1 - kSmallest);
    return -std::log(truth ? clipped : 1 - clipped);
}

double brier_of(double p, bool truth) {
    if (!is_probability(p)) return kNaN;
    return truth ? (1 - p) * (1 - p) : p * p;
}

double mean_of(std::span<const double> probabilities, std::span<const char> truth,
               double (*each)(double, bool)) {
    const std::size_t n = std::min(probabilities.size(), truth.size());
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += each(probabilities[i], truth[i] != 0);
    return n == 0 ? kNaN : sum / static_cast<double>(n);
}

/// Centre and half width of Wilson's interval.
std::pair<double, double> wilson(long hits, long of) {
    constexpr double z = 1.959963984540054;
    const double n = static_cast<double>(of), p = static_cast<double>(hits) / n, zz = z * z;
    return {(p + zz / (2 * n)) / (1 + zz / n),
            z / (1 + zz / n) * std::sqrt(p * (1 - p) / n + zz / (4 * n * n))};
}

/// Sum of value times weight over the labels that have a value, divided by their weights.
double weighted_mean(const std::array<double, kLabelCount>& values,
                     const std::array<bool, kLabelCount>& known,
                     const std::array<double, kLabelCount>& weights) {
    double sum = 0, total = 0;
    for (std::size_t k = 0; k < kLabelCount; ++k) {
        if (!known[k]) continue;
        sum += weights[k] * values[k];
        total += weights[k];
    }
    return total > 0 ? sum / total : kNaN;
}

constexpr std::array<double, kLabelCount> kEqual{1, 1, 1, 1, 1, 1};

}  // namespace

double auroc(std::span<const double> scores, std::span<const char> truth) {
    const auto items = sorted(scores, truth);
    if (!items) return kNaN;
    double positives = 0, negatives = 0, won = 0;
    for (std::size_t i = 0; i < items->size();) {
        const auto [end, tied] = ties(*items, i);
        const double others = static_cast<double>(end - i) - tied;
        won += tied * (negatives + 0.5 * others);
        positives += tied;
        negatives += others;
        i = end;
    }
    return positives == 0 || negatives == 0 ? kNaN : won / (positives * negatives);
}

double auprc(std::span<const double> scores, std::span<const char> truth) {
    const auto items = sorted(scores, truth);
    if (!items) return kNaN;
    double positives = 0;
    for (const auto& item : *items) positives += item.second ? 1 : 0;
    // From the lowest: what is left from a score on is what a threshold there calls positive.
    double left = positives, area = 0;
    for (std::size_t i = 0; i < items->size();) {
        const auto [end, tied] = ties(*items, i);
        area += tied * left / static_cast<double>(items->size() - i);
        left -= tied;
        i = end;
    }
    return positives == 0 ? kNaN : area / positives;
}

double log_loss(std::span<const double> probabilities, std::span<const char> truth) {
    return mean_of(probabilities, truth, log_loss_of);
}

double brier(std::span<const double> probabilities, std::span<const char> truth) {
    return mean_of(probabilities, truth, brier_of);
}

double calibration_error(std::span<const double> probabilities, std::span<const char> truth, int bins) {
    const auto items = sorted(probabilities, truth);
    if (!items || items->empty() || bins < 1) return kNaN;
    const std::size_t n = items->size(), count = std::min(n, static_cast<std::size_t>(bins));
    std::vector<double> excess(count);  // sum of probability minus truth
    for (std::size_t i = 0; i < n;) {
        const auto [end, tied] = ties(*items, i);
        if (!is_probability((*items)[i].first)) return kNaN;
        const double each = (*items)[i].first - tied / static_cast<double>(end - i);
        for (; i < end; ++i) excess[i * count / n] += each;
    }
    double sum = 0;
    for (const double e : excess) sum += std::abs(e);
    return sum / static_cast<double>(n);
}

CalibrationLine calibration_line(std::span<const double> probabilities, std::span<const char> truth) {
    const CalibrationLine none{kNaN, kNaN};
    const std::size_t n = std::min(probabilities.size(), truth.size());
    // Without overlap the likelihood grows without end: there is no line.
    const double area = auroc(probabilities, truth);
    if (!(area > 0 && area < 1)) return none;
    std::vector<double> x(n);
    for (std::size_t i = 0; i < n; ++i) {
        if (!is_probability(probabilities[i])) return none;
        const double p = std::clamp(probabilities[i], 1e-7, 1 - 1e-7);
        x[i] = std::log(p / (1 - p));
    }
    CalibrationLine line{1, 0};
    for (int step = 0; step < 200; ++step) {
        double gs = 0, gi = 0, hss = 0, hsi = 0, hii = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const double p = 1 / (1 + std::exp(-(line.slope * x[i] + line.intercept)));
            const double error = p - (truth[i] ? 1 : 0), weight = p * (1 - p);
            gs += error * x[i];
            gi += error;
            hss += weight * x[i] * x[i];
            hsi += weight * x[i];
            hii += weight;
        }
        const double determinant = hss * hii - hsi * hsi;
        if (!(determinant > 1e-12 * hss * hii)) return none;
        const double ds = (gs * hii - gi * hsi) / determinant, di = (gi * hss - gs * hsi) / determinant;
        // Whole steps of Newton can leap over the maximum where nearly all is certain.
        const double part = std::min(1.0, 2 / std::max(1e-9, std::abs(ds) + std::abs(di)));
        line.slope -= part * ds;
        line.intercept -= part * di;
        if (std::abs(ds) + std::abs(di) < 1e-12 * (1 + std::abs(line.slope) + std::abs(line.intercept)))
            return line;
    }
    return none;
}

double Share::value() const {
    return of > 0 ? static_cast<double>(hits) / static_cast<double>(of) : kNaN;
}
double Share::low() const {
    if (of <= 0) return kNaN;
    const auto [centre, half] = wilson(hits, of);
    return hits == 0 ? 0 : std::max(0.0, centre - half);
}
double Share::high() const {
    if (of <= 0) return kNaN;
    const auto [centre, half] = wilson(hits, of);
    return hits == of ? 1 : std::min(1.0, centre + half);
}

Share Confusion::accuracy() const {
    return {true_positives + true_negatives,
            true_positives + false_positives + true_negatives + false_negatives};
}

Confusion confusion(std::span<const double> scores, std::span<const char> truth, double threshold) {
    Confusion out;
    for (std::size_t i = 0; i < std::min(scores.size(), truth.size()); ++i) {
        // No number is wrong whatever the truth.
        const bool said = std::isnan(scores[i]) ? truth[i] == 0 : scores[i] >= threshold;
        (truth[i] ? (said ? out.true_positives : out.false_negatives)
                  : (said ? out.false_positives : out.true_negatives)) += 1;
    }
    return out;
}

Column column_of(std::span<const Probabilities> scores, std::span<const Truth> truth, std::size_t label) {
    Column out;
    for (std::size_t i = 0; i < std::min(scores.size(), truth.size()); ++i) {
        if (!truth[i][label]) continue;
        out.scores.push_back(scores[i][label]);
        out.truth.push_back(*truth[i][label] ? 1 : 0);
        out.positives += *truth[i][label] ? 1 : 0;
    }
    return out;
}

Share MultiLabelFigures::recall() const {
    Share all;
    for (const Confusion& label : at_threshold) {
        all.hits += label.sensitivity().hits;
        all.of += label.sensitivity().of;
    }
    return all;
}

MultiLabelFigures figures_of(std::span<const Probabilities> probabilities, std::span<const Truth> truth,
                             const Probabilities& thresholds) {
    MultiLabelFigures out;
    double weighted = 0, plain = 0;
    long slices = 0;
    for (std::size_t i = 0; i < std::min(probabilities.size(), truth.size()); ++i) {
        std::array<double, kLabelCount> losses{};
        std::array<bool, kLabelCount> known{};
        for (std::size_t k = 0; k < kLabelCount; ++k) {
            known[k] = truth[i][k].has_value();
            if (known[k]) losses[k] = log_loss_of(probabilities[i][k], *truth[i][k]);
        }
        if (std::none_of(known.begin(), known.end(), std::identity())) continue;
        ++slices;
        weighted += weighted_mean(losses, known, kRsnaWeights);
        plain += weighted_mean(losses, known, kEqual);
    }
    out.weighted_log_loss = slices > 0 ? weighted / static_cast<double>(slices) : kNaN;
    out.mean_log_loss = slices > 0 ? plain / static_cast<double>(slices) : kNaN;
    out.paper_eq3 = static_cast<double>(kLabelCount) * out.mean_log_loss;
    std::array<double, kLabelCount> accuracy{};
    std::array<bool, kLabelCount> any{};
    for (std::size_t k = 0; k < kLabelCount; ++k) {
        const Column column = column_of(probabilities, truth, k);
        any[k] = !column.truth.empty();
        out.log_loss[k] = log_loss(column.scores, column.truth);
        out.brier[k] = brier(column.scores, column.truth);
        out.at_threshold[k] = confusion(column.scores, column.truth, thresholds[k]);
        accuracy[k] = out.at_threshold[k].accuracy().value();
    }
    out.weighted_accuracy = weighted_mean(accuracy, any, kRsnaWeights);
    out.mean_accuracy = weighted_mean(accuracy, any, kEqual);
    out.mean_brier = weighted_mean(out.brier, any, kEqual);
    return out;
}

Baselines baselines_of(std::span<const Truth> truth) {
    Baselines out;
    std::vector<Probabilities> said(truth.size());
    out.all_negative = figures_of(said, truth);
    for (std::size_t k = 0; k < kLabelCount; ++k) {
        const Confusion& counts = out.all_negative.at_threshold[k];
        out.prevalence[k] = Share{counts.false_negatives, counts.accuracy().of}.value();
    }
    std::fill(said.begin(), said.end(), out.prevalence);
    out.constant_prevalence = figures_of(said, truth);
    return out;
}

}  // namespace scopenode::ml
