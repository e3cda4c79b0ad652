#pragma once
#include <cstdint>
#include <vector>

namespace scopenode::ml {

/// The same studies under two models, for one finding; unknown truth is left out by the caller.
struct PairedScores {
    std::vector<double> first, second;   ///< any scale, higher is more suspect
    std::vector<char> truth;             ///< 0 or 1
    std::vector<std::uint32_t> patient;  ///< from 0 without gaps; studies of a patient share their chance
};

/// How far two areas under the ROC curve lie apart, by patients. NaN where a class is empty or a score is no
/// number, and then no bound is below or above anything. Positive: the second model is better.
struct AucDifference {
    double first = 0, second = 0;  ///< the areas; ties count half
    double difference = 0;         ///< second - first
    double bootstrap_error = 0;    ///< of the difference, patients drawn with replacement
    double delong_error = 0;  ///< of the difference; DeLong 1988 in Obuchowski's form for clusters (1997)
    double first_error = 0, second_error = 0;  ///< of each area, the same
    double correlation = 0;                    ///< of the two areas; 0 where one of them has no error
    /// The number of patients that carry the difference, less one: (sum of squares)^2 / sum of fourth powers
    /// of their parts in it. Three discordant patients among hundreds are three, not hundreds.
    double degrees = 1;
    long studies = 0, positives = 0, negatives = 0;
    long patients = 0, positive_patients = 0, negative_patients = 0;

    double error() const;  ///< the larger of the two errors
    /// Ends of the one-sided (1 - level) intervals of the difference: error() times Student's quantile.
    double low(double level) const;
    double high(double level) const;
    /// As low(), for asking whether the second is at most `margin` worse: never narrower than the error that
    /// the difference would have if it were worse by exactly that (Hanley and McNeil 1982). Sets where both
    /// models are nearly perfect show no spread of their own.
    double low_beside_margin(double level, double margin) const;
    /// The lower end of the second area alone.
    double second_low(double level) const;
};

/// Same input, resamples and seed: same result. Sorts once, each resample is one pass. Thread-safe.
/// Spans of unequal length count up to the shortest.
AucDifference auc_difference(const PairedScores& scores, int resamples, std::uint64_t seed);

/// Student's quantile for 0 < p < 1 and any degrees of freedom > 0; the normal one from a million on.
double student_quantile(double p, double degrees);
/// Standard error of an area by Hanley and McNeil's exponential formula.
double hanley_mcneil_error(double area, double positives, double negatives);

}  // namespace scopenode::ml
