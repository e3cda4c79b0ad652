#include "ml/trainer.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "base/core/progress.h"
#include "ml/torch/autocast.h"
#include "ml/torch/runtime.h"
#include "ml/torch/scopeformer.h"
#include "ml/torch/trainer_batch.h"
#include "ml/torch/trainer_cache.h"
#include "ml/torch/trainer_depth.h"
#include "ml/torch/trainer_fit.h"
#include "ml/torch/trainer_loader.h"
#include "ml/torch/trainer_range.h"
#include "ml/torch/trainer_report.h"
#include "ml/torch/trainer_score.h"
#include "ml/torch/trainer_split.h"
#include "ml/torch/trainer_state.h"

namespace scopenode::ml {
namespace {

constexpr const char* kCheckpoint = "checkpoint.bin";
/// One thread is the fastest for networks of this size on few cores (two spend half their time waiting for
/// each other), and the only safe one: with two threads and a batch of 15, the backward pass of a convolution
/// in oneDNN 2.7 (Debian 12) writes outside its buffers.
constexpr int kDefaultThreads = 1;

Status check(const TrainOptions& o, const TrainingSet& data) {
    const auto wrong = [](const char* what) { return fail(Code::kInvalidArgument, "{}", what); };
    if (o.epochs < 1) return wrong("at least one epoch is needed");
    if (o.batch < 1) return wrong("a batch needs at least one slice");
    if (!(o.learning_rate > 0)) return wrong("the learning rate must be above 0");
    if (!(o.validation_share >= 0 && o.validation_share < 1))
        return wrong("the validation share must be at least 0 and under 1");
    if (!(o.cnn_rate > 0 && std::isfinite(o.cnn_rate)))
        return wrong(
            "the factor of the CNNs' learning rate must be above 0: depth encoder leaves them alone");
    if (!(o.distillation >= 0 && std::isfinite(o.distillation)))
        return wrong("the weight of distillation must be at least 0");
    if (!(o.rehearsal_share >= 0 && o.rehearsal_share < 1))
        return wrong("the rehearsal share must be at least 0 and under 1");
    if (o.patience < 0) return wrong("patience must be at least 0");
    if (o.natural_epochs < 0 || o.natural_epochs > o.epochs)
        return wrong("natural epochs must be at least 0 and no more than epochs");
    if (o.precision != "fp32" && o.precision != "bf16")
        return wrong("the precision of training is fp32 or bf16");
    if (!o.from && o.depth != Depth::kAll) return wrong("a depth other than all needs a model to start from");
    if (!o.from && o.distillation > 0) return wrong("distillation needs a model to start from");
    if (data.size() == 0) return wrong("the training set holds no slice");
    return {};
}

double peak_memory_mb() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return double(usage.ru_maxrss) / 1024;
}

/// One training run: the network, its moving average, the optimizer and where they are.
class Run {
  public:
    Run(const TrainOptions& options, const SliceCache& cache, Split split, const std::string& data)
        : options_(options),
          cache_(cache),
          data_(data),
          split_(std::move(split)),
          steps_per_epoch_((order_of(0).size() + batch() - 1) / batch()) {}

    Status prepare() {
        SCOPENODE_TRY(check_split());
        SCOPENODE_ASSIGN(device_, find_device(options_.device));
        torch::manual_seed(options_.seed);
        SCOPENODE_ASSIGN(state_, make_training_state(options_, device_));
        if (options_.distillation > 0) {
            SCOPENODE_ASSIGN(teacher_, make_scopeformer(options_.preset));
            SCOPENODE_TRY(load_weights(*teacher_, options_.from->weights, options_.from->where));
            teacher_->to(device_);
            teacher_->eval();
        }
        const auto checkpoint = options_.out / kCheckpoint;
        std::error_code ec;
        if (options_.resume && std::filesystem::exists(checkpoint, ec))
            return state_->restore(checkpoint, fingerprint());
        return {};
    }

