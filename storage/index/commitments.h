#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"

namespace scopenode::storage {

class Connection;

/// Storage Commitment (PS3.4 J): what one side asks and the other answers about instances.
namespace failure_reason {
constexpr int kProcessing = 0x0110, kNoSuchInstance = 0x0112, kClassConflict = 0x0119,
              kDuplicateTransaction = 0x0131;
}
struct CommitmentInstance {
    std::string sop_class_uid, sop_instance_uid;
    std::optional<int> failure;  ///< 0: safe; else the Failure Reason; nothing: not said yet
    std::int64_t study_id = 0;   ///< of the instance in the index, 0 when it is not there
};
/// N-ACTION: a transaction and its instances. N-EVENT-REPORT: the same, each with `failure` set.
struct CommitmentNotice {
    std::string transaction_uid;
    std::vector<CommitmentInstance> instances;
};

// --- what peers ask of us

struct CommitmentRequestRow {
    std::int64_t id = 0;
    std::string transaction_uid, calling_ae;
    UtcMs requested = 0;
    std::string state;  ///< waiting (for its report to arrive), answered, given_up
    int attempts = 0;   ///< reports on associations of our own
    UtcMs next = 0;
    std::optional<UtcMs> answered;
    std::string last_error;
    std::vector<CommitmentInstance> instances;
};
/// Adds the request, its report due at `next`, and the event "commitment" for each study of its instances.
/// The same question again is the same request, to be reported again; kConflict when the transaction asked
/// for others before.
Result<std::int64_t> add_commitment_request(Connection& db, const CommitmentNotice& question,
                                            const std::string& calling_ae, UtcMs now, UtcMs next);
Result<std::optional<CommitmentRequestRow>> find_commitment_request(Connection& db, std::int64_t id);
/// Those that name instances of the study, oldest first.
Result<std::vector<CommitmentRequestRow>> commitment_requests_of(Connection& db, std::int64_t study_id);
Result<std::vector<CommitmentRequestRow>> commitment_reports_due(Connection& db, UtcMs now, int limit);
/// What was found of its instances, in their order.
Status commitment_checked(Connection& db, std::int64_t id, const std::vector<CommitmentInstance>& instances);
Status commitment_reported(Connection& db, std::int64_t id, UtcMs now);
/// The report is due at `next`, or given up when `next` is absent; an attempt unless `error` is empty.
Status commitment_not_reported(Connection& db, std::int64_t id, const std::string& error,
                               std::optional<UtcMs> next);

// --- what we ask of destinations, for deliveries that are sent and "requested"

struct CommitmentRow {
    std::int64_t id = 0;
    std::string transaction_uid, destination;
    UtcMs created = 0;
    std::string state;  ///< open, answered, given_up
    int asked = 0;      ///< N-ACTIONs that the destination answered
    UtcMs next = 0;     ///< when to ask (again)
    std::string last_error;
    std::vector<CommitmentInstance> instances;
};
/// Makes transactions of the destination's deliveries that none asks for yet. Their UIDs follow from the
/// deliveries.
Status open_commitments(Connection& db, const std::string& destination, UtcMs now);
/// Whether something is to be asked of the destination now.
Result<bool> commitment_is_due(Connection& db, const std::string& destination, UtcMs now);
Result<std::vector<CommitmentRow>> commitments_due(Connection& db, const std::string& destination, UtcMs now);
Result<bool> commitment_is_open(Connection& db, std::int64_t id);
/// The question was answered (with `error`: by a failure status); no report is expected before `next`.
Status commitment_asked(Connection& db, std::int64_t id, UtcMs next, const std::string& error);
/// No answer came, or the destination knows no commitment (`state` of the deliveries: "given_up" or "none").
Status end_commitment(Connection& db, std::int64_t id, const std::string& state, const std::string& error,
                      UtcMs now);
/// Takes the destination's report: committed, or sent again at `again` up to three times in all. False when
/// there is no such transaction; a report that comes twice changes nothing.
Result<bool> answer_commitment(Connection& db, const CommitmentNotice& report, UtcMs now, UtcMs again);
/// How many deliveries there are by state of their commitment, without "none".
Result<std::map<std::string, std::int64_t>> commitment_counts(Connection& db);

}  // namespace scopenode::storage
