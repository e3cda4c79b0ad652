#include "storage/index/queue.h"

#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

#define SCOPENODE_JOB_COLUMNS                                                                         \
    "SELECT j.id, j.kind, j.study, s.study_uid, j.revision, j.state, j.attempts, j.created, j.next, " \
    "j.started,"                                                                                      \
    " j.ended, j.last_error, j.priority, j.claim, j.request FROM jobs j JOIN studies s ON s.id = j.study "

JobRow job_row(SQLite::Statement& s) {
    JobRow r;
    r.id = integer(s, 0);
    r.kind = text(s, 1);
    r.study_id = integer(s, 2);
    r.study_uid = text(s, 3);
    r.revision = static_cast<int>(integer(s, 4));
    r.state = text(s, 5);
    r.attempts = static_cast<int>(integer(s, 6));
    r.created = integer(s, 7);
    r.next = integer(s, 8);
    r.started = maybe(s, 9);
    r.ended = maybe(s, 10);
    r.last_error = text(s, 11);
    r.priority = static_cast<int>(integer(s, 12));
    r.claim = text(s, 13);
    r.request = text(s, 14);
    return r;
}

std::optional<JobRow> one_job(SQLite::Statement& s) {
    if (!s.executeStep()) return std::nullopt;
    return job_row(s);
}

std::vector<JobRow> all_jobs(SQLite::Statement& s) {
    std::vector<JobRow> rows;
    while (s.executeStep()) rows.push_back(job_row(s));
    return rows;
}

Status changed_one(Connection& db, std::int64_t id, const char* otherwise) {
    if (db.changes() == 1) return {};
    SCOPENODE_ASSIGN(const auto job, find_job(db, id));
    if (!job) return fail(Code::kNotFound, "no job {}", id);
    return fail(Code::kConflict, "job {} is {}: {}", id, job->state, otherwise);
}

/// After an update of a claimed job: did it find its row?
Status still_ours(Connection& db, const JobRow& job) {
    if (db.changes() == 1) return {};
    SCOPENODE_ASSIGN(const auto now, find_job(db, job.id));
    return fail(Code::kCancelled, "job {} is {} now", job.id,
                !now                      ? "gone"
                : now->state == "running" ? "claimed by another"
                                          : now->state);
}

}  // namespace

Result<std::vector<EventRow>> pending_events(Connection& db, int limit) {
    return run([&]() -> Result<std::vector<EventRow>> {
        auto& s =
            query(db, "SELECT id, kind, study, series, instance FROM events ORDER BY id LIMIT ?", limit);
        std::vector<EventRow> rows;
        while (s.executeStep())
            rows.push_back({integer(s, 0), text(s, 1), integer(s, 2), integer(s, 3), integer(s, 4)});
        return rows;
    });
}

Result<bool> has_pending_events(Connection& db, std::int64_t study_id) {
    return run([&]() -> Result<bool> {
        auto& s = query(db, "SELECT EXISTS (SELECT 1 FROM events WHERE study = ?)", study_id);
        s.executeStep();
        return integer(s, 0) != 0;
    });
}

Status finish_events(Connection& db, const std::vector<std::int64_t>& ids) {
    return run([&]() -> Status {
        for (std::int64_t id : ids) execute(db, "DELETE FROM events WHERE id = ?", id);
        return {};
    });
}

Result<std::int64_t> add_job(Connection& db, const NewJob& job, UtcMs now) {
    return run([&]() -> Result<std::int64_t> {
        auto& open = query(db,
                           "SELECT id FROM jobs WHERE kind = ? AND study = ? AND revision = ?"
                           " AND state IN ('queued', 'running')",
                           job.kind, job.study_id, job.revision);
        if (open.executeStep()) return integer(open, 0);
        execute(db,
                "INSERT INTO jobs (kind, study, revision, state, created, next, priority, rank, request)"
                " VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
                job.kind, job.study_id, job.revision, now, now, job.priority,
                now - job.priority * kPriorityStepMs, job.request);
        return db.last_row_id();
    });
}

Result<std::optional<JobRow>> claim_job(Connection& db, UtcMs now, UtcMs lease, const std::string& claim) {
    return run([&]() -> Result<std::optional<JobRow>> {
        execute(db, "UPDATE jobs SET state = 'queued', claim = '' WHERE state = 'running' AND lease <= ?",
                now);
        auto& next = query(
            db, "SELECT id FROM jobs WHERE state = 'queued' AND next <= ? ORDER BY rank, id LIMIT 1", now);
        if (!next.executeStep()) return std::optional<JobRow>();
        const std::int64_t id = integer(next, 0);
        next.tryReset();
        execute(
            db,
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, started = ?1, lease = ?2, claim = ?3"
            " WHERE id = ?4 AND state = 'queued'",
            now, now + lease, claim, id);
        return find_job(db, id);
    });
}

