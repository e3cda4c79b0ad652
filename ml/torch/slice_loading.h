#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "ml/trainer.h"

namespace scopenode::ml {

/// Which slices of a set are loaded, and how.
struct SliceLoading {
    std::size_t begin = 0, end = 0;
    int side = 256;                 ///< they are resized to it
    std::size_t most_faults = 0;    ///< more of them end it
    bool wait_for_machine = false;  ///< faults that pass by themselves (a share that is away) end it at once
};
/// A slice as it is kept: whole HU, side x side.
struct ReadySlice {
    SliceRecord record;
    std::vector<std::int16_t> hu;
};
using KeepSlice = std::function<Status(std::size_t index, ReadySlice&& slice)>;
/// Loads slices with a thread a core. `keep` is called for one at a time, in any order; its error ends the
/// work. Gives the faults of those that could not be loaded, by index.
Result<std::map<std::size_t, Error>> load_slices(const TrainingSet& data, const SliceLoading& loading,
                                                 const KeepSlice& keep);

/// "more than a tenth of N slices cannot be read, such as: ..."
tl::unexpected<Error> too_many_faults(std::size_t slices, const std::vector<std::string>& skipped,
                                      const std::map<std::size_t, Error>& faults);

}  // namespace scopenode::ml
