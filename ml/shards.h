#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/core/files.h"
#include "base/core/result.h"
#include "ml/slice_file.h"
#include "ml/trainer.h"

namespace scopenode::ml {

/// A training set as a folder that needs no DICOM: `shards.json` and files of some thousand slices, whole HU
/// of one size each, with their labels behind them and a sha256 of each. For sets of hundreds of thousands of
/// slices: converted once, streamed from disk, trained from on another machine. Layout: ml/README.md.
class ShardSet final : public TrainingSet, public StoredSlices {
  public:
    /// Reads and checks every byte, with a progress bar. kNotFound: no shards.json; kConflict: the conversion
    /// has not ended; kDamagedModel names the file that is missing, damaged or of another version.
    static Result<std::unique_ptr<ShardSet>> open(const std::filesystem::path& folder);

    std::size_t size() const override { return records_.size(); }
    Result<LabelledSlice> load(std::size_t index) const override;
    std::string description() const override { return description_; }
    std::vector<std::string> skipped() const override { return skipped_; }
    const StoredSlices* stored() const override { return this; }

    int side() const override { return side_; }
    const SliceRecord& record(std::size_t index) const override { return records_.at(index); }
    Status read(std::size_t index, std::span<std::int16_t> pixels) const override;

  private:
    ShardSet() = default;

    struct Shard {
        std::filesystem::path path;
        std::size_t first = 0;  ///< index of its first slice
    };
    Status add(const std::filesystem::path& path, const std::string& sha256, int per_shard);

    int side_ = 0;
    std::string description_;
    std::vector<Shard> shards_;
    std::vector<SliceRecord> records_;
    std::vector<std::string> skipped_;
};

struct ShardOptions {
    std::filesystem::path out;
    int side = 256;        ///< pixels, as the network takes them
    int per_shard = 2048;  ///< slices of the set a file
};
/// Writes the shards of a set. What an earlier run has finished in `out` stays; kConflict when it was made
/// from other data (TrainingSet::identity) or otherwise. A slice that cannot be loaded is left out and
/// listed, more than a tenth of them end it; a fault that passes by itself (a share that is away) ends it at
/// once, and the next run goes on there.
Status write_shards(const TrainingSet& data, const ShardOptions& options, FileSystem& files);

/// shards.json as both sides know it.
struct ShardList {
    int side = 0, per_shard = 0;
    std::string fingerprint, description;
    std::size_t slices = 0;  ///< of the set, with those that are left out
    struct File {
        std::string name, sha256;
        std::vector<std::string> skipped = {};  ///< slices of it that could not be loaded, in words
    };
    std::vector<File> shards;
    std::vector<std::string> skipped;  ///< what the set itself could not read
    bool complete = false;

    std::vector<std::string> all_skipped() const;
};
Result<ShardList> read_shard_list(const std::filesystem::path& folder);
Status write_shard_list(FileSystem& files, const std::filesystem::path& folder, const ShardList& list);

/// The start of every shard, before its pixels; behind them are the labels' JSON and its length in eight
/// bytes.
struct ShardHead {
    char magic[8] = {'S', 'N', 'S', 'H', 'A', 'R', 'D', '1'};
    std::uint32_t side = 0, reserved = 0;
};

}  // namespace scopenode::ml
