#pragma once
#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ml/torch/scopeformer.h"
#include "ml/torch/trainer_fit.h"
#include "ml/trainer.h"

namespace scopenode::ml {

/// Everything that a training run carries from one epoch to the next.
struct TrainingState {
    std::shared_ptr<Scopeformer> network, average;  ///< what learns, and its moving average, which is kept
    std::unique_ptr<torch::optim::Optimizer> optimizer;
    int epoch = 0;             ///< epochs done
    std::int64_t updates = 0;  ///< of the moving average
    std::vector<EpochReport> history;

    void set_learning_rate(double rate);
    void update_average();
    /// Batch-norm statistics of the average as the mean over `batches` batches.
    void refresh_statistics(std::size_t batches, const std::function<torch::Tensor(std::size_t)>& batch);

    /// Atomically; `fingerprint` tells the run.
    Status save(const std::filesystem::path& path, const std::string& fingerprint) const;
    /// kConflict when the checkpoint is of a run with other options or data, kDamagedModel when it is
    /// damaged.
    Status restore(const std::filesystem::path& path, const std::string& fingerprint);
};
/// A fresh network, or that of options.from; its weights must fit the preset.
Result<std::unique_ptr<TrainingState>> make_training_state(const TrainOptions& options, torch::Device device);

/// What is told of a finished run.
struct RunFigures {
    std::size_t training_slices = 0, validation_slices = 0, validation_studies = 0;
    std::array<double, kLabelCount> validation_auroc{};
    MultiLabelFigures validation;  ///< of the validation slices, raw, at 0.5
    Baselines baselines;           ///< of the same slices
};
std::string metrics_json(const TrainOptions& options, const std::vector<EpochReport>& history,
                         const RunFigures& figures);
std::string plain_card(const TrainOptions& options, const Manifest& manifest, const RunFigures& figures);

}  // namespace scopenode::ml
