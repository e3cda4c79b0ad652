#pragma once
#include <span>
#include <string_view>

#include "ml/labels.h"

namespace scopenode::ml {

/// Raw scores of one slice at its place along the normal of the stack.
struct PlacedScores {
    double z_mm = 0;
    Scores scores{};
};

/// Study score per label: logits smoothed over neighbours with a Gaussian in millimetres, then the maximum.
/// Order of the slices does not matter. Empty input gives zeros.
Scores aggregate(std::span<const PlacedScores> slices);
/// The method in one sentence, for reports.
std::string_view aggregation_method();

}  // namespace scopenode::ml
