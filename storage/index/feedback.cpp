#include "storage/index/feedback.h"

#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

#define SCOPENODE_FEEDBACK_COLUMNS                                                                       \
    "SELECT f.id, f.instance, e.study, f.study_uid, f.sop_instance_uid, f.series_uid, i.calling_ae, "    \
    "i.received,"                                                                                        \
    " f.state, f.reason, f.kind, f.reader, f.organization, f.read_at, f.result, r.sop_instance_uid,"     \
    " r.model_sha256, r.revision, f.answered_by, f.saw_result, f.superseded_by, f.newest_result, "       \
    "f.comments,"                                                                                        \
    " f.document FROM feedback f JOIN instances i ON i.id = f.instance JOIN series e ON e.id = i.series" \
    " LEFT JOIN results r ON r.id = f.result "

FeedbackRow feedback_row(SQLite::Statement& s) {
    FeedbackRow f;
    f.id = integer(s, 0);
    f.instance_id = integer(s, 1);
    f.study_id = integer(s, 2);
    f.study_uid = text(s, 3);
    f.sop_instance_uid = text(s, 4);
    f.series_uid = text(s, 5);
    f.calling_ae = text(s, 6);
    f.received = integer(s, 7);
    f.state = text(s, 8);
    f.reason = text(s, 9);
    f.kind = text(s, 10);
    f.reader = text(s, 11);
    f.organization = text(s, 12);
    f.read_at = maybe(s, 13);
    f.result_id = maybe(s, 14);
    f.result_sop_instance_uid = text(s, 15);
    f.result_model_sha256 = text(s, 16);
    f.result_revision = static_cast<int>(integer(s, 17));
    f.answered_by = text(s, 18);
    f.saw_result = integer(s, 19) != 0;
    f.superseded_by = text(s, 20);
    f.newest_result = integer(s, 21);
    f.comments = text(s, 22);
    f.document = text(s, 23);
    return f;
}

/// The rows of a query with their findings and predecessors.
std::vector<FeedbackRow> whole_rows(Connection& db, SQLite::Statement& s) {
    std::vector<FeedbackRow> rows;
    while (s.executeStep()) rows.push_back(feedback_row(s));
    for (FeedbackRow& row : rows) {
        auto& findings = query(
            db, "SELECT label, presence, was, answer FROM feedback_findings WHERE feedback = ?", row.id);
        while (findings.executeStep())
            row.findings.push_back(
                {text(findings, 0), text(findings, 1), text(findings, 2), text(findings, 3)});
        auto& before =
            query(db, "SELECT sop_instance_uid FROM feedback_predecessors WHERE feedback = ? ORDER BY place",
                  row.id);
        while (before.executeStep()) row.predecessors.push_back(text(before, 0));
    }
    return rows;
}

void insert_children(Connection& db, std::int64_t id, const FeedbackRow& f) {
    for (const auto& one : f.findings)
        execute(
            db,
            "INSERT INTO feedback_findings (feedback, label, presence, was, answer) VALUES (?, ?, ?, ?, ?)",
            id, one.label, one.presence, one.was, one.answer);
    std::int64_t place = 0;
    for (const auto& uid : f.predecessors)
        execute(db, "INSERT INTO feedback_predecessors (feedback, place, sop_instance_uid) VALUES (?, ?, ?)",
                id, place++, uid);
}

}  // namespace

Result<bool> put_feedback(Connection& db, const FeedbackRow& f, bool replace) {
    return run([&]() -> Result<bool> {
        auto& known = query(db, "SELECT id, superseded_by FROM feedback WHERE instance = ?", f.instance_id);
        std::optional<std::int64_t> id;
        std::string superseded_by;
        if (known.executeStep()) {
            if (!replace) return false;
            id = integer(known, 0);
            superseded_by = text(known, 1);
            execute(db, "DELETE FROM feedback_findings WHERE feedback = ?", *id);
            execute(db, "DELETE FROM feedback_predecessors WHERE feedback = ?", *id);
            execute(db, "DELETE FROM feedback WHERE id = ?", *id);
        }
        execute(
            db,
            "INSERT INTO feedback (id, instance, study_uid, sop_instance_uid, series_uid, state, reason, "
            "kind,"
            " reader, organization, read_at, result, answered_by, saw_result, superseded_by, newest_result,"
            " comments, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            id, f.instance_id, f.study_uid, f.sop_instance_uid, f.series_uid, f.state, f.reason, f.kind,
            f.reader, f.organization, f.read_at, f.result_id, f.answered_by, f.saw_result, superseded_by,
            f.newest_result, f.comments, f.document);
        insert_children(db, db.last_row_id(), f);
        return true;
    });
}

Result<std::vector<FeedbackRow>> list_feedback(Connection& db, const FeedbackFilter& filter) {
    return run([&]() -> Result<std::vector<FeedbackRow>> {
        return whole_rows(
            db, query(db,
                      SCOPENODE_FEEDBACK_COLUMNS
                      "WHERE (?1 = '' OR f.state = ?1 OR (?1 = 'superseded' AND f.superseded_by <> ''))"
                      " AND (?2 = '' OR f.study_uid = ?2) ORDER BY f.id DESC LIMIT ?3",
                      filter.state, filter.study_uid, filter.limit));
    });
}

Result<std::optional<FeedbackRow>> find_feedback(Connection& db, std::int64_t id) {
    return run([&]() -> Result<std::optional<FeedbackRow>> {
        auto rows = whole_rows(db, query(db, SCOPENODE_FEEDBACK_COLUMNS "WHERE f.id = ?", id));
        if (rows.empty()) return std::optional<FeedbackRow>();
        return std::optional<FeedbackRow>(std::move(rows.front()));
    });
}

