#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ml/phantom/phantom.h"
#include "ml/trainer.h"
#include "workflows/training/snapshot.h"

namespace scopenode::workflows {

/// What may be learnt of a snapshot: the studies of its sides "learn" and "judge", and phantoms for
/// rehearsal. Held out and golden studies are not in it: nothing that trains on this can see them. An object
/// that is not the one of the snapshot (its sha256 differs) is an error of load().
class SnapshotDataset final : public ml::TrainingSet {
  public:
    /// `objects`: the node folder, below which the paths of the snapshot stand.
    static Result<std::unique_ptr<SnapshotDataset>> open(const std::filesystem::path& snapshot,
                                                         const std::filesystem::path& objects);

    std::size_t size() const override { return slices_.size() + (phantoms_ ? phantoms_->size() : 0); }
    Result<ml::LabelledSlice> load(std::size_t index) const override;
    std::string description() const override { return description_; }

  private:
    SnapshotDataset() = default;

    struct Place {
        std::size_t study = 0, slice = 0;
    };
    Snapshot snapshot_;
    std::filesystem::path objects_;
    std::vector<Place> slices_;
    std::unique_ptr<ml::TrainingSet> phantoms_;
    std::string description_;
};

/// The image of a slice, if its object is still the one of the snapshot.
Result<HuImage> read_slice(const Snapshot& snapshot, const SnapshotSlice& slice,
                           const std::filesystem::path& objects);

/// Phantoms that stand for what a demonstration model has learnt from. Never those of its own training or
/// tests.
inline constexpr std::uint64_t kRehearsalSeed = 90210, kGoldenSeed = 31415;
ml::PhantomOptions phantoms_like_training(std::uint64_t seed);

}  // namespace scopenode::workflows
