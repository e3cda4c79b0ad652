#include "storage/index/labels.h"

#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

#define SCOPENODE_LABEL_COLUMNS                                                                       \
    "SELECT l.id, l.study_uid, l.sop_instance_uid, l.finding, l.value, l.source, l.origin, l.reader," \
    " l.caller, l.read_at, l.result, l.saw_result, l.added FROM labels l "

LabelRow label_row(SQLite::Statement& s) {
    return {integer(s, 0), text(s, 1),          text(s, 2),    text(s, 3), integer(s, 4) != 0,
            text(s, 5),    text(s, 6),          text(s, 7),    text(s, 8), maybe(s, 9),
            text(s, 10),   integer(s, 11) != 0, integer(s, 12)};
}

std::vector<LabelRow> label_rows(SQLite::Statement& s) {
    std::vector<LabelRow> rows;
    while (s.executeStep()) rows.push_back(label_row(s));
    return rows;
}

// A label whose study or slice has not come.
#define SCOPENODE_PENDING_LABEL                                                                       \
    " CASE WHEN l.sop_instance_uid = '' THEN NOT EXISTS (SELECT 1 FROM studies u WHERE u.study_uid =" \
    " l.study_uid) ELSE NOT EXISTS (SELECT 1 FROM instances i WHERE i.sop_instance_uid ="             \
    " l.sop_instance_uid AND i.conflict = 0) END "

}  // namespace

Result<LabelChange> put_label(Connection& db, const LabelRow& row) {
    return run([&]() -> Result<LabelChange> {
        auto& there = query(db,
                            "SELECT id, value FROM labels WHERE sop_instance_uid = ? AND study_uid = ? AND"
                            " finding = ? AND reader = ? AND current = 1",
                            row.sop_instance_uid, row.study_uid, row.finding, row.reader);
        const bool known = there.executeStep();
        const std::int64_t id = known ? integer(there, 0) : 0;
        const bool same = known && (integer(there, 1) != 0) == row.value;
        there.tryReset();
        if (same) return LabelChange::kSame;
        if (known) execute(db, "UPDATE labels SET current = 0 WHERE id = ?", id);
        execute(db,
                "INSERT INTO labels (study_uid, sop_instance_uid, finding, value, source, origin, reader,"
                " caller, read_at, result, saw_result, added) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row.study_uid, row.sop_instance_uid, row.finding, row.value, row.source, row.origin,
                row.reader, row.caller, row.read_at, row.result, row.saw_result, row.added);
        return known ? LabelChange::kChanged : LabelChange::kAdded;
    });
}

Status withdraw_label(Connection& db, const LabelRow& row) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE labels SET current = 0 WHERE sop_instance_uid = ? AND study_uid = ? AND finding = ?"
                " AND reader = ? AND current = 1",
                row.sop_instance_uid, row.study_uid, row.finding, row.reader);
        return {};
    });
}

Result<std::vector<LabelRow>> labels_of_study(Connection& db, const std::string& study_uid) {
    return run([&]() -> Result<std::vector<LabelRow>> {
        std::vector<LabelRow> rows = label_rows(
            query(db,
                  SCOPENODE_LABEL_COLUMNS
                  "WHERE l.study_uid = ? AND l.sop_instance_uid = '' AND l.current = 1 ORDER BY l.id",
                  study_uid));
        auto slices =
            label_rows(query(db,
                             SCOPENODE_LABEL_COLUMNS
                             "JOIN instances i ON i.sop_instance_uid = l.sop_instance_uid AND i.conflict = 0"
                             " JOIN series e ON e.id = i.series JOIN studies u ON u.id = e.study"
                             " WHERE u.study_uid = ? AND l.current = 1 ORDER BY l.id",
                             study_uid));
        rows.insert(rows.end(), slices.begin(), slices.end());
        return rows;
    });
}

Result<std::vector<std::string>> labelled_studies(Connection& db) {
    return run([&]() -> Result<std::vector<std::string>> {
        auto& s = query(db,
                        "SELECT u.study_uid FROM studies u WHERE EXISTS (SELECT 1 FROM labels l WHERE"
                        " l.study_uid = u.study_uid AND l.sop_instance_uid = '' AND l.current = 1)"
                        " OR EXISTS (SELECT 1 FROM series e JOIN instances i ON i.series = e.id JOIN labels"
                        " l ON l.sop_instance_uid = i.sop_instance_uid AND l.current = 1 WHERE e.study ="
                        " u.id AND i.conflict = 0) ORDER BY u.study_uid");
        std::vector<std::string> uids;
        while (s.executeStep()) uids.push_back(text(s, 0));
        return uids;
    });
}

