#pragma once
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "ml/metrics.h"
#include "ml/model.h"
#include "workflows/training/folder_dataset.h"

namespace scopenode::workflows {

using PerLabel = std::array<double, ml::kLabelCount>;

/// How well one kind of thing (studies or slices) is told apart, beside what looks at no image.
struct LevelFigures {
    PerLabel auroc{}, auprc{};  ///< of the raw scores; NaN when a class is empty
    PerLabel thresholds{};      ///< of `model`
    PerLabel calibration_error{};
    std::array<ml::CalibrationLine, ml::kLabelCount> line{};
    ml::MultiLabelFigures model;  ///< of the probabilities: calibrated for studies, raw for slices
    ml::Baselines baselines;
    std::array<int, ml::kLabelCount> positives{}, unknown{};
};

/// How well a model tells studies and slices apart, beside guesses that learn nothing.
struct Evaluation {
    std::string model, data;
    int studies = 0, slices = 0;
    LevelFigures study;                                 ///< at the manifest's thresholds
    LevelFigures slice;                                 ///< at 0.5
    PerLabel highest_hu_auroc{}, dense_volume_auroc{};  ///< of studies
    double slices_per_second = 0;                       ///< of the model alone
};

/// Scores every labelled slice of `data`. Studies and slices with an unknown label do not count for that
/// finding.
Result<Evaluation> evaluate(const ml::Model& model, const FolderDataset& data);

/// Where the model is no better than a guess, and where there is too little to tell; sentences for people.
std::vector<std::string> evaluation_remarks(const Evaluation& evaluation);
std::string evaluation_json(const Evaluation& evaluation);
/// The same as tables for a person, under 100 columns, with the remarks at the end.
std::string evaluation_table(const Evaluation& evaluation);

}  // namespace scopenode::workflows
