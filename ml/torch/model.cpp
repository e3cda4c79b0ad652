#include "ml/model.h"

#include <algorithm>
#include <mutex>

#include "ml/torch/grad_cam.h"
#include "ml/torch/runtime.h"

namespace scopenode::ml {
namespace {

/// LibTorch has had several exceptions for it, by device and version: their words have stayed.
bool is_lack_of_memory(const std::string& message) {
    for (const char* words :
         {"out of memory", "can't allocate memory", "not enough memory", "std::bad_alloc"})
        if (message.find(words) != std::string::npos) return true;
    return false;
}

class LoadedModel final : public Model {
  public:
    LoadedModel(Manifest manifest, std::string sha256, std::shared_ptr<Scopeformer> network,
                torch::Device device, int batch)
        : manifest_(std::move(manifest)),
          sha256_(std::move(sha256)),
          id_(sha256_.substr(0, 12)),
          network_(std::move(network)),
          device_(device),
          batch_(std::size_t(std::max(1, batch))) {}

    const Manifest& manifest() const override { return manifest_; }
    const std::string& id() const override { return id_; }
    const std::string& manifest_sha256() const override { return sha256_; }
    std::string device() const override { return device_.str(); }

    Result<std::vector<SliceScores>> infer(std::span<const HuImage> slices) const override {
        for (const HuImage& slice : slices) SCOPENODE_TRY(check_slice(slice));
        auto inferred = guard(Code::kInternal, [&]() -> Result<std::vector<SliceScores>> {
            const std::lock_guard lock(mutex_);
            c10::InferenceMode inference;
            std::vector<SliceScores> scores;
            scores.reserve(slices.size());
            for (std::size_t begin = 0; begin < slices.size(); begin += batch_)
                SCOPENODE_TRY(
                    infer_batch(slices.subspan(begin, std::min(batch_, slices.size() - begin)), scores));
            return scores;
        });
        return memory_told_apart(std::move(inferred), slices.size());
    }

    Result<std::vector<Grid>> grad_cam(const HuImage& slice,
                                       std::span<const std::size_t> labels) const override {
        SCOPENODE_TRY(check_slice(slice));
        auto maps = guard(Code::kInternal, [&]() -> Result<std::vector<Grid>> {
            const std::lock_guard lock(mutex_);
            const torch::NoGradGuard no_grad;
            const torch::Tensor input =
                apply_windows(resize_hu(slice, manifest_.preset.input_size).unsqueeze(0).to(device_),
                              manifest_.preset.windows);
            return joint_grad_cam(*network_, network_->features(input), labels);
        });
        return memory_told_apart(std::move(maps), 1);
    }

  private:
    template <class T>
    Result<T> memory_told_apart(Result<T> result, std::size_t slices) const {
        if (result || !is_lack_of_memory(result.error().message)) return result;
        return fail(Code::kOutOfResources, "{} has no memory for {} slices", device(), slices);
    }
    Status infer_batch(std::span<const HuImage> slices, std::vector<SliceScores>& scores) const {
        std::vector<torch::Tensor> images;
        for (const HuImage& slice : slices) images.push_back(resize_hu(slice, manifest_.preset.input_size));
        const torch::Tensor input = apply_windows(torch::stack(images).to(device_), manifest_.preset.windows);
        const auto features = network_->features(input);
        const torch::Tensor output = torch::sigmoid(network_->classify(features, nullptr).to(torch::kFloat32))
                                         .to(torch::kCPU)
                                         .contiguous();
        const auto values = output.accessor<float, 2>();
        for (std::int64_t row = 0; row < output.size(0); ++row) {
            Scores& slice = scores.emplace_back().scores;
            for (std::size_t label = 0; label < kLabelCount; ++label) {
                slice[label] = values[row][std::int64_t(label)];
                if (!(slice[label] >= 0 && slice[label] <= 1))
                    return fail(Code::kInternal, "model {} gave a score that is not a probability", id_);
            }
        }
        if (!manifest_.range.known()) return {};
        const torch::Tensor summary = network_->summary(features).to(torch::kCPU).contiguous();
        const auto first = scores.size() - slices.size(), width = manifest_.range.mean.size();
        for (std::size_t i = 0; i < slices.size(); ++i)
            scores[first + i].distance =
                distance_from(manifest_.range, summary.data_ptr<float>() + i * width);
        return {};
    }

    const Manifest manifest_;
    const std::string sha256_, id_;
    const std::shared_ptr<Scopeformer> network_;
    const torch::Device device_;
    const std::size_t batch_;
    mutable std::mutex mutex_;
};

}  // namespace

Result<std::shared_ptr<const Model>> Model::load(const ModelFiles& files, const ModelOptions& options) {
    SCOPENODE_ASSIGN(const torch::Device device, find_device(options.device));
    auto manifest = parse_manifest(files.manifest_json);
    if (!manifest) return fail(Code::kDamagedModel, "{}: {}", files.where, manifest.error().message);
    set_inference_threads(manifest->preset, options.threads);
    // Page faults of freed activations take a third of the time of a CNN of the published size.
    const auto& cnns = manifest->preset.backbones;
    const bool narrow = std::all_of(cnns.begin(), cnns.end(), [](const auto& cnn) { return cnn.width < 1; });
    narrow ? keep_freed_memory() : keep_activations();
    SCOPENODE_ASSIGN(auto network, load_network(files, *manifest));
    return guard(Code::kInternal, [&]() -> Result<std::shared_ptr<const Model>> {
        network->to(device);
        network->prepare_inference(options.precision == Precision::kBfloat16);
        return std::make_shared<const LoadedModel>(std::move(*manifest), files.manifest_sha256(),
                                                   std::move(network), device, options.batch);
    });
}

}  // namespace scopenode::ml