Result<std::vector<LabelRow>> list_labels(Connection& db, const LabelFilter& f) {
    return run([&]() -> Result<std::vector<LabelRow>> {
        return label_rows(
            query(db,
                  SCOPENODE_LABEL_COLUMNS
                  "WHERE l.current = 1 AND (?1 = '' OR l.study_uid = ?1 OR l.sop_instance_uid IN (SELECT"
                  " i.sop_instance_uid FROM instances i JOIN series e ON e.id = i.series JOIN studies u ON"
                  " u.id = e.study WHERE u.study_uid = ?1)) AND (?2 = '' OR l.reader = ?2)"
                  " AND (?3 = '' OR l.source = ?3) AND (?4 = 0 OR" SCOPENODE_PENDING_LABEL
                  ") ORDER BY l.id DESC LIMIT ?5",
                  f.study_uid, f.reader, f.source, f.pending, f.limit));
    });
}

Result<LabelCounts> count_labels(Connection& db) {
    return run([&]() -> Result<LabelCounts> {
        auto& s = query(db, "SELECT count(*), coalesce(sum(" SCOPENODE_PENDING_LABEL
                            "), 0) FROM labels l WHERE l.current = 1");
        s.executeStep();
        return LabelCounts{integer(s, 0), integer(s, 1)};
    });
}

Result<UtcMs> newest_label(Connection& db) {
    return run([&]() -> Result<UtcMs> {
        auto& s = query(db, "SELECT coalesce(max(added), 0) FROM labels WHERE current = 1");
        return s.executeStep() ? integer(s, 0) : 0;
    });
}

Status put_key_mark(Connection& db, const KeyMark& mark) {
    return run([&]() -> Status {
        execute(db,
                "INSERT OR IGNORE INTO key_marks (sop_instance_uid, study_uid, document, caller, added)"
                " VALUES (?, ?, ?, ?, ?)",
                mark.sop_instance_uid, mark.study_uid, mark.document, mark.caller, mark.added);
        return {};
    });
}

Result<std::vector<KeyMark>> key_marks_of(Connection& db, const std::string& study_uid) {
    return run([&]() -> Result<std::vector<KeyMark>> {
        auto& s = query(db,
                        "SELECT sop_instance_uid, study_uid, document, caller, added FROM key_marks"
                        " WHERE study_uid = ? ORDER BY sop_instance_uid, document",
                        study_uid);
        std::vector<KeyMark> marks;
        while (s.executeStep())
            marks.push_back({text(s, 0), text(s, 1), text(s, 2), text(s, 3), integer(s, 4)});
        return marks;
    });
}

Status seal_golden(Connection& db, const std::string& study_uid, const std::string& reason, UtcMs now) {
    return run([&]() -> Status {
        execute(db, "INSERT OR IGNORE INTO golden (study_uid, sealed, reason) VALUES (?, ?, ?)", study_uid,
                now, reason);
        return {};
    });
}

Result<std::vector<std::string>> golden_studies(Connection& db) {
    return run([&]() -> Result<std::vector<std::string>> {
        auto& s = query(db, "SELECT study_uid FROM golden ORDER BY study_uid");
        std::vector<std::string> uids;
        while (s.executeStep()) uids.push_back(text(s, 0));
        return uids;
    });
}

Result<std::string> side_of_patient(Connection& db, const std::string& patient, const std::string& side) {
    return run([&]() -> Result<std::string> {
        auto& s = query(db, "SELECT side FROM patient_sides WHERE patient = ?", patient);
        return s.executeStep() ? text(s, 0) : side;
    });
}

Status keep_side(Connection& db, const std::string& patient, const std::string& side) {
    return run([&]() -> Status {
        execute(db, "INSERT OR IGNORE INTO patient_sides (patient, side) VALUES (?, ?)", patient, side);
        return {};
    });
}

}  // namespace scopenode::storage