    Status go(const std::function<void(const EpochReport&)>& on_epoch) {
        while (options_.depth != Depth::kCalibration && state_->epoch < options_.epochs && !gave_up()) {
            SCOPENODE_ASSIGN(EpochReport report, run_epoch());
            state_->history.push_back(report);
            ++state_->epoch;
            if (options_.patience > 0 && best_epoch(state_->history) + 1 == state_->epoch)
                state_->best = save_weights(*state_->average);
            SCOPENODE_TRY(state_->save(options_.out / kCheckpoint, fingerprint()));
            if (on_epoch) on_epoch(report);
        }
        return {};
    }

    Status finish() {
        if (!state_->best.empty())
            SCOPENODE_TRY(load_weights(*state_->average, state_->best, "the best average"));
        if (options_.depth != Depth::kCalibration) refresh_statistics();
        const ScoredSet judged = score_validation();
        SCOPENODE_ASSIGN(Manifest manifest, manifest_of(judged));
        // Weights that did not change keep the range of the data that they learnt from.
        if (options_.depth != Depth::kCalibration)
            manifest.range = measure_range(*state_->average, cache_.records(), split_, batch(),
                                           [this](const Indices& some) { return inputs(some); });
        ModelFiles files;
        files.weights = weights();
        files.manifest_json = manifest_json(manifest);
        const RunFigures figures{split_.training.size(),
                                 split_.rehearsal.size(),
                                 split_.validation.size(),
                                 judged.studies.size(),
                                 study_auroc(judged.studies),
                                 figures_of(judged.slices.probabilities, judged.slices.truth),
                                 baselines_of(judged.slices.truth),
                                 state_->best.empty() ? state_->epoch : best_epoch(state_->history) + 1,
                                 cache_.skipped()};
        files.metrics_json = metrics_json(options_, state_->history, figures);
        files.card = plain_card(options_, manifest, figures);
        files.where = options_.out.string();
        SCOPENODE_TRY(write_model_folder(options_.out, files));
        std::error_code ignored;
        std::filesystem::remove(options_.out / kCheckpoint, ignored);
        SliceCache::remove(options_.out);
        return {};
    }

  private:
    using Indices = std::vector<std::size_t>;

    std::size_t batch() const { return static_cast<std::size_t>(options_.batch); }
    std::size_t smallest_batch() const { return options_.threads > 1 ? batch() : 2; }

    Status check_split() const {
        if (options_.depth != Depth::kCalibration && !split_.learns())
            return fail(Code::kInvalidArgument,
                        "no labelled slice is left for training beside the validation patients");
        if (split_.validation.empty() && (options_.depth == Depth::kCalibration || options_.patience > 0))
            return fail(Code::kInvalidArgument,
                        "there is no patient to judge by, which depth calibration and patience need");
        return {};
    }

    Indices order_of(int epoch) const {
        return epoch_order(cache_.records(), split_,
                           {options_.seed, epoch, epoch >= options_.epochs - options_.natural_epochs,
                            options_.rehearsal_share});
    }

    bool gave_up() const {
        return options_.patience > 0 && !state_->history.empty() &&
               state_->epoch - 1 - best_epoch(state_->history) >= options_.patience;
    }

    /// A checkpoint only fits a run that would do the same.
    std::string fingerprint() const {
        // Defaults add nothing: checkpoints from before there was a choice still fit.
        const TrainOptions usual;
        std::string more = options_.loss == usual.loss ? "" : "|" + std::string(word(options_.loss));
        const auto add = [&more](const char* name, const auto& value, const auto& otherwise) {
            if (value != otherwise) more += fmt::format("|{}={}", name, value);
        };
        add("depth", word(options_.depth), word(usual.depth));
        add("cnn_rate", options_.cnn_rate, usual.cnn_rate);
        add("distillation", options_.distillation, usual.distillation);
        add("rehearsal_share", options_.rehearsal_share, usual.rehearsal_share);
        add("patience", options_.patience, usual.patience);
        add("precision", options_.precision, usual.precision);
        add("natural_epochs", options_.natural_epochs, usual.natural_epochs);
        add("records", told_of_slices(), std::string());
        return sha256_hex(fmt::format(
            "1|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}{}", preset_json(options_.preset), data_, cache_.records().size(),
            options_.epochs, options_.batch, options_.learning_rate, options_.weight_decay, options_.seed,
            options_.validation_share, options_.from ? options_.from->id() : "", more));
    }

