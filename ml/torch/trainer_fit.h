#pragma once
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ml/aggregate.h"
#include "ml/labels.h"
#include "ml/manifest.h"
#include "ml/metrics.h"

namespace scopenode::ml {

/// One study with its raw score and its truth, for calibration.
struct ScoredStudy {
    Scores scores{};
    std::array<std::optional<bool>, kLabelCount> truth;
    bool seen = false;  ///< truth has been started
};

/// Slices with their raw probabilities and truth.
struct ScoredSlices {
    std::vector<Probabilities> probabilities;
    std::vector<Truth> truth;

    void add(const Scores& scores, const Truth& labels);
};

/// Area under the ROC curve per label over the studies whose truth is known; NaN when a class is empty.
std::array<double, kLabelCount> study_auroc(const std::vector<ScoredStudy>& studies);

/// Platt's sigmoid per label on study scores. A label without 5 positives and 5 negatives keeps that of
/// `before`: the model it was fine-tuned from, else the identity.
Manifest::Calibration fit_platt(const std::vector<ScoredStudy>& studies, const std::string& data,
                                const Manifest::Calibration& before = {});

/// Thresholds on calibrated scores that maximise sensitivity + specificity - 1. Where nothing can be fitted 0.5,
/// or those of `before`, the model it was fine-tuned from, which few studies (under 30 and 30) do not replace:
/// on calibrated scores they keep their meaning, and one chosen by few is chance.
std::array<double, kLabelCount> fit_thresholds(const std::vector<ScoredStudy>& studies, const Manifest& manifest,
                                               const Manifest* before = nullptr);

}  // namespace scopenode::ml
