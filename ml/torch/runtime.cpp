#include "ml/torch/runtime.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <mutex>
#include <thread>

#include "base/core/ids.h"

namespace scopenode::ml {

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

void keep_activations() {
#ifdef __GLIBC__
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 256 << 20);
#endif
}

void set_inference_threads(const Preset& preset, int wanted) {
    // Narrow layers lose more to waiting for each other's threads than they win, and oneDNN 2.6 was seen to
    // write past its buffers on them with more than one thread.
    for (const BackbonePreset& cnn : preset.backbones)
        if (cnn.width < 1) wanted = 1;
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

Result<std::shared_ptr<Scopeformer>> load_network(const ModelFiles& files, const Manifest& manifest) {
    const std::string where = files.where + "/weights.safetensors";
    if (sha256_hex(files.weights) != manifest.weights_sha256)
        return fail(Code::kDamagedModel, "{}: its sha256 is not the one in model.json (damaged or exchanged)",
                    where);
    return guard(Code::kDamagedModel, [&]() -> Result<std::shared_ptr<Scopeformer>> {
        SCOPENODE_ASSIGN(auto network, make_scopeformer(manifest.preset));
        SCOPENODE_TRY(load_weights(*network, files.weights, where));
        network->eval();
        for (auto& parameter : network->parameters()) parameter.set_requires_grad(false);
        return network;
    });
}

}  // namespace scopenode::ml
