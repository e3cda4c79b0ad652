#include "storage/index/trainings.h"

#include <algorithm>

#include "storage/index/slices.h"
#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

#define SCOPENODE_TRAINING_COLUMNS                                                                    \
    "SELECT id, state, step, options, requested_by, created, next, started, ended, attempts, paused," \
    " snapshot, model, verdict, last_error FROM trainings "

TrainingRow training_row(SQLite::Statement& s) {
    return {integer(s, 0),       text(s, 1),    text(s, 2),  text(s, 3),  text(s, 4),
            integer(s, 5),       integer(s, 6), maybe(s, 7), maybe(s, 8), static_cast<int>(integer(s, 9)),
            integer(s, 10) != 0, text(s, 11),   text(s, 12), text(s, 13), text(s, 14)};
}

Status change(Connection& db, std::int64_t id, const char* what) {
    if (db.changes() > 0) return {};
    SCOPENODE_ASSIGN(const auto row, find_training(db, id));
    if (!row) return fail(Code::kNotFound, "no retraining job {}: `scopenode train list` names them", id);
    return fail(Code::kConflict, "retraining job {} is {}: it cannot be {}", id, row->state, what);
}

Status still_running(Connection& db, std::int64_t id) {
    if (db.changes() > 0) return {};
    return fail(Code::kCancelled, "retraining job {} was cancelled", id);
}

}  // namespace

Result<std::int64_t> add_training(Connection& db, const std::string& options, const std::string& by,
                                  UtcMs now) {
    return run([&]() -> Result<std::int64_t> {
        execute(db,
                "INSERT INTO trainings (state, options, requested_by, created, next)"
                " VALUES ('queued', ?, ?, ?, ?)",
                options, by, now, now);
        return db.last_row_id();
    });
}

Result<std::optional<TrainingRow>> claim_training(Connection& db, UtcMs now) {
    return run([&]() -> Result<std::optional<TrainingRow>> {
        auto& s = query(db,
                        "SELECT id FROM trainings WHERE state = 'queued' AND next <= ? AND NOT EXISTS"
                        " (SELECT 1 FROM trainings WHERE state = 'running') ORDER BY id LIMIT 1",
                        now);
        if (!s.executeStep()) return std::optional<TrainingRow>();
        const std::int64_t id = integer(s, 0);
        s.tryReset();
        execute(db,
                "UPDATE trainings SET state = 'running', attempts = attempts + 1, paused = 0,"
                " started = coalesce(started, ?2) WHERE id = ?1",
                id, now);
        return find_training(db, id);
    });
}

Result<std::optional<TrainingRow>> find_training(Connection& db, std::int64_t id) {
    return run([&]() -> Result<std::optional<TrainingRow>> {
        auto& s = query(db, SCOPENODE_TRAINING_COLUMNS "WHERE id = ?", id);
        if (!s.executeStep()) return std::optional<TrainingRow>();
        return std::optional<TrainingRow>(training_row(s));
    });
}

Result<std::vector<TrainingRow>> list_trainings(Connection& db) {
    return run([&]() -> Result<std::vector<TrainingRow>> {
        auto& s = query(db, SCOPENODE_TRAINING_COLUMNS "ORDER BY id DESC");
        std::vector<TrainingRow> rows;
        while (s.executeStep()) rows.push_back(training_row(s));
        return rows;
    });
}

Status note_training(Connection& db, const TrainingRow& r) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE trainings SET step = ?2, paused = ?3, snapshot = ?4, model = ?5, verdict = ?6"
                " WHERE id = ?1 AND state = 'running'",
                r.id, r.step, r.paused, r.snapshot, r.model, r.verdict);
        return still_running(db, r.id);
    });
}

Status end_training(Connection& db, const TrainingRow& r) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE trainings SET state = ?2, step = ?3, paused = 0, snapshot = ?4, model = ?5,"
                " verdict = ?6, last_error = ?7, next = ?8, ended = ?9 WHERE id = ?1 AND state = 'running'",
                r.id, r.state, r.step, r.snapshot, r.model, r.verdict, r.last_error, r.next, r.ended);
        return still_running(db, r.id);
    });
}

