#pragma once
#include <span>
#include <vector>

namespace scopenode::ml {

// What a plot of one finding shows. Truth is 0 or 1; spans of unequal length count up to the shorter one; a
// score that is no number gives an empty curve.

struct CurvePoint {
    double x = 0, y = 0;
};

/// (share of negatives, share of positives) said positive, from (0, 0) to (1, 1), a point for each distinct
/// score. Empty when a class is empty.
std::vector<CurvePoint> roc_curve(std::span<const double> scores, std::span<const char> truth);
/// (recall, precision) from the highest score down, a point for each distinct score. auprc() is the area
/// under its steps, each as high as its right end. Empty without a positive.
std::vector<CurvePoint> precision_recall_curve(std::span<const double> scores, std::span<const char> truth);

/// Probabilities that lie next to each other, beside what happened.
struct ReliabilityBin {
    double mean = 0;  ///< of the probabilities
    long studies = 0, positives = 0;
};
/// At most `bins` bins of nearly equal mass; equal probabilities stay in one bin. Empty for probabilities
/// outside 0..1.
std::vector<ReliabilityBin> reliability(std::span<const double> probabilities, std::span<const char> truth,
                                        int bins = 10);

}  // namespace scopenode::ml
