#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "ml/labels.h"

namespace scopenode::workflows {

/// One label of a file: of a slice, or of a whole study.
struct FileLabel {
    std::string study_uid, slice;  ///< one of them is ""; a slice's SOP Instance UID, or the RSNA set's name
    std::size_t finding = 0;       ///< place in ml::kLabels
    bool value = false;
    std::string reader;  ///< of a per-study file with such a column, else ""
};
struct LabelFile {
    std::vector<FileLabel> labels;
    std::size_t duplicates = 0;  ///< lines that say again what another said
    std::string sha256;
};

/// Reads one of two forms, told apart by the first line:
///   per slice, as Kaggle's RSNA set: `ID,Label`, ID is `<slice>_<finding>`, label 0 or 1 (the head may be
///   missing) per study: `study_uid,any,epidural,...` with some of the findings in any order, 0, 1 or
///   nothing; a column `reader` names who read it; `volume_ml` and `contrast_hu` are passed over, any other column is a fault.
/// kInvalidArgument names every faulty line, one a line of the message; contradictions are faults,
/// repetitions are not.
Result<LabelFile> read_label_file(const std::filesystem::path& csv);

}  // namespace scopenode::workflows
