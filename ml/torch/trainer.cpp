#include "ml/trainer.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "base/core/progress.h"
#include "ml/torch/runtime.h"
#include "ml/torch/scopeformer.h"
#include "ml/torch/trainer_batch.h"
#include "ml/torch/trainer_cache.h"
#include "ml/torch/trainer_fit.h"
#include "ml/torch/trainer_state.h"

namespace scopenode::ml {
namespace {

constexpr const char* kCheckpoint = "checkpoint.bin";
/// One thread is the fastest for networks of this size on few cores (two spend half their time waiting for
/// each other), and the only safe one: with two threads and a batch of 15, the backward pass of a convolution
/// in oneDNN 2.7 (Debian 12) writes outside its buffers.
constexpr int kDefaultThreads = 1;

Status check(const TrainOptions& options, const TrainingSet& data) {
    if (options.epochs < 1) return fail(Code::kInvalidArgument, "at least one epoch is needed");
    if (options.batch < 1) return fail(Code::kInvalidArgument, "a batch needs at least one slice");
    if (!(options.learning_rate > 0))
        return fail(Code::kInvalidArgument, "the learning rate must be above 0");
    if (!(options.validation_share >= 0 && options.validation_share < 1))
        return fail(Code::kInvalidArgument, "the validation share must be at least 0 and under 1");
    if (data.size() == 0) return fail(Code::kInvalidArgument, "the training set holds no slice");
    return {};
}

/// Activations of tens of megabytes come and go with every batch: kept by the allocator instead of being
/// returned to the system each time, which halves the time of a step where page faults are dear.
void keep_activations() {
#ifdef __GLIBC__
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 256 << 20);
#endif
}

/// One training run: the network, its moving average, the optimizer and where they are.
class Run {
  public:
    Run(const TrainOptions& options, const SliceCache& cache, const std::string& data)
        : options_(options),
          cache_(cache),
          data_(data),
          split_(split_by_patient(cache.records(), options.validation_share)),
          steps_per_epoch_((epoch_size(cache.records(), split_.training) + batch() - 1) / batch()) {}

    Status prepare() {
        if (split_.training.empty())
            return fail(Code::kInvalidArgument,
                        "no labelled slice is left for training beside the validation patients");
        SCOPENODE_ASSIGN(device_, find_device(options_.device));
        torch::manual_seed(options_.seed);
        SCOPENODE_ASSIGN(state_, make_training_state(options_, device_));
        const auto checkpoint = options_.out / kCheckpoint;
        std::error_code ec;
        if (options_.resume && std::filesystem::exists(checkpoint, ec))
            return state_->restore(checkpoint, fingerprint());
        return {};
    }

    Status go(const std::function<void(const EpochReport&)>& on_epoch) {
        while (state_->epoch < options_.epochs) {
            SCOPENODE_ASSIGN(EpochReport report, run_epoch());
            state_->history.push_back(report);
            ++state_->epoch;
            SCOPENODE_TRY(state_->save(options_.out / kCheckpoint, fingerprint()));
            if (on_epoch) on_epoch(report);
        }
        return {};
    }

