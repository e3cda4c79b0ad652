#pragma once
#include <torch/torch.h>

#include <memory>
#include <string>

#include "ml/manifest.h"
#include "ml/torch/scopeformer.h"

namespace scopenode::ml {

/// auto (a GPU where there is one), cpu, cuda:N; kInvalidArgument when it is not there.
Result<torch::Device> find_device(const std::string& wanted);

/// LibTorch's threads of the process, 0: as many as cores; presets with narrow CNNs get one.
void set_inference_threads(const Preset& preset, int wanted);
/// Lets the allocator keep what forward passes free; once a process.
void keep_freed_memory();

/// Activations of tens of megabytes come and go with every batch: kept by the allocator instead of being
/// returned to the system each time, which halves the time of a step where page faults are dear.
void keep_activations();

/// A slice of a size that can be scored.
Status check_slice(const HuImage& slice);

/// The network of a model folder on the CPU, for inference: weights compared with their sha256, every tensor
/// filled. kDamagedModel names the file and the fault.
Result<std::shared_ptr<Scopeformer>> load_network(const ModelFiles& files, const Manifest& manifest);

}  // namespace scopenode::ml
