#include "storage/index/results.h"
#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

#define SCOPENODE_OUTBOX_COLUMNS                                                                        \
    "SELECT o.id, o.result, r.study, o.destination, s.study_uid, r.sop_class_uid, r.sop_instance_uid, " \
    "o.state,"                                                                                          \
    " o.attempts, o.next, o.sent, o.last_error FROM outbox o JOIN results r ON r.id = o.result"         \
    " JOIN studies s ON s.id = r.study "

std::vector<OutboxRow> all_rows(SQLite::Statement& s) {
    std::vector<OutboxRow> rows;
    while (s.executeStep()) {
        OutboxRow r;
        r.id = integer(s, 0);
        r.result_id = integer(s, 1);
        r.study_id = integer(s, 2);
        r.destination = text(s, 3);
        r.study_uid = text(s, 4);
        r.sop_class_uid = text(s, 5);
        r.sop_instance_uid = text(s, 6);
        r.state = text(s, 7);
        r.attempts = static_cast<int>(integer(s, 8));
        r.next = integer(s, 9);
        r.sent = maybe(s, 10);
        r.last_error = text(s, 11);
        rows.push_back(std::move(r));
    }
    return rows;
}

}  // namespace

Status add_delivery(Connection& db, std::int64_t result_id, const std::string& destination, UtcMs now,
                    [[maybe_unused]] int rank) {
    return run([&]() -> Status {
        execute(db, "INSERT INTO outbox (result, destination, state, next) VALUES (?, ?, 'waiting', ?)",
                result_id, destination, now);
        return {};
    });
}

Result<std::vector<OutboxRow>> deliveries_due(Connection& db, UtcMs now, int limit) {
    return run([&]() -> Result<std::vector<OutboxRow>> {
        return all_rows(query(
            db, SCOPENODE_OUTBOX_COLUMNS "WHERE o.state = 'waiting' AND o.next <= ? ORDER BY o.id LIMIT ?",
            now, limit));
    });
}

Status delivery_sent(Connection& db, std::int64_t id, UtcMs now) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE outbox SET state = 'sent', sent = ?, attempts = attempts + 1, last_error = '' WHERE "
                "id = ?",
                now, id);
        return {};
    });
}

Status delivery_failed(Connection& db, std::int64_t id, const std::string& error, std::optional<UtcMs> next) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE outbox SET state = CASE WHEN ?1 IS NULL THEN 'refused' ELSE 'waiting' END, next = "
                "coalesce(?1, next),"
                " attempts = attempts + 1, last_error = ?2 WHERE id = ?3 AND state = 'waiting'",
                next, error, id);
        return {};
    });
}

Status retry_delivery(Connection& db, std::int64_t id, UtcMs now) {
    return run([&]() -> Status {
        execute(
            db,
            "UPDATE outbox SET state = 'waiting', next = ? WHERE id = ? AND state IN ('waiting', 'refused')",
            now, id);
        if (db.changes() == 1) return {};
        auto& there = query(db, "SELECT state FROM outbox WHERE id = ?", id);
        if (!there.executeStep()) return fail(Code::kNotFound, "no delivery {}", id);
        return fail(Code::kConflict, "delivery {} is {}: only waiting and refused ones can be tried again",
                    id, text(there, 0));
    });
}

Result<std::vector<OutboxRow>> list_outbox(Connection& db, const std::string& state, int limit) {
    return run([&]() -> Result<std::vector<OutboxRow>> {
        return all_rows(
            query(db, SCOPENODE_OUTBOX_COLUMNS "WHERE ?1 = '' OR o.state = ?1 ORDER BY o.id DESC LIMIT ?2",
                  state, limit));
    });
}

Result<std::vector<OutboxRow>> deliveries_of(Connection& db, std::int64_t study_id) {
    return run([&]() -> Result<std::vector<OutboxRow>> {
        return all_rows(query(db, SCOPENODE_OUTBOX_COLUMNS "WHERE r.study = ? ORDER BY o.id", study_id));
    });
}

}  // namespace scopenode::storage
