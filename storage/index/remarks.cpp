#include "storage/index/catalog.h"
#include "storage/index/sql.h"

namespace scopenode::storage {

using namespace sql;

Status add_remark(Connection& db, std::int64_t study_id, const Remark& r) {
    return run([&]() -> Status {
        execute(db, "INSERT INTO remarks (study, time, kind, sop_instance_uid, text) VALUES (?, ?, ?, ?, ?)",
                study_id, r.time, r.kind, r.sop_instance_uid, r.text);
        return {};
    });
}

Result<std::vector<Remark>> remarks_of(Connection& db, std::int64_t study_id) {
    return run([&]() -> Result<std::vector<Remark>> {
        auto& s =
            query(db, "SELECT time, kind, sop_instance_uid, text FROM remarks WHERE study = ? ORDER BY id",
                  study_id);
        std::vector<Remark> rows;
        while (s.executeStep()) rows.push_back({integer(s, 0), text(s, 1), text(s, 2), text(s, 3)});
        return rows;
    });
}

Result<std::vector<SenderRow>> senders_of(Connection& db, std::int64_t study_id) {
    return run([&]() -> Result<std::vector<SenderRow>> {
        auto& s = query(db,
                        "SELECT i.calling_ae, count(*), sum(i.bytes), min(i.received), max(i.received)"
                        " FROM series e JOIN instances i ON i.series = e.id WHERE e.study = ? AND e.own = 0"
                        " GROUP BY i.calling_ae ORDER BY min(i.received)",
                        study_id);
        std::vector<SenderRow> rows;
        while (s.executeStep())
            rows.push_back({text(s, 0), integer(s, 1), integer(s, 2), integer(s, 3), integer(s, 4)});
        return rows;
    });
}

Status add_quarantine(Connection& db, const QuarantineRow& r) {
    return run([&]() -> Status {
        execute(db,
                "INSERT INTO quarantine (time, path, reason_code, reason_text, calling_ae, sop_instance_uid)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                r.time, r.path, r.reason_code, r.reason_text, r.calling_ae, r.sop_instance_uid);
        return {};
    });
}

Result<std::vector<QuarantineRow>> list_quarantine(Connection& db, int limit) {
    return run([&]() -> Result<std::vector<QuarantineRow>> {
        auto& s = query(
            db,
            "SELECT id, time, path, reason_code, reason_text, calling_ae, sop_instance_uid FROM quarantine"
            " ORDER BY id DESC LIMIT ?",
            limit);
        std::vector<QuarantineRow> rows;
        while (s.executeStep())
            rows.push_back(
                {integer(s, 0), integer(s, 1), text(s, 2), text(s, 3), text(s, 4), text(s, 5), text(s, 6)});
        return rows;
    });
}

Result<Totals> totals(Connection& db) {
    return run([&]() -> Result<Totals> {
        auto& s =
            query(db,
                  "SELECT (SELECT count(*) FROM studies), (SELECT count(*) FROM series), (SELECT count(*) "
                  "FROM instances),"
                  " (SELECT coalesce(sum(bytes), 0) FROM instances), (SELECT count(*) FROM quarantine)");
        s.executeStep();
        return Totals{integer(s, 0), integer(s, 1), integer(s, 2), integer(s, 3), integer(s, 4)};
    });
}

}  // namespace scopenode::storage
