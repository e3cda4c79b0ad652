#include "storage/index/mpps.h"

#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

std::vector<std::string> texts(SQLite::Statement& s) {
    std::vector<std::string> all;
    while (s.executeStep()) all.push_back(text(s, 0));
    return all;
}

Status put_images(Connection& db, std::int64_t mpps, const std::vector<PerformedSeries>& series) {
    execute(db, "DELETE FROM mpps_images WHERE mpps = ?", mpps);
    for (const PerformedSeries& one : series)
        for (const std::string& image : one.images)
            execute(db, "INSERT INTO mpps_images (mpps, series_uid, sop_instance_uid) VALUES (?, ?, ?)", mpps,
                    one.series_uid, image);
    return {};
}

Status tell_studies(Connection& db, std::int64_t mpps) {
    for (const std::string& study :
         texts(query(db, "SELECT study_uid FROM mpps_studies WHERE mpps = ?", mpps)))
        SCOPENODE_TRY(add_study_event(db, "mpps", study));
    return {};
}

}  // namespace

Status add_study_event(Connection& db, const std::string& kind, const std::string& study_uid) {
    return run([&]() -> Status {
        execute(db,
                "INSERT INTO events (kind, study, series, instance) SELECT ?, id, 0, 0 FROM studies WHERE "
                "study_uid = ?",
                kind, study_uid);
        return {};
    });
}

Status create_mpps(Connection& db, const MppsRow& row, const std::vector<PerformedSeries>& series) {
    return run([&]() -> Status {
        auto& there = query(db, "SELECT 1 FROM mpps WHERE sop_instance_uid = ?", row.sop_instance_uid);
        if (there.executeStep())
            return fail(Code::kConflict, "performed procedure step {} is known", row.sop_instance_uid);
        execute(db,
                "INSERT INTO mpps (sop_instance_uid, state, calling_ae, station_ae, created, changed)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                row.sop_instance_uid, row.state, row.calling_ae, row.station_ae, row.created, row.created);
        const std::int64_t id = db.last_row_id();
        for (const std::string& study : row.study_uids)
            execute(db, "INSERT OR IGNORE INTO mpps_studies (study_uid, mpps) VALUES (?, ?)", study, id);
        SCOPENODE_TRY(put_images(db, id, series));
        return tell_studies(db, id);
    });
}

Status change_mpps(Connection& db, const std::string& uid, const MppsChange& change, UtcMs now) {
    return run([&]() -> Status {
        auto& there = query(db, "SELECT id, state FROM mpps WHERE sop_instance_uid = ?", uid);
        if (!there.executeStep()) return fail(Code::kNotFound, "no performed procedure step {}", uid);
        const std::int64_t id = integer(there, 0);
        const std::string before = text(there, 1);
        if (before != "IN PROGRESS")
            return fail(Code::kConflict, "performed procedure step {} is {}", uid, before);
        const std::string state = change.state.empty() ? before : change.state;
        const bool ends = state != "IN PROGRESS";
        execute(
            db, "UPDATE mpps SET state = ?, changed = ?, ended = ?, discontinuation_reason = ? WHERE id = ?",
            state, now, ends ? std::optional<UtcMs>(now) : std::nullopt, change.discontinuation_reason, id);
        if (change.series) SCOPENODE_TRY(put_images(db, id, *change.series));
        return tell_studies(db, id);
    });
}

Result<std::vector<MppsRow>> mpps_of(Connection& db, const std::string& study_uid) {
    return run([&]() -> Result<std::vector<MppsRow>> {
        auto& s = query(db,
                        "SELECT m.id, m.sop_instance_uid, m.state, m.calling_ae, m.station_ae, m.created, "
                        "m.changed, m.ended, m.discontinuation_reason FROM mpps_studies e"
                        " JOIN mpps m ON m.id = e.mpps WHERE e.study_uid = ? ORDER BY m.id",
                        study_uid);
        std::vector<MppsRow> rows;
        std::vector<std::int64_t> ids;
        while (s.executeStep()) {
            MppsRow r;
            ids.push_back(integer(s, 0));
            r.sop_instance_uid = text(s, 1);
            r.state = text(s, 2);
            r.calling_ae = text(s, 3);
            r.station_ae = text(s, 4);
            r.created = integer(s, 5);
            r.changed = integer(s, 6);
            r.ended = maybe(s, 7);
            r.discontinuation_reason = text(s, 8);
            rows.push_back(std::move(r));
        }
        for (std::size_t i = 0; i < rows.size(); ++i) {
            rows[i].study_uids = texts(
                query(db, "SELECT study_uid FROM mpps_studies WHERE mpps = ? ORDER BY study_uid", ids[i]));
            rows[i].images = texts(
                query(db, "SELECT sop_instance_uid FROM mpps_images WHERE mpps = ? ORDER BY id", ids[i]));
        }
        return rows;
    });
}

Result<std::map<std::string, std::int64_t>> mpps_counts(Connection& db) {
    return run([&]() -> Result<std::map<std::string, std::int64_t>> {
        std::map<std::string, std::int64_t> counts{{"IN PROGRESS", 0}, {"COMPLETED", 0}, {"DISCONTINUED", 0}};
        auto& s = query(db, "SELECT state, count(*) FROM mpps GROUP BY state");
        while (s.executeStep()) counts[text(s, 0)] = integer(s, 1);
        return counts;
    });
}

}  // namespace scopenode::storage
