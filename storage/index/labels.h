#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"

namespace scopenode::storage {

class Connection;

/// What somebody says of one finding in a study or in a slice.
struct LabelRow {
    std::int64_t id = 0;
    std::string study_uid;         ///< "" of a slice that a file names
    std::string sop_instance_uid;  ///< "" of a study's label
    std::string finding;           ///< "any", "epidural", ...
    bool value = false;
    std::string source;  ///< report, csv, command, adjudication
    std::string origin;  ///< SOP Instance UID of the report, sha256 of the file
    std::string reader;  ///< who says so
    std::string caller;  ///< AE title that sent the report
    std::optional<UtcMs> read_at;
    std::string result;  ///< SOP Instance UID of the result that it answers
    bool saw_result = false;
    UtcMs added = 0;
};
enum class LabelChange { kAdded, kSame, kChanged };
/// The newest word of a reader on a finding counts: an older one is kept and no longer current.
Result<LabelChange> put_label(Connection& db, const LabelRow& row);
/// The reader takes back what he said of the finding.
Status withdraw_label(Connection& db, const LabelRow& row);
/// Current labels of a study and of its slices.
Result<std::vector<LabelRow>> labels_of_study(Connection& db, const std::string& study_uid);
/// Studies that are here and have a label of their own or on a slice, by UID.
Result<std::vector<std::string>> labelled_studies(Connection& db);
struct LabelFilter {
    std::string study_uid, reader, source;  ///< "" any
    bool pending = false;                   ///< only those whose study or slice is not here
    int limit = 1000;
};
Result<std::vector<LabelRow>> list_labels(Connection& db, const LabelFilter& filter);  ///< newest first
/// When the newest label that counts was added; 0 while there is none.
Result<UtcMs> newest_label(Connection& db);
struct LabelCounts {
    std::int64_t labels = 0, pending = 0;
};
Result<LabelCounts> count_labels(Connection& db);

/// Images that a Key Object Selection marks: hints where to look, never labels.
struct KeyMark {
    std::string sop_instance_uid, study_uid, document, caller;
    UtcMs added = 0;
};
Status put_key_mark(Connection& db, const KeyMark& mark);  ///< again does nothing
Result<std::vector<KeyMark>> key_marks_of(Connection& db, const std::string& study_uid);

/// Studies that no training sees.
Status seal_golden(Connection& db, const std::string& study_uid, const std::string& reason, UtcMs now);
Result<std::vector<std::string>> golden_studies(Connection& db);
/// The side that the patient (a hash) was given first: "learn", "judge", "held_out"; `side` when there is
/// none yet.
Result<std::string> side_of_patient(Connection& db, const std::string& patient, const std::string& side);
/// Keeps it for good.
Status keep_side(Connection& db, const std::string& patient, const std::string& side);

}  // namespace scopenode::storage