Result<std::vector<FeedbackRow>> feedback_of_sop(Connection& db, const std::string& uid) {
    return run([&]() -> Result<std::vector<FeedbackRow>> {
        return whole_rows(
            db, query(db, SCOPENODE_FEEDBACK_COLUMNS "WHERE f.sop_instance_uid = ? ORDER BY f.id", uid));
    });
}

Result<std::vector<FeedbackRow>> feedback_after(Connection& db, const std::string& uid) {
    return run([&]() -> Result<std::vector<FeedbackRow>> {
        return whole_rows(
            db, query(db,
                      SCOPENODE_FEEDBACK_COLUMNS "WHERE f.id IN (SELECT feedback FROM feedback_predecessors"
                                                 " WHERE sop_instance_uid = ?) ORDER BY f.id",
                      uid));
    });
}

Status supersede_feedback(Connection& db, std::int64_t id, const std::string& by) {
    return run([&]() -> Status {
        execute(db, "UPDATE feedback SET superseded_by = ? WHERE id = ?", by, id);
        return {};
    });
}

Result<std::vector<std::int64_t>> feedback_to_match(Connection& db) {
    return run([&]() -> Result<std::vector<std::int64_t>> {
        auto& s =
            query(db,
                  "SELECT f.instance FROM feedback f WHERE f.state = 'unmatched' AND ("
                  " EXISTS (SELECT 1 FROM results r JOIN studies t ON t.id = r.study"
                  "         WHERE t.study_uid = f.study_uid AND r.kind = 'sr' AND r.id > f.newest_result)"
                  " OR EXISTS (SELECT 1 FROM feedback_predecessors p JOIN results r"
                  "            ON r.sop_instance_uid = p.sop_instance_uid WHERE p.feedback = f.id)"
                  " OR EXISTS (SELECT 1 FROM feedback_predecessors p JOIN feedback b"
                  "            ON b.sop_instance_uid = p.sop_instance_uid"
                  "            WHERE p.feedback = f.id AND b.result IS NOT NULL)) ORDER BY f.id LIMIT 100");
        std::vector<std::int64_t> ids;
        while (s.executeStep()) ids.push_back(integer(s, 0));
        return ids;
    });
}

Result<std::optional<Arrival>> arrival(Connection& db, std::int64_t instance_id) {
    return run([&]() -> Result<std::optional<Arrival>> {
        auto& s =
            query(db,
                  "SELECT i.id, i.series, e.study, i.sop_instance_uid, i.sop_class_uid, i.path, i.received,"
                  " i.calling_ae, i.conflict, t.study_uid, e.series_uid, e.own FROM instances i"
                  " JOIN series e ON e.id = i.series JOIN studies t ON t.id = e.study WHERE i.id = ?",
                  instance_id);
        if (!s.executeStep()) return std::optional<Arrival>();
        Arrival a;
        a.instance.id = integer(s, 0);
        a.instance.series_id = integer(s, 1);
        a.instance.study_id = integer(s, 2);
        a.instance.sop_instance_uid = text(s, 3);
        a.instance.sop_class_uid = text(s, 4);
        a.instance.path = text(s, 5);
        a.instance.received = integer(s, 6);
        a.instance.calling_ae = text(s, 7);
        a.instance.conflict = integer(s, 8) != 0;
        a.study_uid = text(s, 9);
        a.series_uid = text(s, 10);
        a.own_series = integer(s, 11) != 0;
        return std::optional<Arrival>(std::move(a));
    });
}

Result<std::optional<ResultRow>> result_of_sop(Connection& db, const std::string& uid) {
    std::optional<std::int64_t> study;
    SCOPENODE_TRY(run([&]() -> Status {
        auto& s = query(db, "SELECT study FROM results WHERE sop_instance_uid = ?", uid);
        if (s.executeStep()) study = integer(s, 0);
        return {};
    }));
    if (!study) return std::optional<ResultRow>();
    SCOPENODE_ASSIGN(auto rows, results_of(db, *study));
    for (ResultRow& row : rows)
        if (row.sop_instance_uid == uid) return std::optional<ResultRow>(std::move(row));
    return std::optional<ResultRow>();
}

Result<std::int64_t> newest_result_id(Connection& db) {
    return run([&]() -> Result<std::int64_t> {
        auto& s = query(db, "SELECT coalesce(max(id), 0) FROM results");
        s.executeStep();
        return integer(s, 0);
    });
}

Result<bool> is_own_object(Connection& db, const std::string& uid) {
    return run([&]() -> Result<bool> {
        // What came by C-STORE has a calling AE title, also in a series of ours.
        auto& s =
            query(db,
                  "SELECT EXISTS (SELECT 1 FROM results WHERE sop_instance_uid = ?1) OR EXISTS"
                  " (SELECT 1 FROM instances i JOIN series e ON e.id = i.series WHERE i.sop_instance_uid = ?1"
                  " AND i.conflict = 0 AND i.calling_ae = '' AND e.own = 1)",
                  uid);
        s.executeStep();
        return integer(s, 0) != 0;
    });
}

Status add_received_event(Connection& db, const Inserted& instance) {
    return run([&]() -> Status {
        execute(db, "INSERT INTO events (kind, study, series, instance) VALUES ('received', ?, ?, ?)",
                instance.study_id, instance.series_id, instance.instance_id);
        return {};
    });
}

Status add_remark_once(Connection& db, std::int64_t study_id, const Remark& r) {
    return run([&]() -> Status {
        auto& s = query(
            db, "SELECT 1 FROM remarks WHERE study = ? AND kind = ? AND sop_instance_uid = ? AND text = ?",
            study_id, r.kind, r.sop_instance_uid, r.text);
        if (s.executeStep()) return {};
        return add_remark(db, study_id, r);
    });
}

}  // namespace scopenode::storage
