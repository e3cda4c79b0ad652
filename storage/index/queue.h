#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"

namespace scopenode::storage {

class Connection;

/// The follow-up work of received objects, in order; written in the transaction that stores the object.
struct EventRow {
    std::int64_t id = 0;
    std::string kind;                ///< "received"
    std::int64_t study_id = 0, series_id = 0, instance_id = 0;
};
Result<std::vector<EventRow>> pending_events(Connection& db, int limit);
/// Removes the events up to and including `last_id` that belong to `ids`.
Status finish_events(Connection& db, const std::vector<std::int64_t>& ids);

/// A job of the node: survives the process, claimed atomically, tried again with a growing pause.
struct JobRow {
    std::int64_t id = 0;
    std::string kind;                ///< "study"
    std::int64_t study_id = 0;
    std::string study_uid;
    int revision = 0;
    std::string state;               ///< queued, running, done, failed, cancelled
    int attempts = 0;
    UtcMs created = 0, next = 0;
    std::optional<UtcMs> started, ended;
    std::string last_error;
};
/// One open (queued or running) job per (kind, study, revision): adding it again returns the open one.
Result<std::int64_t> add_job(Connection& db, const std::string& kind, std::int64_t study_id, int revision, UtcMs now);
/// The next queued job whose time has come becomes running, its attempt counted; nothing when there is none.
Result<std::optional<JobRow>> claim_job(Connection& db, UtcMs now);
/// When the next queued job is due; nothing when none is queued.
Result<std::optional<UtcMs>> next_job_due(Connection& db);
Status finish_job(Connection& db, std::int64_t id, UtcMs now);
/// Back to the queue at `next` with the error, or failed for good when `next` is absent.
Status fail_job(Connection& db, std::int64_t id, const std::string& error, std::optional<UtcMs> next, UtcMs now);
Status retry_job(Connection& db, std::int64_t id, UtcMs now);     ///< failed or cancelled -> queued; kConflict else
Status cancel_job(Connection& db, std::int64_t id, UtcMs now);    ///< queued -> cancelled; kConflict else
/// At start: what was running when the process died is queued again (its attempt stays counted).
Result<int> requeue_running_jobs(Connection& db);
Result<std::optional<JobRow>> find_job(Connection& db, std::int64_t id);
Result<std::vector<JobRow>> list_jobs(Connection& db, const std::string& state, int limit);
Result<std::vector<JobRow>> jobs_of(Connection& db, std::int64_t study_id);

}  // namespace scopenode::storage
