#pragma once
#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "ml/torch/trainer_cache.h"

namespace scopenode::ml {

/// Flip, small rotation, scale and shift, HU offset and gain, for N x 1 x S x S in HU.
torch::Tensor augment(const torch::Tensor& hu, std::uint64_t seed);

/// Labels as N x 6, which of them are known (1 or 0) times the weight of the label (any counts twice), and
/// the weights of the slices as N x 1.
struct Targets {
    torch::Tensor truth, weight, slice;
};
Targets targets_of(const std::vector<SliceRecord>& records, const std::vector<std::size_t>& indices);
/// Weighted mean of the binary cross entropies over all known labels of the batch. Where all are known it is
/// the figure of RSNA 2019: torch's own loss with weights would divide by 6 instead of 7. All slices count.
torch::Tensor weighted_loss(const torch::Tensor& logits, const Targets& targets);
/// What a step makes small. A slice's share is multiplied by its weight and nothing is made up for: a batch
/// of weak labels moves the network less.
torch::Tensor training_loss(Loss loss, const torch::Tensor& logits, const Targets& targets);
/// Kullback-Leibler divergence of each label's two outcomes from what `before` says of them, mean over slices
/// and labels (any twice, divided by 7); labels are not asked.
torch::Tensor divergence(const torch::Tensor& logits, const torch::Tensor& before);

}  // namespace scopenode::ml
