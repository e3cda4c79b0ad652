#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"

namespace scopenode::storage {

class Connection;

/// One delivery of a result to a destination.
struct OutboxRow {
    std::int64_t id = 0, result_id = 0, study_id = 0;
    std::string destination;  ///< name in the settings
    std::string study_uid, sop_class_uid, sop_instance_uid;
    int rank = 0;       ///< within its study, smaller ones first
    std::string state;  ///< waiting, sent, refused, superseded
    int attempts = 0;
    UtcMs next = 0;
    std::optional<UtcMs> sent;
    std::string last_error;
    std::string reason_code;  ///< why it ended as it did: see workflows/delivery.h
    std::string commitment;   ///< none, requested, committed, failed, given_up
    int commitment_tries = 0;
    std::string transaction_uid;  ///< of the last Storage Commitment request, "" none
};
Status add_delivery(Connection& db, std::int64_t result_id, const std::string& destination, UtcMs now,
                    int rank = 0);
/// The waiting delivery to a destination that is to go next: smaller ranks first, and none of a study while
/// one of smaller rank still waits, be it for its next attempt.
Result<std::optional<OutboxRow>> next_delivery(Connection& db, const std::string& destination, UtcMs now);
Result<std::vector<std::string>> waiting_destinations(Connection& db);
/// SOP classes of what waits for a destination.
Result<std::vector<std::string>> waiting_classes(Connection& db, const std::string& destination);
/// Sent, with the peer's remark; `ask` when Storage Commitment is to follow.
Status delivery_sent(Connection& db, std::int64_t id, UtcMs now, bool ask = false,
                     const std::string& remark = "");
/// Waits until `next`, or is refused for good when `next` is absent.
Status delivery_failed(Connection& db, std::int64_t id, const std::string& error, std::optional<UtcMs> next,
                       const std::string& reason_code = "");
/// Everything that waits for the destination is refused: how many.
Result<int> refuse_waiting(Connection& db, const std::string& destination, const std::string& error,
                           const std::string& reason_code);
/// For waiting and refused ones, and those that were sent and not committed.
Status retry_delivery(Connection& db, std::int64_t id, UtcMs now);
Result<std::vector<OutboxRow>> list_outbox(Connection& db, const std::string& state, int limit);
Result<std::vector<OutboxRow>> deliveries_of(Connection& db, std::int64_t study_id);
/// Since when the oldest delivery to each destination waits.
Result<std::map<std::string, UtcMs>> oldest_waiting(Connection& db);

/// What negotiation has taught about a destination: SOP classes and whether it takes them.
Status learn_profile(Connection& db, const std::string& destination,
                     const std::map<std::string, bool>& classes, UtcMs now);
Result<std::map<std::string, bool>> profile_of(Connection& db, const std::string& destination);
/// Nothing when the class was never offered to the destination.
Result<std::optional<bool>> accepts(Connection& db, const std::string& destination,
                                    const std::string& sop_class_uid);

}  // namespace scopenode::storage