    /// Parts, rehearsal and weights; nothing where the set says nothing of them.
    std::string told_of_slices() const {
        std::string told;
        for (std::size_t i = 0; i < cache_.records().size(); ++i) {
            const SliceRecord& r = cache_.records()[i];
            if (r.part || r.rehearsal || r.weight != 1)
                told += fmt::format("{}:{},{},{};", i, r.part ? int(*r.part) : -1, r.rehearsal, r.weight);
        }
        return told.empty() ? told : sha256_hex(told);
    }

    /// Warm-up over 4 %, then a cosine down to 1 %.
    double learning_rate(std::size_t step) const {
        const double total = double(steps_per_epoch_) * options_.epochs,
                     warm = std::max(1.0, std::floor(total * 0.04));
        if (double(step) < warm) return options_.learning_rate * (double(step) + 1) / warm;
        const double place = (double(step) - warm) / std::max(1.0, total - warm);
        return options_.learning_rate * (0.01 + 0.99 * 0.5 * (1 + std::cos(M_PI * place)));
    }

    torch::Tensor inputs(const Indices& some) const { return images(cache_.batch(some)).to(device_); }
    torch::Tensor images(const torch::Tensor& hu) const { return apply_windows(hu, options_.preset.windows); }

    /// Where the batches of an epoch begin and end. A batch of one has no batch statistics, an odd one is not
    /// safe with more threads (see above): its slices come again in another epoch.
    std::vector<Indices> batches_of(const Indices& order) const {
        std::vector<Indices> batches;
        for (std::size_t at = 0; at < order.size(); at += batch()) {
            const std::size_t end = std::min(order.size(), at + batch());
            if (batch() > 1 && end - at < std::min(order.size(), smallest_batch())) break;
            batches.emplace_back(order.begin() + std::ptrdiff_t(at), order.begin() + std::ptrdiff_t(end));
        }
        return batches;
    }

    Result<EpochReport> run_epoch() {
        const auto start = std::chrono::steady_clock::now();
        const int epoch = state_->epoch;
        // Every epoch starts its own streams, so that a resumed run draws what an unbroken one would.
        const std::uint64_t stream = options_.seed * 1000003 + static_cast<std::uint64_t>(epoch);
        torch::manual_seed(stream);
        const auto batches = batches_of(order_of(epoch));
        train_above(*state_->network, options_.depth);
        EpochReport report;
        report.epoch = epoch + 1;
        Progress progress(fmt::format("epoch {}/{}", epoch + 1, options_.epochs), batches.size() * batch());
        std::size_t step = steps_per_epoch_ * static_cast<std::size_t>(epoch);
        BatchLoader loader(batches.size(), [&](std::size_t b) {
            const auto hu = augment(cache_.batch(batches[b]), stream * 100003 + b * batch());
            return Batch{images(hu), targets_of(cache_.records(), batches[b]), batches[b].size()};
        });
        for (std::size_t b = 0; const auto next = loader.next(); ++b, ++step) {
            const double loss = train_batch(*next, learning_rate(step));
            if (!std::isfinite(loss))
                return fail(Code::kInternal, "training diverged in epoch {}: use a smaller learning rate",
                            epoch + 1);
            report.train_loss += (loss - report.train_loss) / double(b + 1);
            report.slices += next->slices;
            progress.advance(report.slices, fmt::format("loss {:.4f}", report.train_loss));
        }
        const double seconds =
            std::max(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 1e-9);
        report.slices_per_second = double(report.slices) / seconds;
        report.waiting_share = std::min(loader.waited_seconds() / seconds, 1.0);
        const ScoredSet judged = score_validation();
        report.validation_loss = judged.loss;
        report.validation_auroc = study_auroc(judged.studies);
        report.peak_memory_mb = peak_memory_mb();
        progress.finish(fmt::format("loss {:.4f}, validation loss {:.4f}, any {:.3f}", report.train_loss,
                                    report.validation_loss, report.validation_auroc[0]));
        return report;
    }

