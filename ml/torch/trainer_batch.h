#pragma once
#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "ml/torch/trainer_cache.h"

namespace scopenode::ml {

/// Indices into the records: which slices train and which validate. By hash of the patient, so that a patient
/// stays on one side whatever else the data holds.
struct Split {
    std::vector<std::size_t> training, validation;
};
Split split_by_patient(const std::vector<SliceRecord>& records, double validation_share);

/// One epoch's order: every positive slice and a third of the others, shuffled. Depends on its arguments
/// alone.
std::vector<std::size_t> epoch_order(const std::vector<SliceRecord>& records,
                                     const std::vector<std::size_t>& training, std::uint64_t seed, int epoch);
/// How many slices an epoch has: the same for every epoch.
std::size_t epoch_size(const std::vector<SliceRecord>& records, const std::vector<std::size_t>& training);

/// Flip, small rotation, scale and shift, HU offset and gain, for N x 1 x S x S in HU.
torch::Tensor augment(const torch::Tensor& hu, std::uint64_t seed);

/// Labels as N x 6, and which of them are known (1 or 0) times the weight of the label (any counts twice).
struct Targets {
    torch::Tensor truth, weight;
};
Targets targets_of(const std::vector<SliceRecord>& records, const std::vector<std::size_t>& indices);
/// Weighted mean of the binary cross entropies over all known labels of the batch. Where all are known it is
/// the figure of RSNA 2019: torch's own loss with weights would divide by 6 instead of 7.
torch::Tensor weighted_loss(const torch::Tensor& logits, const Targets& targets);
/// What a step makes small.
torch::Tensor training_loss(Loss loss, const torch::Tensor& logits, const Targets& targets);

}  // namespace scopenode::ml
