#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"

namespace scopenode::storage {

class Connection;

/// A Modality Performed Procedure Step (PS3.4 F.7) as a modality told it: evidence of what a study should
/// hold.
struct MppsRow {
    std::string sop_instance_uid;
    std::string state;                    ///< IN PROGRESS, COMPLETED, DISCONTINUED
    std::vector<std::string> study_uids;  ///< of the Scheduled Step Attributes Sequence
    std::string calling_ae, station_ae;
    UtcMs created = 0, changed = 0;
    std::optional<UtcMs> ended;       ///< when it became COMPLETED or DISCONTINUED
    std::vector<std::string> images;  ///< SOP instances of the Performed Series Sequence
    std::string discontinuation_reason;
};
/// The objects of a Performed Series Sequence, by series.
struct PerformedSeries {
    std::string series_uid;
    std::vector<std::string> images;
};
/// What an N-SET changes; what is absent stays.
struct MppsChange {
    std::string state;  ///< "" stays
    std::optional<std::vector<PerformedSeries>> series;
    std::string discontinuation_reason;
};

/// Adds the step and, for each of its studies that the index knows, the event "mpps". kConflict when the UID
/// is known.
Status create_mpps(Connection& db, const MppsRow& row, const std::vector<PerformedSeries>& series);
/// Changes the step, with events as above. kNotFound without it, kConflict when it has ended before.
Status change_mpps(Connection& db, const std::string& sop_instance_uid, const MppsChange& change, UtcMs now);
/// The steps that name the study, oldest first.
Result<std::vector<MppsRow>> mpps_of(Connection& db, const std::string& study_uid);
/// How many steps there are by state.
Result<std::map<std::string, std::int64_t>> mpps_counts(Connection& db);

/// The event of a study that something other than an object speaks of; nothing when the study is not known.
Status add_study_event(Connection& db, const std::string& kind, const std::string& study_uid);

}  // namespace scopenode::storage
