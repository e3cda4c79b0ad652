#pragma once
#include <torch/torch.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "ml/trainer.h"

namespace scopenode::ml {

/// Every slice of a training set, read once: resized, whole HU, in one file, so that a set larger than memory
/// works and a resumed run does not read again; or where the set has them already. Safe to read from several
/// threads. What cannot be read stays as a record without labels.
class SliceCache {
  public:
    /// `data` must outlive it. Uses what is in `folder` when it was made from the same data for the same
    /// size, else reads everything. An error when more than a tenth cannot be read.
    static Result<std::unique_ptr<SliceCache>> open(const std::filesystem::path& folder,
                                                    const TrainingSet& data, int size);
    /// Deletes the files in `folder`.
    static void remove(const std::filesystem::path& folder);

    virtual ~SliceCache() = default;
    virtual const std::vector<SliceRecord>& records() const = 0;
    /// What the set skipped and what could not be read, in words.
    virtual const std::vector<std::string>& skipped() const = 0;
    /// N x 1 x size x size in HU, float32. Throws when the disk fails.
    virtual torch::Tensor batch(const std::vector<std::size_t>& indices) const = 0;
};

}  // namespace scopenode::ml
