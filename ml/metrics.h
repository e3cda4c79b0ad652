#pragma once
#include <span>

namespace scopenode::ml {

/// Area under the ROC curve; ties count half; NaN when one class is empty.
double auroc(std::span<const float> scores, std::span<const char> truth);
/// Log loss clipped to [1e-15, 1-1e-15].
double log_loss(std::span<const float> probabilities, std::span<const char> truth);

}  // namespace scopenode::ml
