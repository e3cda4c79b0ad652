#pragma once
#include <optional>
#include <string>
#include <vector>

#include "storage/index/catalog.h"
#include "storage/index/database.h"
#include "workflows/study.h"

namespace scopenode::workflows {

/// Why the series of a study are not eligible, with their names; the one that came nearest to it first.
/// Results of this node are no series of a study.
Result<std::vector<Reason>> series_reasons(storage::Connection& db, std::int64_t study_id);

/// The image from which a report on a study without an eligible series takes patient and study.
struct Witness {
    storage::InstanceRow image;
    std::string series_uid;
};
/// A CT image, else any other, that could be read and has legal UIDs; of the series that series_reasons()
/// names first, where that has one. Nothing, and so no report, when there is none or when a series names more
/// than one patient.
Result<std::optional<Witness>> witness_of(storage::Connection& db, const storage::StudyRow& study);

}  // namespace scopenode::workflows