    double train_batch(const Batch& batch, double rate) {
        const auto pictures = batch.images.to(device_);
        torch::Tensor loss;
        {
            const Autocast autocast(device_, options_.precision == "bf16");
            const auto logits = state_->network->forward(pictures).to(torch::kFloat32);
            loss = training_loss(options_.loss, logits, batch.targets);
            if (teacher_) loss = loss + options_.distillation * divergence(logits, taught(pictures));
        }
        state_->optimizer->zero_grad();
        loss.backward();
        torch::nn::utils::clip_grad_norm_(state_->network->parameters(), 1.0);
        state_->set_learning_rate(rate);
        state_->optimizer->step();
        state_->update_average();
        return loss.item<double>();
    }

    /// What the model that it began with says.
    torch::Tensor taught(const torch::Tensor& pictures) {
        const torch::NoGradGuard no_grad;
        return teacher_->forward(pictures).to(torch::kFloat32);
    }

    /// By the moving average.
    ScoredSet score_validation() {
        return score_set(*state_->average, cache_.records(), split_.validation, batch(),
                         [this](const Indices& some) { return inputs(some); });
    }

    /// Batch norms of the average have seen other weights: their statistics are taken again.
    void refresh_statistics() {
        const torch::NoGradGuard no_grad;
        const Indices order = order_of(options_.epochs);
        const std::size_t batches = std::clamp<std::size_t>(order.size() / batch(), 1, 48);
        state_->refresh_statistics(batches, [&](std::size_t b) {
            const std::size_t at = b * batch(), end = std::min(order.size(), at + batch());
            const Indices indices(order.begin() + std::ptrdiff_t(at), order.begin() + std::ptrdiff_t(end));
            return inputs(indices);
        });
    }

    std::string weights() const {
        return options_.depth == Depth::kCalibration ? options_.from->weights
                                                     : save_weights(*state_->average);
    }

    Result<Manifest> manifest_of(const ScoredSet& judged) const {
        Manifest manifest;
        manifest.preset = options_.preset;
        manifest.name = options_.name.empty() ? options_.preset.name : options_.name;
        manifest.version = options_.version;
        manifest.demonstration = options_.demonstration;
        manifest.data_snapshot = data_;
        manifest.data_licence = options_.data_licence;
        Manifest before;
        if (options_.from) {
            manifest.parent = options_.from->id();
            SCOPENODE_ASSIGN(before, parse_manifest(options_.from->manifest_json));
            // What began with a demonstration stays one, whatever it learns.
            manifest.demonstration |= before.demonstration;
            manifest.sources = before.sources;
            manifest.range = before.range;
        }
        manifest.calibration = fit_platt(
            judged.studies, fmt::format("{} validation studies of {}", judged.studies.size(), data_),
            before.calibration);
        if (options_.from && manifest.calibration.method != "none" &&
            manifest.calibration.data == before.calibration.data)
            manifest.calibration.data =
                fmt::format("that of model {}: {}", manifest.parent, before.calibration.data);
        manifest.thresholds = fit_thresholds(judged.studies, manifest, options_.from ? &before : nullptr);
        manifest.weights_sha256 = sha256_hex(weights());
        return manifest;
    }

    const TrainOptions& options_;
    const SliceCache& cache_;
    const std::string data_;
    const Split split_;
    const std::size_t steps_per_epoch_;
    torch::Device device_ = torch::kCPU;
    std::unique_ptr<TrainingState> state_;
    std::shared_ptr<Scopeformer> teacher_;
};

}  // namespace

Status train(const TrainOptions& options, const TrainingSet& data,
             const std::function<void(const EpochReport&)>& on_epoch) {
    return guard(Code::kInternal, [&]() -> Status {
        SCOPENODE_TRY(check(options, data));
        std::error_code ec;
        std::filesystem::create_directories(options.out, ec);
        if (ec) return fail(Code::kIo, "cannot make folder {}: {}", options.out.string(), ec.message());
        keep_activations();
        at::set_num_threads(1);
        SCOPENODE_ASSIGN(const auto cache, SliceCache::open(options.out, data, options.preset.input_size));
        at::set_num_threads(options.threads > 0 ? options.threads : kDefaultThreads);
        SCOPENODE_ASSIGN(auto split, split_by_patient(cache->records(), options.validation_share));
        Run run(options, *cache, std::move(split), data.description());
        SCOPENODE_TRY(run.prepare());
        SCOPENODE_TRY(run.go(on_epoch));
        return run.finish();
    });
}

}  // namespace scopenode::ml
