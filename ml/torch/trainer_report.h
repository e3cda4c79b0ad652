#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ml/manifest.h"
#include "ml/metrics.h"
#include "ml/trainer.h"

namespace scopenode::ml {

nlohmann::json report_json(const EpochReport& report);
EpochReport report_of(const nlohmann::json& json);

/// What is told of a finished run.
struct RunFigures {
    std::size_t training_slices = 0, rehearsal_slices = 0, validation_slices = 0, validation_studies = 0;
    std::array<double, kLabelCount> validation_auroc{};
    MultiLabelFigures validation;      ///< of the validation slices, raw, at 0.5
    Baselines baselines;               ///< of the same slices
    int kept_epoch = 0;                ///< whose average the model is, from 1; 0: the weights it began with
    std::vector<std::string> skipped;  ///< what could not be read
};
std::string metrics_json(const TrainOptions& options, const std::vector<EpochReport>& history,
                         const RunFigures& figures);
std::string plain_card(const TrainOptions& options, const Manifest& manifest, const RunFigures& figures);

}  // namespace scopenode::ml