    Status finish() {
        refresh_statistics();
        ScoredSlices slices;
        const auto studies = score_validation(nullptr, &slices);
        Manifest manifest;
        manifest.preset = options_.preset;
        manifest.name = options_.name.empty() ? options_.preset.name : options_.name;
        manifest.demonstration = options_.demonstration;
        manifest.data_snapshot = data_;
        manifest.data_licence = options_.data_licence;
        manifest.parent = options_.from ? options_.from->id() : "";
        manifest.calibration =
            fit_platt(studies, fmt::format("{} validation studies of {}", studies.size(), data_));
        manifest.thresholds = fit_thresholds(studies, manifest);
        ModelFiles files;
        files.weights = save_weights(*state_->average);
        manifest.weights_sha256 = sha256_hex(files.weights);
        files.manifest_json = manifest_json(manifest);
        const RunFigures figures{split_.training.size(),
                                 split_.validation.size(),
                                 studies.size(),
                                 study_auroc(studies),
                                 figures_of(slices.probabilities, slices.truth),
                                 baselines_of(slices.truth)};
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

    /// A checkpoint only fits a run that would do the same.
    std::string fingerprint() const {
        // The default loss adds nothing: checkpoints from before there was a choice still fit.
        const std::string loss = options_.loss == Loss::kRsna ? "" : "|" + std::string(word(options_.loss));
        return sha256_hex(fmt::format(
            "1|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}{}", preset_json(options_.preset), data_, cache_.records().size(),
            options_.epochs, options_.batch, options_.learning_rate, options_.weight_decay, options_.seed,
            options_.validation_share, options_.from ? options_.from->id() : "", loss));
    }

    /// Warm-up over 4 %, then a cosine down to 1 %.
    double learning_rate(std::size_t step) const {
        const double total = double(steps_per_epoch_) * options_.epochs,
                     warm = std::max(1.0, std::floor(total * 0.04));
        if (double(step) < warm) return options_.learning_rate * (double(step) + 1) / warm;
        const double place = (double(step) - warm) / std::max(1.0, total - warm);
        return options_.learning_rate * (0.01 + 0.99 * 0.5 * (1 + std::cos(M_PI * place)));
    }

    torch::Tensor images(const torch::Tensor& hu) const {
        return apply_windows(hu.to(device_), options_.preset.windows);
    }

    Result<EpochReport> run_epoch() {
        const auto start = std::chrono::steady_clock::now();
        const int epoch = state_->epoch;
        // Every epoch starts its own streams, so that a resumed run draws what an unbroken one would.
        const std::uint64_t stream = options_.seed * 1000003 + static_cast<std::uint64_t>(epoch);
        torch::manual_seed(stream);
        const Indices order = epoch_order(cache_.records(), split_.training, options_.seed, epoch);
        Progress progress(fmt::format("epoch {}/{}", epoch + 1, options_.epochs), order.size());
        state_->network->train();
        double loss_sum = 0;
        std::size_t step = steps_per_epoch_ * static_cast<std::size_t>(epoch), batches = 0;
        for (std::size_t at = 0; at < order.size(); at += batch(), ++step, ++batches) {
            const std::size_t end = std::min(order.size(), at + batch());
            const Indices indices(order.begin() + std::ptrdiff_t(at), order.begin() + std::ptrdiff_t(end));
            // A batch of one has no batch statistics, an odd one is not safe with more threads (see above):
            // its slices come again in another epoch.
            if (batch() > 1 && indices.size() < std::min(order.size(), smallest_batch())) break;
            const double loss = train_batch(indices, stream * 100003 + at, learning_rate(step));
            if (!std::isfinite(loss))
                return fail(Code::kInternal, "training diverged in epoch {}: use a smaller learning rate",
                            epoch + 1);
            loss_sum += loss;
            progress.advance(end, fmt::format("loss {:.4f}", loss_sum / double(batches + 1)));
        }
        const double seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        EpochReport report;
        report.epoch = epoch + 1;
        report.train_loss = loss_sum / double(std::max<std::size_t>(batches, 1));
        report.slices_per_second = double(order.size()) / std::max(seconds, 1e-9);
        report.validation_auroc = study_auroc(score_validation(&report.validation_loss));
        progress.finish(fmt::format("loss {:.4f}, validation loss {:.4f}, any {:.3f}", report.train_loss,
                                    report.validation_loss, report.validation_auroc[0]));
        return report;
    }

    double train_batch(const Indices& indices, std::uint64_t draw, double rate) {
        const auto hu = augment(cache_.batch(indices), draw);
        const auto loss = training_loss(options_.loss, state_->network->forward(images(hu)),
                                        targets_of(cache_.records(), indices));
        state_->optimizer->zero_grad();
        loss.backward();
        torch::nn::utils::clip_grad_norm_(state_->network->parameters(), 1.0);
        state_->set_learning_rate(rate);
        state_->optimizer->step();
        state_->update_average();
        return loss.item<double>();
    }

    /// Study scores of the validation patients by the moving average; the loss is over slices.
    std::vector<ScoredStudy> score_validation(double* loss, ScoredSlices* each = nullptr) {
        const torch::NoGradGuard no_grad;
        state_->average->eval();
        std::map<std::string, std::vector<PlacedScores>> slices;
        std::map<std::string, ScoredStudy> studies;
        double loss_sum = 0;
        for (std::size_t at = 0; at < split_.validation.size(); at += batch()) {
            const std::size_t end = std::min(split_.validation.size(), at + batch());
            const Indices indices(split_.validation.begin() + std::ptrdiff_t(at),
                                  split_.validation.begin() + std::ptrdiff_t(end));
            const auto logits = state_->average->forward(images(cache_.batch(indices)));
            loss_sum += weighted_loss(logits, targets_of(cache_.records(), indices)).item<double>() *
                        double(indices.size());
            const auto probabilities = torch::sigmoid(logits).to(torch::kCPU).contiguous();
            for (std::size_t n = 0; n < indices.size(); ++n) {
                const auto& record = cache_.records()[indices[n]];
                PlacedScores placed{record.z_mm, {}};
                std::copy_n(probabilities.data_ptr<float>() + n * kLabelCount, kLabelCount,
                            placed.scores.begin());
                slices[record.study].push_back(placed);
                if (each) each->add(placed.scores, record.labels);
                add_truth(studies[record.study], record);
            }
        }
        if (loss) *loss = loss_sum / double(std::max<std::size_t>(split_.validation.size(), 1));
        std::vector<ScoredStudy> out;
        for (auto& [uid, study] : studies) {
            study.scores = aggregate(slices[uid]);
            out.push_back(study);
        }
        return out;
    }

    /// One known positive slice makes a study positive; one unknown among negatives leaves it unknown.
    static void add_truth(ScoredStudy& study, const SliceRecord& record) {
        const bool first = !study.seen;
        study.seen = true;
        for (std::size_t k = 0; k < kLabelCount; ++k) {
            const auto& label = record.labels[k];
            if (label.value_or(false))
                study.truth[k] = true;
            else if (first)
                study.truth[k] = label;
            else if (!study.truth[k].value_or(false) && !label)
                study.truth[k].reset();
        }
    }

    /// Batch norms of the average have seen other weights: their statistics are taken again.
    void refresh_statistics() {
        const torch::NoGradGuard no_grad;
        const Indices order = epoch_order(cache_.records(), split_.training, options_.seed, options_.epochs);
        const std::size_t batches = std::clamp<std::size_t>(order.size() / batch(), 1, 48);
        state_->refresh_statistics(batches, [&](std::size_t b) {
            const std::size_t at = b * batch(), end = std::min(order.size(), at + batch());
            const Indices indices(order.begin() + std::ptrdiff_t(at), order.begin() + std::ptrdiff_t(end));
            return images(cache_.batch(indices));
        });
    }

    const TrainOptions& options_;
    const SliceCache& cache_;
    const std::string data_;
    const Split split_;
    const std::size_t steps_per_epoch_;
    torch::Device device_ = torch::kCPU;
    std::unique_ptr<TrainingState> state_;
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
        Run run(options, *cache, data.description());
        SCOPENODE_TRY(run.prepare());
        SCOPENODE_TRY(run.go(on_epoch));
        return run.finish();
    });
}

}  // namespace scopenode::ml
