#pragma once
#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ml/torch/scopeformer.h"
#include "ml/trainer.h"

namespace scopenode::ml {

/// Everything that a training run carries from one epoch to the next.
struct TrainingState {
    std::shared_ptr<Scopeformer> network, average;  ///< what learns, and its moving average, which is kept
    std::unique_ptr<torch::optim::Optimizer> optimizer;
    int epoch = 0;             ///< epochs done
    std::int64_t updates = 0;  ///< of the moving average
    std::vector<EpochReport> history;
    std::string best;  ///< weights of the average with the lowest validation loss, where they are kept
    Depth depth = Depth::kAll;
    std::vector<double> rate_factors;  ///< of the optimizer's groups

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
/// The epoch with the lowest validation loss, from 0; -1 before the first.
int best_epoch(const std::vector<EpochReport>& history);

/// A fresh network, or that of options.from; its weights must fit the preset. At depth `calibration` there is
/// no optimizer.
Result<std::unique_ptr<TrainingState>> make_training_state(const TrainOptions& options, torch::Device device);

}  // namespace scopenode::ml
