#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "storage/index/catalog.h"
#include "storage/index/results.h"

namespace scopenode::storage {

class Connection;

/// A report by another hand that answers (or claims to answer) a result of this node.
struct FeedbackRow {
    std::int64_t id = 0, instance_id = 0, study_id = 0;
    std::string study_uid, sop_instance_uid, series_uid;
    std::string calling_ae;  ///< who sent it
    UtcMs received = 0;
    std::string state;   ///< complete, pending, unmatched
    std::string reason;  ///< why it is not complete
    std::string kind;    ///< correction, confirmation, "" while unmatched
    std::string reader, organization;
    std::optional<UtcMs> read_at;
    std::optional<std::int64_t> result_id;
    std::string result_sop_instance_uid, result_model_sha256;  ///< "" while unmatched
    int result_revision = 0;
    std::string answered_by;         ///< how the result was found
    bool saw_result = false;         ///< the reader had the result before the eyes
    std::string superseded_by;       ///< SOP instance of the same reader's newer version
    std::int64_t newest_result = 0;  ///< id of the newest result when a match was sought
    std::string comments, document;  ///< JSON
    struct Finding {
        std::string label, presence, was, answer;
    };
    std::vector<Finding> findings;
    std::vector<std::string> predecessors;  ///< SOP instance UIDs
};

/// Adds the record, or replaces that of the same instance (a match that was found later). False when the
/// instance has a record already and `replace` is not set.
Result<bool> put_feedback(Connection& db, const FeedbackRow& row, bool replace);
struct FeedbackFilter {
    std::string state;  ///< "" all; "superseded" those
    std::string study_uid;
    int limit = 1000;
};
Result<std::vector<FeedbackRow>> list_feedback(Connection& db,
                                               const FeedbackFilter& filter);  ///< newest first
Result<std::optional<FeedbackRow>> find_feedback(Connection& db, std::int64_t id);
/// Records of documents with this SOP Instance UID.
Result<std::vector<FeedbackRow>> feedback_of_sop(Connection& db, const std::string& sop_instance_uid);
/// Records that name the document as their predecessor.
Result<std::vector<FeedbackRow>> feedback_after(Connection& db, const std::string& sop_instance_uid);
Status supersede_feedback(Connection& db, std::int64_t id, const std::string& by_sop_instance_uid);
/// Instances of unmatched records for which results or answers have come since a match was sought.
Result<std::vector<std::int64_t>> feedback_to_match(Connection& db);

/// An instance with what tells whether it can be a slice or a report of others.
struct Arrival {
    InstanceRow instance;
    std::string study_uid, series_uid;
    bool own_series = false;
};
Result<std::optional<Arrival>> arrival(Connection& db, std::int64_t instance_id);
Result<std::optional<ResultRow>> result_of_sop(Connection& db, const std::string& sop_instance_uid);
Result<std::int64_t> newest_result_id(Connection& db);
/// An object that this node made: a result, or stored by it in a series of its own.
Result<bool> is_own_object(Connection& db, const std::string& sop_instance_uid);
/// The event "received" for an instance that is kept as a conflict copy.
Status add_received_event(Connection& db, const Inserted& instance);
/// A remark, unless the study has the same one already.
Status add_remark_once(Connection& db, std::int64_t study_id, const Remark& remark);

}  // namespace scopenode::storage
