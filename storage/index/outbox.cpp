#include "storage/index/outbox.h"

#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

#define SCOPENODE_OUTBOX_COLUMNS                                                                       \
    "SELECT o.id, o.result, r.study, o.destination, s.study_uid, r.sop_class_uid, r.sop_instance_uid," \
    " o.state, o.attempts, o.next, o.sent, o.last_error, o.rank, o.reason_code, o.commitment,"         \
    " o.commitment_tries, coalesce(c.transaction_uid, '') FROM outbox o"                               \
    " JOIN results r ON r.id = o.result JOIN studies s ON s.id = r.study"                              \
    " LEFT JOIN commitments c ON c.id = o.commitment_id "

OutboxRow outbox_row(SQLite::Statement& s) {
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
    r.rank = static_cast<int>(integer(s, 12));
    r.reason_code = text(s, 13);
    r.commitment = text(s, 14);
    r.commitment_tries = static_cast<int>(integer(s, 15));
    r.transaction_uid = text(s, 16);
    return r;
}

std::vector<OutboxRow> all_rows(SQLite::Statement& s) {
    std::vector<OutboxRow> rows;
    while (s.executeStep()) rows.push_back(outbox_row(s));
    return rows;
}

std::vector<std::string> texts(SQLite::Statement& s) {
    std::vector<std::string> all;
    while (s.executeStep()) all.push_back(text(s, 0));
    return all;
}

}  // namespace

Status add_delivery(Connection& db, std::int64_t result_id, const std::string& destination, UtcMs now,
                    int rank) {
    return run([&]() -> Status {
        execute(db,
                "INSERT INTO outbox (result, destination, state, next, rank) VALUES (?, ?, 'waiting', ?, ?)",
                result_id, destination, now, rank);
        return {};
    });
}

Result<std::optional<OutboxRow>> next_delivery(Connection& db, const std::string& destination, UtcMs now) {
    return run([&]() -> Result<std::optional<OutboxRow>> {
        auto& s = query(
            db,
            SCOPENODE_OUTBOX_COLUMNS
            "WHERE o.destination = ?1 AND o.state = 'waiting' AND o.next <= ?2"
            " AND NOT EXISTS (SELECT 1 FROM results q CROSS JOIN outbox p ON p.result = q.id"
            " AND p.destination = ?1 WHERE q.study = r.study AND p.state = 'waiting' AND p.rank < o.rank)"
            " ORDER BY o.rank, o.id LIMIT 1",
            destination, now);
        if (!s.executeStep()) return std::optional<OutboxRow>();
        return std::optional<OutboxRow>(outbox_row(s));
    });
}

Result<std::vector<std::string>> waiting_destinations(Connection& db) {
    return run([&]() -> Result<std::vector<std::string>> {
        return texts(query(db, "SELECT DISTINCT destination FROM outbox WHERE state = 'waiting'"));
    });
}

Result<std::vector<std::string>> waiting_classes(Connection& db, const std::string& destination) {
    return run([&]() -> Result<std::vector<std::string>> {
        return texts(query(db,
                           "SELECT DISTINCT r.sop_class_uid FROM outbox o JOIN results r ON r.id = o.result"
                           " WHERE o.destination = ? AND o.state = 'waiting' ORDER BY 1",
                           destination));
    });
}

Status delivery_sent(Connection& db, std::int64_t id, UtcMs now, bool ask, const std::string& remark) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE outbox SET state = 'sent', sent = ?1, attempts = attempts + 1, last_error = ?2,"
                " reason_code = '', commitment = CASE WHEN ?3 THEN 'requested' ELSE 'none' END,"
                " commitment_id = NULL WHERE id = ?4",
                now, remark, ask, id);
        return {};
    });
}

