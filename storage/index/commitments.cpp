#include "storage/index/commitments.h"

#include <algorithm>

#include "base/core/ids.h"
#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

constexpr int kMostInATransaction = 100;
constexpr int kMostTries = 3;

struct Asked {
    std::int64_t delivery = 0;
    std::string sop_class_uid, sop_instance_uid;
    int tries = 0;
    std::int64_t sent = 0;  ///< how often, so far
};

std::vector<Asked> all_asked(SQLite::Statement& s) {
    std::vector<Asked> rows;
    while (s.executeStep())
        rows.push_back(
            {integer(s, 0), text(s, 1), text(s, 2), static_cast<int>(integer(s, 3)), integer(s, 4)});
    return rows;
}

std::vector<Asked> deliveries_in(Connection& db, std::int64_t commitment) {
    return all_asked(query(db,
                           "SELECT o.id, r.sop_class_uid, r.sop_instance_uid, o.commitment_tries,"
                           " o.attempts FROM outbox o"
                           " JOIN results r ON r.id = o.result WHERE o.commitment_id = ? ORDER BY o.id",
                           commitment));
}

/// The same deliveries at the same try are the same transaction, whoever asks again.
std::string transaction_uid_of(const std::string& destination, const std::vector<Asked>& rows) {
    std::string all = "storage commitment\n" + destination;
    for (const Asked& row : rows) all += fmt::format("\n{} {} {}", row.sop_instance_uid, row.tries, row.sent);
    return uid_from_text(all);
}

const CommitmentInstance* said_of(const CommitmentNotice& report, const std::string& uid) {
    const auto& all = report.instances;
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.sop_instance_uid == uid; });
    return found == all.end() ? nullptr : &*found;
}

void not_committed(Connection& db, const Asked& row, const std::string& error, bool send_again, UtcMs again) {
    if (row.tries >= kMostTries) {
        execute(
            db,
            "UPDATE outbox SET commitment = 'failed', reason_code = 'NOT_COMMITTED', last_error = ? WHERE id "
            "= ?",
            error, row.delivery);
        return;
    }
    if (!send_again) {
        execute(db, "UPDATE outbox SET commitment_id = NULL, last_error = ? WHERE id = ?", error,
                row.delivery);
        return;
    }
    // A report that has a successor is not sent again: the peer may have dropped it for that reason.
    execute(db,
            "UPDATE outbox SET commitment = 'failed', commitment_id = NULL, last_error = ?, next = ?,"
            " state = CASE WHEN (SELECT current FROM results r WHERE r.id = outbox.result) = 1 THEN 'waiting'"
            " ELSE 'superseded' END WHERE id = ?",
            error, again, row.delivery);
}

}  // namespace

Status open_commitments(Connection& db, const std::string& destination, UtcMs now) {
    return run([&]() -> Status {
        for (;;) {
            const auto rows = all_asked(query(
                db,
                "SELECT o.id, r.sop_class_uid, r.sop_instance_uid, o.commitment_tries + 1,"
                " o.attempts FROM outbox o"
                " JOIN results r ON r.id = o.result WHERE o.destination = ? AND o.commitment = 'requested'"
                " AND o.commitment_id IS NULL ORDER BY o.id LIMIT ?",
                destination, kMostInATransaction));
            if (rows.empty()) return {};
            execute(db,
                    "INSERT INTO commitments (transaction_uid, destination, created, state, next)"
                    " VALUES (?, ?, ?, 'open', ?)",
                    transaction_uid_of(destination, rows), destination, now, now);
            const std::int64_t id = db.last_row_id();
            for (const Asked& row : rows)
                execute(db, "UPDATE outbox SET commitment_id = ?, commitment_tries = ? WHERE id = ?", id,
                        row.tries, row.delivery);
        }
    });
}

Result<bool> commitment_is_due(Connection& db, const std::string& destination, UtcMs now) {
    return run([&]() -> Result<bool> {
        auto& s =
            query(db,
                  "SELECT EXISTS (SELECT 1 FROM outbox WHERE destination = ?1 AND commitment = 'requested'"
                  " AND commitment_id IS NULL) OR EXISTS (SELECT 1 FROM commitments WHERE destination = ?1"
                  " AND state = 'open' AND next <= ?2)",
                  destination, now);
        s.executeStep();
        return integer(s, 0) != 0;
    });
}

