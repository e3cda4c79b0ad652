#include <algorithm>
#include <set>

#include "storage/index/commitments.h"
#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

#define SCOPENODE_REQUEST_COLUMNS                                                                     \
    "SELECT id, transaction_uid, calling_ae, requested, state, attempts, next, answered, last_error " \
    "FROM commitment_requests "

CommitmentRequestRow request_row(SQLite::Statement& s) {
    CommitmentRequestRow r;
    r.id = integer(s, 0);
    r.transaction_uid = text(s, 1);
    r.calling_ae = text(s, 2);
    r.requested = integer(s, 3);
    r.state = text(s, 4);
    r.attempts = static_cast<int>(integer(s, 5));
    r.next = integer(s, 6);
    r.answered = maybe(s, 7);
    r.last_error = text(s, 8);
    return r;
}

// The study is looked up when asked: an instance may come after the question about it.
std::vector<CommitmentRequestRow> all_requests(Connection& db, SQLite::Statement& s) {
    std::vector<CommitmentRequestRow> rows;
    while (s.executeStep()) rows.push_back(request_row(s));
    for (CommitmentRequestRow& row : rows) {
        auto& i = query(db,
                        "SELECT c.sop_class_uid, c.sop_instance_uid, c.failure, coalesce(e.study, 0)"
                        " FROM commitment_instances c"
                        " LEFT JOIN instances i ON i.sop_instance_uid = c.sop_instance_uid AND i.conflict = 0"
                        " LEFT JOIN series e ON e.id = i.series WHERE c.request = ? ORDER BY c.id",
                        row.id);
        while (i.executeStep()) {
            std::optional<int> failure;
            if (const auto said = maybe(i, 2)) failure = static_cast<int>(*said);
            row.instances.push_back({text(i, 0), text(i, 1), failure, integer(i, 3)});
        }
    }
    return rows;
}

Result<std::optional<CommitmentRequestRow>> one_request(Connection& db, SQLite::Statement& s) {
    auto rows = all_requests(db, s);
    if (rows.empty()) return std::optional<CommitmentRequestRow>();
    return std::optional<CommitmentRequestRow>(std::move(rows.front()));
}

bool asks_the_same(const CommitmentRequestRow& row, const CommitmentNotice& question) {
    std::set<std::pair<std::string, std::string>> before, now;
    for (const auto& one : row.instances) before.insert({one.sop_class_uid, one.sop_instance_uid});
    for (const auto& one : question.instances) now.insert({one.sop_class_uid, one.sop_instance_uid});
    return before == now;
}

}  // namespace

Result<std::int64_t> add_commitment_request(Connection& db, const CommitmentNotice& question,
                                            const std::string& calling_ae, UtcMs now, UtcMs next) {
    return run([&]() -> Result<std::int64_t> {
        SCOPENODE_ASSIGN(
            const auto known,
            one_request(db,
                        query(db, SCOPENODE_REQUEST_COLUMNS "WHERE calling_ae = ? AND transaction_uid = ?",
                              calling_ae, question.transaction_uid)));
        if (known) {
            if (!asks_the_same(*known, question))
                return fail(Code::kConflict, "transaction {} asked for other instances before",
                            question.transaction_uid);
            execute(db, "UPDATE commitment_requests SET state = 'waiting', next = ? WHERE id = ?", next,
                    known->id);
            return known->id;
        }
        execute(db,
                "INSERT INTO commitment_requests (transaction_uid, calling_ae, requested, state, next)"
                " VALUES (?, ?, ?, 'waiting', ?)",
                question.transaction_uid, calling_ae, now, next);
        const std::int64_t id = db.last_row_id();
        for (const CommitmentInstance& one : question.instances)
            execute(db,
                    "INSERT INTO commitment_instances (request, sop_class_uid, sop_instance_uid) VALUES (?, "
                    "?, ?)",
                    id, one.sop_class_uid, one.sop_instance_uid);
        execute(
            db,
            "INSERT INTO events (kind, study, series, instance) SELECT DISTINCT 'commitment', e.study, 0, 0"
            " FROM commitment_instances c JOIN instances i ON i.sop_instance_uid = c.sop_instance_uid AND"
            " i.conflict = 0 JOIN series e ON e.id = i.series WHERE c.request = ?",
            id);
        return id;
    });
}

Result<std::optional<CommitmentRequestRow>> find_commitment_request(Connection& db, std::int64_t id) {
    return run([&]() -> Result<std::optional<CommitmentRequestRow>> {
        return one_request(db, query(db, SCOPENODE_REQUEST_COLUMNS "WHERE id = ?", id));
    });
}

Result<std::vector<CommitmentRequestRow>> commitment_requests_of(Connection& db, std::int64_t study_id) {
    return run([&]() -> Result<std::vector<CommitmentRequestRow>> {
        return all_requests(
            db, query(db,
                      SCOPENODE_REQUEST_COLUMNS
                      "WHERE id IN (SELECT c.request FROM series e JOIN instances i ON i.series = e.id"
                      " JOIN commitment_instances c ON c.sop_instance_uid = i.sop_instance_uid"
                      " WHERE e.study = ? AND i.conflict = 0) ORDER BY id",
                      study_id));
    });
}

Result<std::vector<CommitmentRequestRow>> commitment_reports_due(Connection& db, UtcMs now, int limit) {
    return run([&]() -> Result<std::vector<CommitmentRequestRow>> {
        return all_requests(
            db,
            query(db, SCOPENODE_REQUEST_COLUMNS "WHERE state = 'waiting' AND next <= ? ORDER BY id LIMIT ?",
                  now, limit));
    });
}

Status commitment_checked(Connection& db, std::int64_t id, const std::vector<CommitmentInstance>& instances) {
    return run([&]() -> Status {
        for (const CommitmentInstance& one : instances)
            execute(db,
                    "UPDATE commitment_instances SET failure = ? WHERE request = ? AND sop_instance_uid = ?"
                    " AND sop_class_uid = ?",
                    one.failure, id, one.sop_instance_uid, one.sop_class_uid);
        return {};
    });
}

Status commitment_reported(Connection& db, std::int64_t id, UtcMs now) {
    return run([&]() -> Status {
        execute(
            db,
            "UPDATE commitment_requests SET state = 'answered', answered = ?, last_error = '' WHERE id = ?",
            now, id);
        return {};
    });
}

Status commitment_not_reported(Connection& db, std::int64_t id, const std::string& error,
                               std::optional<UtcMs> next) {
    return run([&]() -> Status {
        execute(
            db,
            "UPDATE commitment_requests SET state = CASE WHEN ?1 IS NULL THEN 'given_up' ELSE 'waiting' END,"
            " next = coalesce(?1, next), attempts = attempts + (?2 <> ''), last_error = ?2"
            " WHERE id = ?3 AND state = 'waiting'",
            next, error, id);
        return {};
    });
}

}  // namespace scopenode::storage
