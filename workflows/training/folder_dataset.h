#pragma once
#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "ml/trainer.h"
#include "storage/dicom/rescale.h"

namespace scopenode::workflows {

/// What a labels file says of one slice; a finding that it does not mention is unknown.
using SliceLabels = std::array<std::optional<bool>, ml::kLabelCount>;

/// Reads a per-slice file, see label_file.h. Keys are the slices.
Result<std::map<std::string, SliceLabels>> read_kaggle_labels(const std::filesystem::path& csv);

/// A slice of a folder: its file and what its header tells.
struct FolderSlice {
    std::filesystem::path file;
    std::string study, patient;
    double z_mm = 0, pixel_mm = 0, slice_mm = 0;
    SliceLabels labels;
    std::string series;
    bool has_rsna_quirk = false;
};

/// A folder of DICOM files with a labels.csv in it, as `scopenode phantom` makes it or as the RSNA set is:
/// labels are found by SOP instance UID or by file name. Files without a label, and files that are no CT
/// slices, are left out. With Rescale::kRsnaQuirk the description, which models keep as their data snapshot, says so.
class FolderDataset final : public ml::TrainingSet {
  public:
    static Result<std::unique_ptr<FolderDataset>> open(const std::filesystem::path& folder,
                                                       storage::Rescale rescale = storage::Rescale::kAsTold);

    std::size_t size() const override { return slices_.size(); }
    Result<ml::LabelledSlice> load(std::size_t index) const override;
    std::string description() const override { return description_; }
    std::string identity() const override { return description_ + "|" + files_digest_; }
    /// Files whose headers cannot be read.
    std::vector<std::string> skipped() const override { return skipped_; }

    /// By study, then along the normal of the stack.
    const std::vector<FolderSlice>& slices() const { return slices_; }

  private:
    FolderDataset() = default;

    std::vector<FolderSlice> slices_;
    std::vector<std::string> skipped_;
    std::string description_, files_digest_;  ///< of names and sizes
    storage::Rescale rescale_ = storage::Rescale::kAsTold;
};

}  // namespace scopenode::workflows
