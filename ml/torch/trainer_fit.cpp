#include "ml/torch/trainer_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace scopenode::ml {
namespace {

constexpr std::size_t kFewest = 5, kFewestToReplace = 30;

struct Known {
    std::vector<double> scores;
    std::vector<char> truth;
    std::size_t positives = 0;

    bool enough(std::size_t fewest = kFewest) const {
        return positives >= fewest && truth.size() - positives >= fewest;
    }
};

Known known(const std::vector<ScoredStudy>& studies, std::size_t label) {
    Known out;
    for (const auto& study : studies) {
        if (!study.truth[label]) continue;
        out.scores.push_back(static_cast<double>(study.scores[label]));
        out.truth.push_back(*study.truth[label] ? 1 : 0);
        out.positives += *study.truth[label] ? 1 : 0;
    }
    return out;
}

double logit(double p) {
    const double clipped = std::clamp(p, 1e-6, 1 - 1e-6);
    return std::log(clipped / (1 - clipped));
}

struct Line {
    double scale = 1, offset = 0;
};

/// Newton's method on the log loss with Platt's smoothed targets and a weak pull of the scale towards 1.
Line platt(const Known& data) {
    const double positives = double(data.positives), negatives = double(data.truth.size() - data.positives);
    const double high = (positives + 1) / (positives + 2), low = 1 / (negatives + 2);
    constexpr double kPull = 0.5;
    Line line;
    for (int step = 0; step < 100; ++step) {
        double gs = kPull * (line.scale - 1), go = 0, hss = kPull, hso = 0, hoo = 1e-9;
        for (std::size_t i = 0; i < data.scores.size(); ++i) {
            const double x = logit(data.scores[i]);
            const double p = 1 / (1 + std::exp(-(line.scale * x + line.offset)));
            const double error = p - (data.truth[i] ? high : low), weight = p * (1 - p);
            gs += error * x;
            go += error;
            hss += weight * x * x;
            hso += weight * x;
            hoo += weight;
        }
        const double determinant = hss * hoo - hso * hso;
        if (!(determinant > 1e-12)) break;
        const double ds = (gs * hoo - go * hso) / determinant, dO = (go * hss - gs * hso) / determinant;
        line.scale -= std::clamp(ds, -1.0, 1.0);
        line.offset -= std::clamp(dO, -2.0, 2.0);
        if (std::abs(ds) + std::abs(dO) < 1e-9) break;
    }
    // A falling line would turn the model's order round; then there is nothing to calibrate.
    if (!(line.scale > 0.05) || !std::isfinite(line.offset)) return {};
    return line;
}

}  // namespace

void ScoredSlices::add(const Scores& scores, const Truth& labels) {
    std::copy(scores.begin(), scores.end(), probabilities.emplace_back().begin());
    truth.push_back(labels);
}

std::array<double, kLabelCount> study_auroc(const std::vector<ScoredStudy>& studies) {
    std::array<double, kLabelCount> out{};
    for (std::size_t k = 0; k < kLabelCount; ++k) {
        const Known data = known(studies, k);
        const bool both = data.positives > 0 && data.positives < data.truth.size();
        out[k] = both ? auroc(data.scores, data.truth) : std::numeric_limits<double>::quiet_NaN();
    }
    return out;
}

Manifest::Calibration fit_platt(const std::vector<ScoredStudy>& studies, const std::string& data,
                                const Manifest::Calibration& before) {
    Manifest::Calibration out = before;
    for (std::size_t k = 0; k < kLabelCount; ++k) {
        const Known label = known(studies, k);
        if (!label.enough()) continue;
        const Line line = platt(label);
        out.scale[k] = line.scale;
        out.offset[k] = line.offset;
        out.method = "platt";
        out.data = data;
    }
    return out;
}

std::array<double, kLabelCount> fit_thresholds(const std::vector<ScoredStudy>& studies,
                                               const Manifest& manifest, const Manifest* before) {
    std::vector<ScoredStudy> calibrated = studies;
    for (auto& study : calibrated) study.scores = calibrate(manifest, study.scores);
    std::array<double, kLabelCount> out{};
    for (std::size_t k = 0; k < kLabelCount; ++k) {
        out[k] = before ? before->thresholds[k] : 0.5;
        const Known data = known(calibrated, k);
        if (!data.enough(before ? kFewestToReplace : kFewest)) continue;
        std::vector<double> cuts = data.scores;
        std::sort(cuts.begin(), cuts.end());
        double best = -1;
        for (std::size_t c = 1; c < cuts.size(); ++c) {
            const double cut = (cuts[c - 1] + cuts[c]) / 2;
            double hits = 0, rejections = 0;
            for (std::size_t i = 0; i < data.scores.size(); ++i) {
                if (data.truth[i])
                    hits += data.scores[i] >= cut ? 1 : 0;
                else
                    rejections += data.scores[i] < cut ? 1 : 0;
            }
            const double youden =
                hits / double(data.positives) + rejections / double(data.truth.size() - data.positives) - 1;
            if (youden > best) {
                best = youden;
                out[k] = std::clamp(std::round(cut * 1000) / 1000, 0.01, 0.99);
            }
        }
    }
    return out;
}

}  // namespace scopenode::ml
