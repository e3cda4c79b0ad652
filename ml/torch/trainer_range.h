#pragma once
#include <torch/torch.h>

#include <functional>
#include <vector>

#include "ml/manifest.h"
#include "ml/torch/scopeformer.h"
#include "ml/torch/trainer_cache.h"
#include "ml/torch/trainer_split.h"

namespace scopenode::ml {

/// What the slices that a network learnt from look like to it, of whole studies with about 1,024 slices
/// together. The limit is 1.1 times the largest distance of a judging study; with fewer than 20 of those, of
/// the learnt ones too. Unknown with fewer than four learnt studies. The network goes into the mode of
/// inference.
Manifest::TrainingRange measure_range(
    Scopeformer& network, const std::vector<SliceRecord>& records, const Split& split, std::size_t batch,
    const std::function<torch::Tensor(const std::vector<std::size_t>&)>& images);

}  // namespace scopenode::ml
