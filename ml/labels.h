#pragma once
#include <array>
#include <cstddef>
#include <string_view>

namespace scopenode::ml {

/// The six findings in the order of every array of scores, of model outputs and of reports.
inline constexpr std::size_t kLabelCount = 6;
inline constexpr std::array<std::string_view, kLabelCount> kLabels{
    "any", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural"};

/// One number per finding, in the order of kLabels; probabilities are 0..1.
using Scores = std::array<float, kLabelCount>;

}  // namespace scopenode::ml
