#pragma once
#include <cstdint>
#include <vector>

#include "base/core/result.h"
#include "ml/torch/trainer_cache.h"

namespace scopenode::ml {

/// Indices of the labelled records. No patient has slices in `validation` and in another list.
struct Split {
    std::vector<std::size_t> training;    ///< new ones to learn from; all where there are only earlier ones
    std::vector<std::size_t> rehearsal;   ///< earlier ones to learn from
    std::vector<std::size_t> validation;  ///< to judge by

    bool learns() const { return !training.empty(); }
};
/// A patient goes where the set puts one of its slices, else where its hash says, whatever else the data
/// hold. Slices without a patient belong to the patient that their study is. A patient that the set puts on
/// both sides is refused by name, as is a weight that is not above 0 and at most 1.
Result<Split> split_by_patient(const std::vector<SliceRecord>& records, double validation_share);

struct EpochDraw {
    std::uint64_t seed = 1;
    int epoch = 0;
    bool natural = false;        ///< all slices alike, and no more of them than in other epochs
    double rehearsal_share = 0;  ///< of the epoch's slices; a short list of them is gone through again
};
/// One epoch's order: of the new slices every positive one and a third of the others, the wanted share of
/// earlier ones taken in the same way, shuffled. Depends on its arguments alone; as long for every epoch.
std::vector<std::size_t> epoch_order(const std::vector<SliceRecord>& records, const Split& split,
                                     const EpochDraw& draw);

}  // namespace scopenode::ml
