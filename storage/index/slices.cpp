#include "storage/index/slices.h"

#include "storage/index/sql.h"

namespace scopenode::storage {

using namespace sql;

Result<std::vector<WantedSlice>> wanted_slices(Connection& db, int limit) {
    return run([&]() -> Result<std::vector<WantedSlice>> {
        auto& s = query(db,
                        "SELECT i.id, t.id, i.path, t.crashes + t.kills FROM instances i"
                        " JOIN series e ON e.id = i.series JOIN studies t ON t.id = e.study"
                        " WHERE i.wanted = 1 AND t.crashes < ?1 AND t.kills < ?2"
                        " ORDER BY t.priority DESC, t.opened IS NULL, t.opened, t.id, i.id LIMIT ?3",
                        kMostCrashes, kMostKills, limit);
        std::vector<WantedSlice> rows;
        bool alone = false;
        while (s.executeStep()) {
            const bool suspect = integer(s, 3) > 0;
            WantedSlice row{integer(s, 0), integer(s, 1), text(s, 2)};
            const bool other = !rows.empty() && rows.front().study_id != row.study_id;
            if (rows.empty()) alone = suspect;
            if (other && (alone || suspect)) break;
            rows.push_back(std::move(row));
        }
        return rows;
    });
}

Status want_slice(Connection& db, std::int64_t instance_id, bool wanted) {
    return run([&]() -> Status {
        execute(db, "UPDATE instances SET wanted = ? WHERE id = ?", wanted, instance_id);
        return {};
    });
}

Status put_slice_fault(Connection& db, const std::string& model, const SliceFault& fault) {
    return run([&]() -> Status {
        execute(db, "INSERT OR REPLACE INTO slice_faults (instance, model_sha256, text) VALUES (?, ?, ?)",
                fault.instance_id, model, fault.text);
        return {};
    });
}

Result<std::vector<SliceFault>> slice_faults_of(Connection& db, std::int64_t study_id,
                                                const std::string& model) {
    return run([&]() -> Result<std::vector<SliceFault>> {
        auto& s = query(db,
                        "SELECT f.instance, f.text FROM series e JOIN instances i ON i.series = e.id"
                        " JOIN slice_faults f ON f.instance = i.id AND f.model_sha256 = ?2 WHERE e.study = ?1"
                        " ORDER BY f.instance",
                        study_id, model);
        std::vector<SliceFault> rows;
        while (s.executeStep()) rows.push_back({integer(s, 0), text(s, 1)});
        return rows;
    });
}

Result<std::vector<std::string>> faults_of_instance(Connection& db, std::int64_t instance_id) {
    return run([&]() -> Result<std::vector<std::string>> {
        auto& s = query(db, "SELECT text FROM slice_faults WHERE instance = ?", instance_id);
        std::vector<std::string> rows;
        while (s.executeStep()) rows.push_back(text(s, 0));
        return rows;
    });
}

Status begin_work(Connection& db, const std::vector<std::int64_t>& study_ids) {
    return run([&]() -> Status {
        for (const auto id : study_ids) execute(db, "UPDATE studies SET working = 1 WHERE id = ?", id);
        return {};
    });
}

Status end_work(Connection& db, const std::vector<std::int64_t>& study_ids) {
    return run([&]() -> Status {
        for (const auto id : study_ids) execute(db, "UPDATE studies SET working = 0 WHERE id = ?", id);
        return {};
    });
}

Status count_deaths(Connection& db, bool crashed) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE studies SET working = 0, crashes = crashes + ?1, kills = kills + 1 - ?1 WHERE "
                "working = 1",
                crashed);
        return {};
    });
}

Status forget_kills(Connection& db, std::int64_t study_id) {
    return run([&]() -> Status {
        execute(db, "UPDATE studies SET kills = 0 WHERE id = ? AND kills > 0", study_id);
        return {};
    });
}

Status forget_deaths(Connection& db, std::int64_t study_id) {
    return run([&]() -> Status {
        execute(db, "UPDATE studies SET crashes = 0, kills = 0 WHERE id = ?", study_id);
        return {};
    });
}

Status forget_faults(Connection& db, std::int64_t study_id) {
    return run([&]() -> Status {
        execute(db,
                "DELETE FROM slice_faults WHERE instance IN (SELECT i.id FROM series e JOIN instances i"
                " ON i.series = e.id WHERE e.study = ?)",
                study_id);
        return {};
    });
}

}  // namespace scopenode::storage
