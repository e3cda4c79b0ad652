#include "storage/index/catalog.h"
#include "storage/index/queue.h"
#include "storage/index/sql.h"

namespace scopenode::storage {

using namespace sql;

Status set_study_state(Connection& db, std::int64_t study_id, const std::string& state) {
    return run([&]() -> Status {
        execute(db, "UPDATE studies SET state = ? WHERE id = ?", state, study_id);
        return {};
    });
}

Status set_study_due(Connection& db, std::int64_t study_id, UtcMs due, UtcMs now) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE studies SET due = ?1, opened = coalesce(opened, ?2),"
                " completed_by = CASE WHEN opened IS NULL THEN '' ELSE completed_by END WHERE id = ?3",
                due, now, study_id);
        return {};
    });
}

Status complete_study(Connection& db, std::int64_t study_id, const std::string& by) {
    return run([&]() -> Status {
        execute(db, "UPDATE studies SET due = NULL, opened = NULL, completed_by = ? WHERE id = ?", by,
                study_id);
        return {};
    });
}

Status set_completed_by(Connection& db, std::int64_t study_id, const std::string& by) {
    return run([&]() -> Status {
        execute(db, "UPDATE studies SET completed_by = ? WHERE id = ?", by, study_id);
        return {};
    });
}

Result<bool> any_study_open(Connection& db) {
    return run([&]() -> Result<bool> {
        auto& s = query(db, "SELECT EXISTS (SELECT 1 FROM studies WHERE due IS NOT NULL)");
        s.executeStep();
        return integer(s, 0) != 0;
    });
}

Status set_study_priority(Connection& db, std::int64_t study_id, int priority, const std::string& by) {
    return run([&]() -> Status {
        execute(db, "UPDATE studies SET priority = ?, priority_by = ? WHERE id = ?", priority, by, study_id);
        return {};
    });
}

Status set_study_request(Connection& db, std::int64_t study_id, const std::string& request) {
    return run([&]() -> Status {
        execute(db, "UPDATE studies SET request = ? WHERE id = ?", request, study_id);
        return {};
    });
}

Status set_pixel_reason(Connection& db, std::int64_t series_id, const std::string& code,
                        const std::string& words) {
    return run([&]() -> Status {
        execute(db, "UPDATE series SET pixel_code = ?, pixel_text = ? WHERE id = ?", code, words, series_id);
        return {};
    });
}

Status forget_pixel_reasons(Connection& db, std::int64_t study_id) {
    return run([&]() -> Status {
        execute(db, "UPDATE series SET pixel_code = '', pixel_text = '' WHERE study = ? AND pixel_code <> ''",
                study_id);
        return {};
    });
}

Status shift_deadlines(Connection& db, UtcMs by) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE studies SET due = due + ?1, opened = opened + ?1, last_received = last_received + ?1"
                " WHERE due IS NOT NULL",
                by);
        execute(db, "UPDATE jobs SET next = next + ?1, rank = rank + ?1 WHERE state = 'queued'", by);
        execute(db, "UPDATE jobs SET lease = lease + ?1 WHERE state = 'running'", by);
        execute(db, "UPDATE outbox SET next = next + ?1 WHERE state = 'waiting'", by);
        return {};
    });
}

Status pull_deadlines(Connection& db, UtcMs now) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE studies SET due = ?1, opened = ?1, last_received = ?1 WHERE due IS NOT NULL"
                " AND (opened > ?1 OR last_received > ?1)",
                now);
        execute(
            db,
            "UPDATE jobs SET next = ?1, rank = ?1 - priority * ?2 WHERE state = 'queued' AND created > ?1",
            now, kPriorityStepMs);
        execute(db,
                "UPDATE outbox SET next = ?1 WHERE state = 'waiting'"
                " AND result IN (SELECT id FROM results WHERE created > ?1)",
                now);
        return {};
    });
}

Status add_evidence(Connection& db, std::int64_t study_id, const EvidenceRow& row) {
    return run([&]() -> Status {
        execute(db, "INSERT INTO evidence (study, time, kind, detail, decided) VALUES (?, ?, ?, ?, ?)",
                study_id, row.time, row.kind, row.detail, row.decided);
        return {};
    });
}

Status note_association_end(Connection& db, const std::string& calling_ae, UtcMs since,
                            const EvidenceRow& row) {
    return run([&]() -> Status {
        auto& s =
            query(db,
                  "SELECT t.id FROM studies t WHERE t.last_received >= ?1 AND EXISTS (SELECT 1 FROM series e"
                  " JOIN instances i ON i.series = e.id WHERE e.study = t.id AND i.received >= ?1"
                  " AND i.calling_ae = ?2)",
                  since, calling_ae);
        std::vector<std::int64_t> studies;
        while (s.executeStep()) studies.push_back(integer(s, 0));
        for (const auto study : studies) {
            SCOPENODE_TRY(add_evidence(db, study, {row.time, kAssociationEnd, row.detail, row.decided}));
            execute(db, "INSERT INTO events (kind, study, series, instance) VALUES ('association', ?, 0, 0)",
                    study);
        }
        return {};
    });
}

Result<std::vector<EvidenceRow>> evidence_of(Connection& db, std::int64_t study_id) {
    return run([&]() -> Result<std::vector<EvidenceRow>> {
        auto& s = query(db, "SELECT time, kind, detail, decided FROM evidence WHERE study = ? ORDER BY id",
                        study_id);
        std::vector<EvidenceRow> rows;
        while (s.executeStep()) rows.push_back({integer(s, 0), text(s, 1), text(s, 2), integer(s, 3) != 0});
        return rows;
    });
}

}  // namespace scopenode::storage
