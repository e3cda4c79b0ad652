#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/core/hu_image.h"
#include "ml/model.h"
#include "storage/dicom/header.h"
#include "storage/dicom/rescale.h"

namespace scopenode::workflows {

/// One CT slice, read, and how it was found.
struct ChosenSlice {
    std::filesystem::path file;
    storage::InstanceHeader header;
    HuImage image;
    std::string reason;  ///< "the only one", "the highest probability of any hemorrhage (0.931) of 28 slices"
    /// SOP instance UID, or the file's name where it has none.
    std::string name() const;
};

/// What a folder is searched for and by which model it is scored.
struct SliceSearch {
    std::filesystem::path where;  ///< a DICOM file or a folder
    std::string
        wanted;  ///< SOP instance UID or file (also below `where`), "": the one with the highest `any`
    int minimum_slices = 8;
    /// Called only when slices have to be scored.
    std::function<Result<std::shared_ptr<const ml::Model>>()> load_model;
    storage::Rescale rescale = storage::Rescale::kAsTold;
    std::vector<std::string> decoder = {};  ///< command of the decoding process; empty: none
};
/// kNotFound, kCannotUnderstand (no DICOM), kUnsupported (no CT slice, no pixels): one sentence with the
/// file.
Result<ChosenSlice> choose_slice(const SliceSearch& search);

}  // namespace scopenode::workflows
