#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "storage/dicom/header.h"
#include "workflows/eligibility.h"
#include "workflows/reasons.h"

namespace scopenode::workflows {

/// A file of the offline commands.
struct OfflineObject {
    std::filesystem::path file;
    storage::InstanceHeader header;
};
/// The objects of one study by series, both in the order in which they were found.
struct OfflineStudy {
    std::vector<std::vector<const OfflineObject*>> series;
    std::vector<SeriesHeaders> headers;
    std::vector<storage::Judgement> judgements;
};
/// What is scored: the slices of the eligible series, or every CT slice of a study that has none.
struct Selection {
    bool eligible = false;
    bool is_mixed = false;  ///< images of more than one patient
    std::string series_uid;
    std::vector<const OfflineObject*> slices;
    std::vector<Reason> reasons;
};

/// The files given, and those below the folders given in order of their paths. kNotFound, kIo.
Result<std::vector<std::filesystem::path>> all_files(const std::vector<std::filesystem::path>& inputs);
/// Everything readable; the rest is named on stderr. The same object given twice counts once.
std::vector<std::unique_ptr<OfflineObject>> read_objects(const std::vector<std::filesystem::path>& files);
/// By study, judged; points into `objects`.
std::vector<OfflineStudy> group_studies(const std::vector<std::unique_ptr<OfflineObject>>& objects,
                                        int minimum_slices);
Selection select_slices(const OfflineStudy& study);

}  // namespace scopenode::workflows
