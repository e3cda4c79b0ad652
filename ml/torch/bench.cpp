#include "ml/bench.h"

#include <algorithm>
#include <chrono>

#include "ml/torch/layers.h"
#include "ml/torch/runtime.h"

namespace scopenode::ml {
namespace {

using torch::Tensor;

class Stopwatch {
  public:
    double milliseconds() const {
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
    }

  private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

Tensor batch_of(std::span<const HuImage> slices, const Preset& preset) {
    std::vector<Tensor> images;
    for (const HuImage& slice : slices) images.push_back(resize_hu(slice, preset.input_size));
    return apply_windows(torch::stack(images), preset.windows);
}

Tensor truth_of(std::span<const Scores> labels) {
    Tensor truth = torch::zeros({std::int64_t(labels.size()), std::int64_t(kLabelCount)});
    for (std::size_t i = 0; i < labels.size(); ++i)
        std::copy(labels[i].begin(), labels[i].end(), truth[std::int64_t(i)].data_ptr<float>());
    return truth;
}

/// What must not move: parameters without gradient, and the statistics of norms that do not learn.
std::vector<Tensor> frozen_tensors(const torch::nn::Module& network) {
    std::vector<Tensor> frozen;
    for (const auto& parameter : network.parameters())
        if (!parameter.requires_grad()) frozen.push_back(parameter);
    for (const auto& inner : network.modules())
        if (const auto* norm = dynamic_cast<const BatchNorm*>(inner.get()); norm && !norm->is_training()) {
            frozen.push_back(norm->running_mean);
            frozen.push_back(norm->running_var);
        }
    return frozen;
}

std::vector<Tensor> copies(const std::vector<Tensor>& tensors) {
    std::vector<Tensor> made;
    for (const Tensor& tensor : tensors) made.push_back(tensor.detach().clone());
    return made;
}

class FineTuning {
  public:
    FineTuning(std::shared_ptr<Scopeformer> network, double rate) : network_(std::move(network)) {
        network_->train();
        for (auto& parameter : network_->parameters())
            if (parameter.requires_grad()) learning_.push_back(parameter);
        optimizer_ = std::make_unique<torch::optim::AdamW>(learning_, torch::optim::AdamWOptions(rate));
    }

    /// The loss before the step.
    double step(const Tensor& images, const Tensor& truth) {
        optimizer_->zero_grad();
        const Tensor loss = torch::binary_cross_entropy_with_logits(network_->forward(images), truth);
        loss.backward();
        torch::nn::utils::clip_grad_norm_(learning_, 1.0);
        optimizer_->step();
        return loss.item<double>();
    }
    double loss(const Tensor& images, const Tensor& truth) {
        const torch::NoGradGuard no_grad;
        return torch::binary_cross_entropy_with_logits(network_->forward(images), truth).item<double>();
    }
    const std::vector<Tensor>& learning() const { return learning_; }

  private:
    std::shared_ptr<Scopeformer> network_;
    std::vector<Tensor> learning_;
    std::unique_ptr<torch::optim::AdamW> optimizer_;
};

long numbers(const std::vector<Tensor>& tensors) {
    long total = 0;
    for (const Tensor& tensor : tensors) total += long(tensor.numel());
    return total;
}

/// A sum per tensor tells whether it moved without keeping a second copy of a billion numbers.
std::vector<double> marks(const std::vector<Tensor>& tensors) {
    const torch::NoGradGuard no_grad;
    std::vector<double> sums;
    for (const Tensor& tensor : tensors) sums.push_back(tensor.abs().sum(torch::kDouble).item<double>());
    return sums;
}

}  // namespace

Preset resized(Preset preset, int input_size) {
    preset.input_size = input_size;
    if (preset.tokens != Tokens::kPatchesCls) preset.token_width = (input_size / 32) * (input_size / 32);
    return preset;
}

Result<InferenceFigures> bench_inference(const ModelFiles& files, const ModelOptions& options,
                                         std::span<const HuImage> slices, int rounds) {
    SCOPENODE_ASSIGN(const auto model, Model::load(files, options));
    InferenceFigures figures;
    figures.device = model->device();
    figures.batch = options.batch;
    figures.rounds = rounds;
    std::vector<double> times;
    for (int round = 0; round <= rounds; ++round) {
        const Stopwatch watch;
        SCOPENODE_ASSIGN(const auto scored, model->infer(slices));
        figures.scores.clear();
        for (const SliceScores& slice : scored) figures.scores.push_back(slice.scores);
        if (round > 0) times.push_back(watch.milliseconds() / double(slices.size()));
    }
    figures.milliseconds_per_slice = median(times);
    return figures;
}

Result<FineTuneFigures> bench_fine_tuning(const FineTuneOptions& options, std::span<const HuImage> slices,
                                          std::span<const Scores> labels) {
    if (slices.size() < 2 || slices.size() != labels.size() || options.steps < 1)
        return fail(Code::kInvalidArgument, "fine-tuning needs two slices or more, their labels and a step");
    for (const HuImage& slice : slices) SCOPENODE_TRY(check_slice(slice));
    return guard(Code::kInternal, [&]() -> Result<FineTuneFigures> {
        SCOPENODE_ASSIGN(const auto device, find_device(options.device));
        keep_activations();
        set_inference_threads(options.preset, options.threads);
        torch::manual_seed(options.seed);
        SCOPENODE_ASSIGN(auto network, make_scopeformer(options.preset));
        measure_norms(*network, options.preset.input_size);
        network->to(device);
        FineTuning tuning(network, options.learning_rate);
        const Tensor images = batch_of(slices, options.preset).to(device),
                     truth = truth_of(labels).to(device);
        const auto frozen = frozen_tensors(*network), before = copies(frozen);
        const auto learning_before = marks(tuning.learning());
        FineTuneFigures figures;
        figures.device = device.str();
        figures.frozen_parameters = 0;
        for (const auto& parameter : network->parameters())
            if (!parameter.requires_grad()) figures.frozen_parameters += long(parameter.numel());
        figures.learning_parameters = numbers(tuning.learning());
        std::vector<double> times;
        for (int step = 0; step < options.steps; ++step) {
            const Stopwatch watch;
            figures.losses.push_back(tuning.step(images, truth));
            times.push_back(watch.milliseconds());
        }
        figures.loss_after = tuning.loss(images, truth);
        figures.milliseconds_per_step = median(times);
        for (std::size_t i = 0; i < frozen.size(); ++i)
            figures.frozen_moved += long((frozen[i] != before[i]).sum().item<std::int64_t>());
        const auto learning_after = marks(tuning.learning());
        double moved = 0;
        for (std::size_t i = 0; i < learning_after.size(); ++i)
            moved += learning_after[i] != learning_before[i] ? 1 : 0;
        figures.learning_moved = moved / double(std::max<std::size_t>(1, learning_after.size()));
        return figures;
    });
}

}  // namespace scopenode::ml