Status cancel_training(Connection& db, std::int64_t id, UtcMs now) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE trainings SET state = 'cancelled', paused = 0, ended = ?2 WHERE id = ?1 AND state IN"
                " ('queued', 'running')",
                id, now);
        return change(db, id, "cancelled");
    });
}

Status resume_training(Connection& db, std::int64_t id, UtcMs now) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE trainings SET state = 'queued', next = ?2, ended = NULL, attempts = 0, last_error ="
                " '' WHERE id = ?1 AND state IN ('failed', 'cancelled')",
                id, now);
        return change(db, id, "resumed");
    });
}

Result<int> requeue_trainings(Connection& db) {
    return run([&]() -> Result<int> {
        execute(db, "UPDATE trainings SET state = 'queued', paused = 0 WHERE state = 'running'");
        return db.changes();
    });
}

Status put_training_epoch(Connection& db, std::int64_t training, const TrainingEpochRow& row) {
    return run([&]() -> Status {
        execute(db,
                "INSERT OR REPLACE INTO training_epochs (training, epoch, time, report) VALUES (?, ?, ?, ?)",
                training, row.epoch, row.time, row.report);
        return {};
    });
}

Result<std::vector<TrainingEpochRow>> training_epochs(Connection& db, std::int64_t training) {
    return run([&]() -> Result<std::vector<TrainingEpochRow>> {
        auto& s =
            query(db, "SELECT epoch, time, report FROM training_epochs WHERE training = ? ORDER BY epoch",
                  training);
        std::vector<TrainingEpochRow> rows;
        while (s.executeStep()) rows.push_back({static_cast<int>(integer(s, 0)), integer(s, 1), text(s, 2)});
        return rows;
    });
}

Status add_training_line(Connection& db, std::int64_t training, UtcMs now, const std::string& line) {
    return run([&]() -> Status {
        execute(db, "INSERT INTO training_log (training, time, line) VALUES (?, ?, ?)", training, now, line);
        return {};
    });
}

Result<std::vector<std::pair<UtcMs, std::string>>> training_lines(Connection& db, std::int64_t training,
                                                                  int limit) {
    using Lines = std::vector<std::pair<UtcMs, std::string>>;
    return run([&]() -> Result<Lines> {
        auto& s = query(db, "SELECT time, line FROM training_log WHERE training = ? ORDER BY id DESC LIMIT ?",
                        training, limit);
        Lines lines;
        while (s.executeStep()) lines.emplace_back(integer(s, 0), text(s, 1));
        std::reverse(lines.begin(), lines.end());
        return lines;
    });
}

Status add_snapshot(Connection& db, const SnapshotRow& row) {
    return run([&]() -> Status {
        execute(db, "INSERT OR IGNORE INTO snapshots (sha256, created, path, summary) VALUES (?, ?, ?, ?)",
                row.sha256, row.created, row.path, row.summary);
        return {};
    });
}

Result<std::optional<SnapshotRow>> find_snapshot(Connection& db, const std::string& sha256) {
    return run([&]() -> Result<std::optional<SnapshotRow>> {
        auto& s = query(db, "SELECT sha256, created, path, summary FROM snapshots WHERE sha256 = ?", sha256);
        if (!s.executeStep()) return std::optional<SnapshotRow>();
        return std::optional<SnapshotRow>(SnapshotRow{text(s, 0), integer(s, 1), text(s, 2), text(s, 3)});
    });
}

Result<bool> studies_wait(Connection& db, UtcMs now) {
    SCOPENODE_ASSIGN(const bool jobs, run([&]() -> Result<bool> {
                         auto& s =
                             query(db,
                                   "SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'running') OR EXISTS"
                                   " (SELECT 1 FROM jobs WHERE state = 'queued' AND next <= ?)",
                                   now);
                         s.executeStep();
                         return integer(s, 0) != 0;
                     }));
    if (jobs) return true;
    SCOPENODE_ASSIGN(const auto wanted, wanted_slices(db, 1));
    return !wanted.empty();
}

}  // namespace scopenode::storage
