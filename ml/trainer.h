#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/hu_image.h"
#include "base/core/result.h"
#include "ml/labels.h"
#include "ml/manifest.h"
#include "ml/slice_record.h"

namespace scopenode::ml {

/// A slice with what is known of it; a missing label is unknown, never negative.
struct LabelledSlice {
    HuImage image;
    std::array<std::optional<bool>, kLabelCount> labels;
    std::string study;    ///< slices of one study
    std::string patient;  ///< the split never separates one patient's slices
    double z_mm = 0;
    std::optional<Part> part = {};  ///< set for the whole patient; nothing: by the patient's hash
    bool rehearsal = false;         ///< earlier data, kept so that what was learnt is not forgotten
    double weight = 1;  ///< of the slice in the loss, above 0 and at most 1: weak labels count less
};

/// Slices that lie on disk as a network of one size takes them. May be used by several threads.
class StoredSlices {
  public:
    virtual ~StoredSlices() = default;
    virtual int side() const = 0;  ///< pixels
    virtual const SliceRecord& record(std::size_t index) const = 0;
    /// side * side whole HU.
    virtual Status read(std::size_t index, std::span<std::int16_t> pixels) const = 0;
};

/// Where labelled slices come from. load() may be called from several threads. A slice that load() fails on
/// is left out and listed, unless they are more than a tenth of the set.
class TrainingSet {
  public:
    virtual ~TrainingSet() = default;
    virtual std::size_t size() const = 0;
    virtual Result<LabelledSlice> load(std::size_t index) const = 0;
    virtual std::string description() const = 0;  ///< for model.json's data snapshot
    /// Another text for other slices, as far as can be told without reading them all.
    virtual std::string identity() const { return description(); }
    /// What the set could not read and does not count in size(), in words.
    virtual std::vector<std::string> skipped() const { return {}; }
    /// Where the set is kept so: a trainer of that size reads it there and keeps nothing itself.
    virtual const StoredSlices* stored() const { return nullptr; }
};

/// What training makes small; both from logits. Unknown labels do not count.
enum class Loss {
    kRsna,  ///< weighted mean of the six cross entropies, any twice, divided by 7: the figure of RSNA 2019
    kPaperEq3,  ///< the paper's Eq. 3: their plain sum, averaged over slices (6/known times the known ones)
};
std::string_view word(Loss loss);  ///< "rsna", "paper_eq3"

/// What learns. Parts that do not learn keep every bit, statistics of batch norms included.
enum class Depth {
    kCalibration,  ///< nothing: Platt's line and thresholds are fitted again, weights.safetensors stays
    kHead,         ///< what follows the encoder
    kEncoder,      ///< encoder and head
    kAll,          ///< all that the preset lets learn
};
std::string_view word(Depth depth);  ///< "calibration", "head", "encoder", "all"
/// kInvalidArgument lists the four.
Result<Depth> depth_named(std::string_view name);

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
    bool demonstration = false;  ///< also when `from` is one
    std::string data_licence;
    Depth depth = Depth::kAll;     ///< other than kAll only with `from`
    double cnn_rate = 1;           ///< factor on the learning rate of the CNNs
    double distillation = 0;       ///< weight of the divergence of the logits from those of `from`
    double rehearsal_share = 0.3;  ///< of an epoch's slices, where the set has rehearsal slices to learn from
    int patience = 0;  ///< stops after so many epochs without a better validation loss, the best is kept
    std::string precision = "fp32";
    int natural_epochs = 0;     ///< the last so many draw all slices alike; before, 1 of 3 negatives
    std::string version = "1";  ///< of the manifest
};

struct EpochReport {
    int epoch = 0;
    double train_loss = 0;
    double validation_loss = 0;                          ///< weighted log loss, any counts twice
    std::array<double, kLabelCount> validation_auroc{};  ///< per study
    double slices_per_second = 0;
    double waiting_share = 0;   ///< of the epoch's time, spent waiting for the loader
    double peak_memory_mb = 0;  ///< of the process until now
    std::size_t slices = 0;     ///< learnt from in this epoch
};

/// Trains and writes the model folder: model.json (thresholds and Platt calibration fitted on the validation
/// patients), weights.safetensors, metrics.json, card.md. A killed run goes on with `resume`.
Status train(const TrainOptions& options, const TrainingSet& data,
             const std::function<void(const EpochReport&)>& on_epoch);

}  // namespace scopenode::ml
