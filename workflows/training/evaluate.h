#pragma once
#include <array>
#include <memory>
#include <string>

#include "base/core/result.h"
#include "ml/model.h"
#include "workflows/training/folder_dataset.h"

namespace scopenode::workflows {

/// How well a model tells studies apart, beside two guesses that learn nothing.
struct Evaluation {
    std::string model, data;
    int studies = 0, slices = 0;
    std::array<int, ml::kLabelCount> positives{};  ///< studies
    std::array<double, ml::kLabelCount> auroc{};   ///< of the model; NaN when a class is empty
    std::array<double, ml::kLabelCount> sensitivity{}, specificity{};  ///< at the manifest's thresholds
    double log_loss = 0;                                               ///< over slices, raw, any counts twice
    std::array<double, ml::kLabelCount> highest_hu_auroc{}, dense_volume_auroc{};
    double slices_per_second = 0;  ///< of the model alone
};

/// Scores every labelled slice of `data`. Studies with an unknown label do not count for that finding.
Result<Evaluation> evaluate(const ml::Model& model, const FolderDataset& data);

std::string evaluation_json(const Evaluation& evaluation);
/// The same as a table in words.
std::string evaluation_table(const Evaluation& evaluation);

}  // namespace scopenode::workflows