Result<std::vector<CommitmentRow>> commitments_due(Connection& db, const std::string& destination,
                                                   UtcMs now) {
    return run([&]() -> Result<std::vector<CommitmentRow>> {
        auto& s =
            query(db,
                  "SELECT id, transaction_uid, destination, created, state, asked, next, last_error"
                  " FROM commitments WHERE destination = ? AND state = 'open' AND next <= ? ORDER BY id",
                  destination, now);
        std::vector<CommitmentRow> rows;
        while (s.executeStep()) {
            CommitmentRow r;
            r.id = integer(s, 0);
            r.transaction_uid = text(s, 1);
            r.destination = text(s, 2);
            r.created = integer(s, 3);
            r.state = text(s, 4);
            r.asked = static_cast<int>(integer(s, 5));
            r.next = integer(s, 6);
            r.last_error = text(s, 7);
            rows.push_back(std::move(r));
        }
        for (CommitmentRow& row : rows)
            for (const Asked& one : deliveries_in(db, row.id))
                row.instances.push_back({one.sop_class_uid, one.sop_instance_uid, std::nullopt, 0});
        return rows;
    });
}

Result<bool> commitment_is_open(Connection& db, std::int64_t id) {
    return run([&]() -> Result<bool> {
        auto& s = query(db, "SELECT 1 FROM commitments WHERE id = ? AND state = 'open'", id);
        return s.executeStep();
    });
}

Status commitment_asked(Connection& db, std::int64_t id, UtcMs next, const std::string& error) {
    return run([&]() -> Status {
        execute(db, "UPDATE commitments SET asked = asked + 1, next = ?, last_error = ? WHERE id = ?", next,
                error, id);
        return {};
    });
}

Status end_commitment(Connection& db, std::int64_t id, const std::string& state, const std::string& error,
                      UtcMs now) {
    return run([&]() -> Status {
        // The link stays where nobody answered: a report may still come.
        execute(db,
                "UPDATE outbox SET commitment = ?1, last_error = ?2,"
                " commitment_id = CASE WHEN ?1 = 'none' THEN NULL ELSE commitment_id END"
                " WHERE commitment_id = ?3 AND commitment = 'requested'",
                state, error, id);
        execute(db, "UPDATE commitments SET state = 'given_up', ended = ?, last_error = ? WHERE id = ?", now,
                error, id);
        return {};
    });
}

Result<bool> answer_commitment(Connection& db, const CommitmentNotice& report, UtcMs now, UtcMs again) {
    return run([&]() -> Result<bool> {
        auto& there =
            query(db, "SELECT id, state FROM commitments WHERE transaction_uid = ?", report.transaction_uid);
        if (!there.executeStep()) return false;
        const std::int64_t id = integer(there, 0);
        if (text(there, 1) == "answered") return true;
        for (const Asked& row : deliveries_in(db, id)) {
            const CommitmentInstance* said = said_of(report, row.sop_instance_uid);
            if (said && said->failure == 0) {
                execute(db, "UPDATE outbox SET commitment = 'committed', last_error = '' WHERE id = ?",
                        row.delivery);
                continue;
            }
            const int reason = said ? said->failure.value_or(0) : 0;
            not_committed(db, row,
                          said ? fmt::format("not committed: failure reason {:04X}", reason)
                               : "not committed: the answer does not name it",
                          reason != failure_reason::kDuplicateTransaction, again);
        }
        execute(db, "UPDATE commitments SET state = 'answered', ended = ?, last_error = '' WHERE id = ?", now,
                id);
        return true;
    });
}

Result<std::map<std::string, std::int64_t>> commitment_counts(Connection& db) {
    return run([&]() -> Result<std::map<std::string, std::int64_t>> {
        std::map<std::string, std::int64_t> counts{
            {"requested", 0}, {"committed", 0}, {"failed", 0}, {"given_up", 0}};
        auto& s = query(
            db, "SELECT commitment, count(*) FROM outbox WHERE commitment <> 'none' GROUP BY commitment");
        while (s.executeStep()) counts[text(s, 0)] = integer(s, 1);
        return counts;
    });
}

}  // namespace scopenode::storage
