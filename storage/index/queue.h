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
Result<bool> has_pending_events(Connection& db, std::int64_t study_id);
/// Removes the events up to and including `last_id` that belong to `ids`.
Status finish_events(Connection& db, const std::vector<std::int64_t>& ids);

/// A job of the node: survives the process, claimed atomically, tried again with a growing pause. Its attempt is
/// committed before its work starts.
struct JobRow {
    std::int64_t id = 0;
    std::string kind;                ///< "study"
    std::int64_t study_id = 0;
    std::string study_uid;
    int revision = 0;
    std::string state;               ///< queued, running, done, failed (a dead letter), cancelled
    int attempts = 0;
    UtcMs created = 0, next = 0;
    std::optional<UtcMs> started, ended;
    std::string last_error;
    int priority = 0;                ///< 0 routine, 1 high, 2 STAT
    std::string claim;               ///< whose it is while it runs
    std::string request;             ///< JSON of a person's wish, or ""
};
struct NewJob {
    std::string kind = "study";
    std::int64_t study_id = 0;
    int revision = 0, priority = 0;
    std::string request;
};
/// A step of priority is worth this much waiting: a routine job that has waited longer goes first (ageing).
constexpr int kPriorityStat = 2;
constexpr UtcMs kPriorityStepMs = 30 * 60 * 1000;
/// One open (queued or running) job per (kind, study, revision): adding it again returns the open one.
Result<std::int64_t> add_job(Connection& db, const NewJob& job, UtcMs now);
/// Of the queued jobs whose time has come, and of the running ones whose lease has ended, the first by priority and
/// age becomes running until `now + lease`, its attempt counted; nothing when there is none.
Result<std::optional<JobRow>> claim_job(Connection& db, UtcMs now, UtcMs lease, const std::string& claim);
/// kCancelled when the job is not ours any more: cancelled by a person or claimed by another.
Status renew_lease(Connection& db, const JobRow& job, UtcMs until);
/// When the next job can be claimed; nothing when there is none.
Result<std::optional<UtcMs>> next_job_due(Connection& db);
/// The end of a claimed job; kCancelled as above.
Status finish_job(Connection& db, const JobRow& job, UtcMs now);
/// Back to the queue at `next` with the error, or a dead letter when `next` is absent; kCancelled as above.
Status fail_job(Connection& db, const JobRow& job, const std::string& error, std::optional<UtcMs> next, UtcMs now);
Status retry_job(Connection& db, std::int64_t id, UtcMs now);     ///< failed or cancelled -> queued; kConflict else
Status cancel_job(Connection& db, std::int64_t id, UtcMs now);    ///< queued or running -> cancelled; kConflict else
/// Queued jobs of a study take its new priority.
Status set_job_priority(Connection& db, std::int64_t study_id, int priority);
/// At start: what was running when the process died is queued again (its attempt stays counted).
Result<int> requeue_running_jobs(Connection& db);
Result<std::optional<JobRow>> find_job(Connection& db, std::int64_t id);
Result<std::vector<JobRow>> list_jobs(Connection& db, const std::string& state, int limit);
Result<std::vector<JobRow>> jobs_of(Connection& db, std::int64_t study_id);
/// How many jobs stand in each state.
Result<std::vector<std::pair<std::string, std::int64_t>>> count_jobs(Connection& db);

}  // namespace scopenode::storage