Status delivery_failed(Connection& db, std::int64_t id, const std::string& error, std::optional<UtcMs> next,
                       const std::string& reason_code) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE outbox SET state = CASE WHEN ?1 IS NULL THEN 'refused' ELSE 'waiting' END,"
                " next = coalesce(?1, next), attempts = attempts + 1, last_error = ?2, reason_code = ?4"
                " WHERE id = ?3 AND state = 'waiting'",
                next, error, id, reason_code);
        return {};
    });
}

Result<int> refuse_waiting(Connection& db, const std::string& destination, const std::string& error,
                           const std::string& reason_code) {
    return run([&]() -> Result<int> {
        execute(
            db,
            "UPDATE outbox SET state = 'refused', attempts = attempts + 1, last_error = ?, reason_code = ?"
            " WHERE destination = ? AND state = 'waiting'",
            error, reason_code, destination);
        return db.changes();
    });
}

Status retry_delivery(Connection& db, std::int64_t id, UtcMs now) {
    return run([&]() -> Status {
        auto& there = query(db,
                            "SELECT o.state, o.commitment, r.current FROM outbox o JOIN results r ON r.id ="
                            " o.result WHERE o.id = ?",
                            id);
        if (!there.executeStep()) return fail(Code::kNotFound, "no delivery {}", id);
        const std::string state = text(there, 0), commitment = text(there, 1);
        const bool uncommitted = state == "sent" && (commitment == "failed" || commitment == "given_up");
        if (state != "waiting" && state != "refused" && !uncommitted)
            return fail(Code::kConflict,
                        "delivery {} is {}: only waiting, refused and not committed ones can be tried again",
                        id, state);
        if (integer(there, 2) == 0)
            return fail(Code::kConflict, "delivery {} is of a result that has a successor", id);
        execute(db,
                "UPDATE outbox SET state = 'waiting', next = ?, reason_code = '', commitment_tries = 0 WHERE"
                " id = ?",
                now, id);
        return {};
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

Result<std::map<std::string, UtcMs>> oldest_waiting(Connection& db) {
    return run([&]() -> Result<std::map<std::string, UtcMs>> {
        auto& s = query(db,
                        "SELECT o.destination, min(r.created) FROM outbox o JOIN results r ON r.id = o.result"
                        " WHERE o.state = 'waiting' GROUP BY o.destination");
        std::map<std::string, UtcMs> oldest;
        while (s.executeStep()) oldest[text(s, 0)] = integer(s, 1);
        return oldest;
    });
}

Status learn_profile(Connection& db, const std::string& destination,
                     const std::map<std::string, bool>& classes, UtcMs now) {
    return run([&]() -> Status {
        for (const auto& [sop_class, accepted] : classes)
            execute(db,
                    "INSERT INTO destination_profiles (destination, sop_class_uid, accepted, learnt)"
                    " VALUES (?, ?, ?, ?) ON CONFLICT (destination, sop_class_uid)"
                    " DO UPDATE SET accepted = excluded.accepted, learnt = excluded.learnt",
                    destination, sop_class, accepted, now);
        return {};
    });
}

Result<std::map<std::string, bool>> profile_of(Connection& db, const std::string& destination) {
    return run([&]() -> Result<std::map<std::string, bool>> {
        auto& s = query(db, "SELECT sop_class_uid, accepted FROM destination_profiles WHERE destination = ?",
                        destination);
        std::map<std::string, bool> classes;
        while (s.executeStep()) classes[text(s, 0)] = integer(s, 1) != 0;
        return classes;
    });
}

Result<std::optional<bool>> accepts(Connection& db, const std::string& destination,
                                    const std::string& sop_class_uid) {
    return run([&]() -> Result<std::optional<bool>> {
        auto& s =
            query(db, "SELECT accepted FROM destination_profiles WHERE destination = ? AND sop_class_uid = ?",
                  destination, sop_class_uid);
        if (!s.executeStep()) return std::optional<bool>();
        return std::optional<bool>(integer(s, 0) != 0);
    });
}

}  // namespace scopenode::storage