Status renew_lease(Connection& db, const JobRow& job, UtcMs until) {
    return run([&]() -> Status {
        execute(db, "UPDATE jobs SET lease = ? WHERE id = ? AND state = 'running' AND claim = ?", until,
                job.id, job.claim);
        return still_ours(db, job);
    });
}

Result<std::optional<UtcMs>> next_job_due(Connection& db) {
    return run([&]() -> Result<std::optional<UtcMs>> {
        auto& next = query(db,
                           "SELECT min(t) FROM (SELECT min(next) AS t FROM jobs WHERE state = 'queued'"
                           " UNION ALL SELECT min(lease) FROM jobs WHERE state = 'running')");
        next.executeStep();
        return maybe(next, 0);
    });
}

Status finish_job(Connection& db, const JobRow& job, UtcMs now) {
    return run([&]() -> Status {
        execute(
            db,
            "UPDATE jobs SET state = 'done', ended = ?, last_error = '' WHERE id = ? AND state = 'running'"
            " AND claim = ?",
            now, job.id, job.claim);
        return still_ours(db, job);
    });
}

Status fail_job(Connection& db, const JobRow& job, const std::string& error, std::optional<UtcMs> next,
                UtcMs now) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE jobs SET state = CASE WHEN ?1 IS NULL THEN 'failed' ELSE 'queued' END, claim = '',"
                " next = coalesce(?1, next), ended = CASE WHEN ?1 IS NULL THEN ?2 END, last_error = ?3"
                " WHERE id = ?4 AND state = 'running' AND claim = ?5",
                next, now, error, job.id, job.claim);
        return still_ours(db, job);
    });
}

Status retry_job(Connection& db, std::int64_t id, UtcMs now) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE jobs SET state = 'queued', next = ?1, rank = ?1 - priority * ?3, attempts = 0, ended "
                "= NULL"
                " WHERE id = ?2 AND state IN ('failed', 'cancelled')",
                now, id, kPriorityStepMs);
        return changed_one(db, id, "only failed and cancelled jobs can be tried again");
    });
}

Status cancel_job(Connection& db, std::int64_t id, UtcMs now) {
    return run([&]() -> Status {
        execute(
            db,
            "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state IN ('queued', 'running')",
            now, id);
        return changed_one(db, id, "only queued and running jobs can be cancelled");
    });
}

Status set_job_priority(Connection& db, std::int64_t study_id, int priority) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE jobs SET priority = ?1, rank = rank + (priority - ?1) * ?2 WHERE study = ?3"
                " AND state = 'queued'",
                priority, kPriorityStepMs, study_id);
        return {};
    });
}

Result<std::vector<std::pair<std::string, std::int64_t>>> count_jobs(Connection& db) {
    return run([&]() -> Result<std::vector<std::pair<std::string, std::int64_t>>> {
        auto& s = query(db, "SELECT state, count(*) FROM jobs GROUP BY state");
        std::vector<std::pair<std::string, std::int64_t>> counts;
        while (s.executeStep()) counts.emplace_back(text(s, 0), integer(s, 1));
        return counts;
    });
}

Result<int> requeue_running_jobs(Connection& db) {
    return run([&]() -> Result<int> {
        execute(db, "UPDATE jobs SET state = 'queued', claim = '' WHERE state = 'running'");
        return db.changes();
    });
}

Result<std::optional<JobRow>> find_job(Connection& db, std::int64_t id) {
    return run([&]() -> Result<std::optional<JobRow>> {
        return one_job(query(db, SCOPENODE_JOB_COLUMNS "WHERE j.id = ?", id));
    });
}

Result<std::vector<JobRow>> list_jobs(Connection& db, const std::string& state, int limit) {
    return run([&]() -> Result<std::vector<JobRow>> {
        return all_jobs(
            query(db, SCOPENODE_JOB_COLUMNS "WHERE ?1 = '' OR j.state = ?1 ORDER BY j.id DESC LIMIT ?2",
                  state, limit));
    });
}

Result<std::vector<JobRow>> jobs_of(Connection& db, std::int64_t study_id) {
    return run([&]() -> Result<std::vector<JobRow>> {
        return all_jobs(query(db, SCOPENODE_JOB_COLUMNS "WHERE j.study = ? ORDER BY j.id", study_id));
    });
}

}  // namespace scopenode::storage
