#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/hu_image.h"
#include "base/core/result.h"
#include "ml/labels.h"
#include "ml/manifest.h"

namespace scopenode::ml {

/// A slice with what is known of it; a missing label is unknown, never negative.
struct LabelledSlice {
    HuImage image;
    std::array<std::optional<bool>, kLabelCount> labels;
    std::string study;    ///< slices of one study
    std::string patient;  ///< the split never separates one patient's slices
    double z_mm = 0;
};

/// Where labelled slices come from. load() may be called from several threads.
class TrainingSet {
  public:
    virtual ~TrainingSet() = default;
    virtual std::size_t size() const = 0;
    virtual Result<LabelledSlice> load(std::size_t index) const = 0;
    virtual std::string description() const = 0;  ///< for model.json's data snapshot
};

/// What training makes small; both from logits. Unknown labels do not count.
enum class Loss {
    kRsna,  ///< weighted mean of the six cross entropies, any twice, divided by 7: the figure of RSNA 2019
    kPaperEq3,  ///< the paper's Eq. 3: their plain sum, averaged over slices (6/known times the known ones)
};
std::string_view word(Loss loss);  ///< "rsna", "paper_eq3"

struct TrainOptions {
    Preset preset;
    std::filesystem::path out;       ///< a model folder when done; checkpoints while it runs
    std::optional<ModelFiles> from;  ///< fine-tune these weights
    bool resume = false;             ///< go on from the checkpoint in `out`
    int epochs = 6;
    int batch = 16;
    double learning_rate = 2e-3;
    double weight_decay = 0.02;
    int threads = 0;
    std::uint64_t seed = 1;
    Loss loss = Loss::kRsna;
    double validation_share = 0.1;  ///< of patients, by hash
    std::string device = "auto";
    std::string name;  ///< manifest name
    bool demonstration = false;
    std::string data_licence;
};

struct EpochReport {
    int epoch = 0;
    double train_loss = 0;
    double validation_loss = 0;                          ///< weighted log loss, any counts twice
    std::array<double, kLabelCount> validation_auroc{};  ///< per study
    double slices_per_second = 0;
};

/// Trains and writes the model folder: model.json (thresholds and Platt calibration fitted on the validation
/// patients), weights.safetensors, metrics.json, card.md. A killed run goes on with `resume`.
Status train(const TrainOptions& options, const TrainingSet& data,
             const std::function<void(const EpochReport&)>& on_epoch);

}  // namespace scopenode::ml
