#pragma once
#include <torch/torch.h>

#include <functional>
#include <vector>

#include "ml/torch/scopeformer.h"
#include "ml/torch/trainer_cache.h"
#include "ml/torch/trainer_fit.h"

namespace scopenode::ml {

/// Slices as a network scores them, and their studies.
struct ScoredSet {
    std::vector<ScoredStudy> studies;
    ScoredSlices slices;
    double loss = 0;  ///< weighted log loss over slices
};
/// `images` gives the network's input for some records. The network goes into the mode of inference.
ScoredSet score_set(Scopeformer& network, const std::vector<SliceRecord>& records,
                    const std::vector<std::size_t>& indices, std::size_t batch,
                    const std::function<torch::Tensor(const std::vector<std::size_t>&)>& images);

}  // namespace scopenode::ml
