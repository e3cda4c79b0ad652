#include "ml/model.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <mutex>
#include <thread>

#include "base/core/ids.h"
#include "ml/torch/compat.h"
#include "ml/torch/scopeformer.h"

namespace scopenode::ml {
namespace {

/// Tensors of a forward pass come and go by the hundred; given back to the system each time, their page
/// faults cost four times what the arithmetic does (measured on scopeformer_nano).
void keep_freed_memory() {
#ifdef __GLIBC__
    static std::once_flag once;
    std::call_once(once, [] {
        mallopt(M_MMAP_THRESHOLD, 32 << 20);
        mallopt(M_TRIM_THRESHOLD, 128 << 20);
    });
#endif
}

void set_threads(int wanted) {
    const int cores = std::max(1, int(std::thread::hardware_concurrency()));
    at::set_num_threads(wanted > 0 ? wanted : cores);
    // LibTorch takes this number once a process and throws later on.
    static std::once_flag once;
    std::call_once(once, [] {
        try {
            at::set_num_interop_threads(1);
        } catch (const std::exception&) {
        }
    });
}

Result<torch::Device> find_device(const std::string& wanted) {
    const int gpus = torch::cuda::is_available() ? int(torch::cuda::device_count()) : 0;
    if (wanted == "cpu" || (wanted == "auto" && gpus == 0)) return torch::Device(torch::kCPU);
    if (wanted == "auto") return torch::Device(torch::kCUDA, 0);
    const std::string head = "cuda:";
    const std::string digits = wanted.rfind(head, 0) == 0 ? wanted.substr(head.size()) : "";
    if (digits.empty() || digits.size() > 2 || digits.find_first_not_of("0123456789") != std::string::npos)
        return fail(Code::kInvalidArgument, "device '{}' is none of auto, cpu, cuda:N", wanted);
    const int index = std::stoi(digits);
    if (index >= gpus)
        return fail(Code::kInvalidArgument,
                    "device '{}' is not there: LibTorch sees {} GPUs; use cpu or auto", wanted, gpus);
    return torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(index));
}

Status check_slice(const HuImage& slice) {
    constexpr int kLargest = 8192;
    if (slice.width < 1 || slice.height < 1 || slice.width > kLargest || slice.height > kLargest ||
        slice.hu.size() != std::size_t(slice.width) * std::size_t(slice.height))
        return fail(Code::kInvalidArgument, "a slice of {} x {} with {} values cannot be scored", slice.width,
                    slice.height, slice.hu.size());
    return {};
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

    Result<std::vector<Scores>> infer(std::span<const HuImage> slices) const override {
        for (const HuImage& slice : slices) SCOPENODE_TRY(check_slice(slice));
        return guard(Code::kInternal, [&]() -> Result<std::vector<Scores>> {
            const std::lock_guard lock(mutex_);
            c10::InferenceMode inference;
            std::vector<Scores> scores;
            scores.reserve(slices.size());
            for (std::size_t begin = 0; begin < slices.size(); begin += batch_)
                SCOPENODE_TRY(
                    infer_batch(slices.subspan(begin, std::min(batch_, slices.size() - begin)), scores));
            return scores;
        });
    }

  private:
    Status infer_batch(std::span<const HuImage> slices, std::vector<Scores>& scores) const {
        std::vector<torch::Tensor> images;
        for (const HuImage& slice : slices) images.push_back(resize_hu(slice, manifest_.preset.input_size));
        const torch::Tensor input = apply_windows(torch::stack(images).to(device_), manifest_.preset.windows);
        const torch::Tensor output =
            torch::sigmoid(network_->forward(input).to(torch::kFloat32)).to(torch::kCPU).contiguous();
        const auto values = output.accessor<float, 2>();
        for (std::int64_t row = 0; row < output.size(0); ++row) {
            Scores& slice = scores.emplace_back();
            for (std::size_t label = 0; label < kLabelCount; ++label) {
                slice[label] = values[row][std::int64_t(label)];
                if (!(slice[label] >= 0 && slice[label] <= 1))
                    return fail(Code::kInternal, "model {} gave a score that is not a probability", id_);
            }
        }
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
    const std::string weights = files.where + "/weights.safetensors";
    if (sha256_hex(files.weights) != manifest->weights_sha256)
        return fail(Code::kDamagedModel, "{}: its sha256 is not the one in model.json (damaged or exchanged)",
                    weights);
    // Narrow layers lose more to waiting for each other's threads than they win, and oneDNN 2.6 was seen to
    // write past its buffers on them with more than one thread.
    const auto& cnns = manifest->preset.backbones;
    const bool narrow = std::any_of(cnns.begin(), cnns.end(), [](const auto& cnn) { return cnn.width < 1; });
    set_threads(narrow ? 1 : options.threads);
    keep_freed_memory();
    return guard(Code::kDamagedModel, [&]() -> Result<std::shared_ptr<const Model>> {
        SCOPENODE_ASSIGN(auto network, make_scopeformer(manifest->preset));
        SCOPENODE_TRY(load_weights(*network, files.weights, weights));
        network->eval();
        network->to(device);
        for (auto& parameter : network->parameters()) parameter.set_requires_grad(false);
        return std::make_shared<const LoadedModel>(std::move(*manifest), files.manifest_sha256(),
                                                   std::move(network), device, options.batch);
    });
}

}  // namespace scopenode::ml
