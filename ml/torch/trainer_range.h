#pragma once
#include <torch/torch.h>

#include <functional>
#include <vector>

#include "ml/manifest.h"
#include "ml/torch/scopeformer.h"
#include "ml/torch/trainer_cache.h"
#include "ml/torch/trainer_split.h"

namespace scopenode::ml {

/// Where the slices lie that a network learnt from, of at most 1,024 of them. The limit is 1.1 times the
/// largest distance of a judging study; with fewer than 20 of those, of the learnt ones too. The network goes
/// into the mode of inference.
Manifest::TrainingRange measure_range(
    Scopeformer& network, const std::vector<SliceRecord>& records, const Split& split, std::size_t batch,
    const std::function<torch::Tensor(const std::vector<std::size_t>&)>& images);

}  // namespace scopenode::ml
