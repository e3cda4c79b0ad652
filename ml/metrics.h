#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "ml/labels.h"

namespace scopenode::ml {

// Figures of merit. A score that is no number, a probability outside 0 to 1 or an empty class gives NaN where
// the figure needs it: never a number that flatters. Truth is 0 or 1; spans of unequal length count up to the
// shorter one.

// --- one finding ---

/// Area under the ROC curve; ties count half; NaN when one class is empty.
double auroc(std::span<const double> scores, std::span<const char> truth);
/// Average precision: sum over the distinct scores, highest first, of the recall gained times the precision
/// there, so that ties come in together. NaN without a positive. A useless score has the prevalence.
double auprc(std::span<const double> scores, std::span<const char> truth);
/// Log loss clipped to [1e-15, 1-1e-15].
double log_loss(std::span<const double> probabilities, std::span<const char> truth);
/// Mean squared difference of probability and truth.
double brier(std::span<const double> probabilities, std::span<const char> truth);
/// Expected calibration error over `bins` bins of equal mass (one slice a bin where there are fewer): the
/// mean of |mean probability - share of positives|. Equal probabilities share their truth, so that no order
/// among them matters.
double calibration_error(std::span<const double> probabilities, std::span<const char> truth, int bins = 15);

/// Logistic regression of the truth on the logit of the probability: 1 and 0 when calibrated. A slope under 1
/// says overconfident. NaN where the fit does not exist (one class, or parted without overlap).
struct CalibrationLine {
    double slope = 0, intercept = 0;
};
CalibrationLine calibration_line(std::span<const double> probabilities, std::span<const char> truth);

/// A share with its 95 % interval by Wilson's score. NaN over nothing.
struct Share {
    long hits = 0, of = 0;
    double value() const;
    double low() const;
    double high() const;
};

/// Counts at a threshold: said positive when score >= threshold; a score that is no number counts as wrong.
struct Confusion {
    long true_positives = 0, false_positives = 0, true_negatives = 0, false_negatives = 0;
    Share sensitivity() const { return {true_positives, true_positives + false_negatives}; }  ///< recall
    Share specificity() const { return {true_negatives, true_negatives + false_positives}; }
    Share accuracy() const;
};
Confusion confusion(std::span<const double> scores, std::span<const char> truth, double threshold);

// --- all findings together ---

using Probabilities = std::array<double, kLabelCount>;
using Truth = std::array<std::optional<bool>, kLabelCount>;  ///< nothing: unknown, never negative

/// The weights of RSNA 2019, in our order of labels: any counts twice.
inline constexpr std::array<double, kLabelCount> kRsnaWeights{2, 1, 1, 1, 1, 1};

/// What one predictor amounts to over slices, or over studies.
struct MultiLabelFigures {
    /// RSNA 2019: a slice's six log losses, any twice, divided by 7, averaged over the slices. Clipped to
    /// [1e-15, 1-1e-15]. With unknown labels the weights of the slice's known ones are divided by their own
    /// sum; a slice without a known label does not count.
    double weighted_log_loss = 0;
    double mean_log_loss = 0;  ///< the same with equal weights
    double paper_eq3 = 0;      ///< the paper's Eq. 3: the six summed, averaged over slices: 6 x mean_log_loss
    double weighted_accuracy = 0;  ///< sum of weight x accuracy / 7 at the thresholds, over labels with truth
    double mean_accuracy = 0;      ///< the same with equal weights
    double mean_brier = 0;         ///< of the labels' Brier scores, equal weights
    std::array<double, kLabelCount> log_loss{}, brier{};
    std::array<Confusion, kLabelCount> at_threshold{};
    Share recall() const;  ///< over all labels together (micro); of one label: at_threshold[k].sensitivity()
};
MultiLabelFigures figures_of(std::span<const Probabilities> probabilities, std::span<const Truth> truth,
                             const Probabilities& thresholds = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5});

/// Two predictors that look at no image: what every accuracy and log loss has to be read beside.
struct Baselines {
    Probabilities prevalence{};             ///< of each label where it is known; NaN where it never is
    MultiLabelFigures all_negative;         ///< probability 0 for everything
    MultiLabelFigures constant_prevalence;  ///< the prevalence of this very data for everything, at 0.5
};
Baselines baselines_of(std::span<const Truth> truth);

/// The known ones of one label as columns.
struct Column {
    std::vector<double> scores;
    std::vector<char> truth;
    long positives = 0;
};
Column column_of(std::span<const Probabilities> scores, std::span<const Truth> truth, std::size_t label);

}  // namespace scopenode::ml
