#include "storage/index/models.h"

#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

#define SCOPENODE_MODEL_COLUMNS                                                                       \
    "SELECT id, sha256, name, path, registered, champion, training, verdict, judged_against, passed," \
    " shadow FROM models "

ModelRow model_row(SQLite::Statement& s) {
    ModelRow row{text(s, 0), text(s, 1), text(s, 2), text(s, 3), integer(s, 4), integer(s, 5) != 0};
    row.training = maybe(s, 6);
    row.verdict = text(s, 7);
    row.judged_against = text(s, 8);
    row.passed = integer(s, 9) != 0;
    row.shadow = maybe(s, 10);
    return row;
}

std::optional<ModelRow> first_model(SQLite::Statement& s) {
    if (!s.executeStep()) return std::nullopt;
    return model_row(s);
}

UserRow user_row(SQLite::Statement& s) {
    return {text(s, 0), text(s, 1), integer(s, 2), text(s, 3), maybe(s, 4)};
}

}  // namespace

Status add_model(Connection& db, const ModelRow& m) {
    return run([&]() -> Status {
        execute(db,
                "INSERT OR IGNORE INTO models (id, sha256, name, path, registered, champion) VALUES (?, ?, "
                "?, ?, ?, 0)",
                m.id, m.sha256, m.name, m.path, m.registered);
        if (m.champion) return set_champion(db, m.id);
        return {};
    });
}

Result<std::vector<ModelRow>> list_models(Connection& db) {
    return run([&]() -> Result<std::vector<ModelRow>> {
        auto& s = query(db, SCOPENODE_MODEL_COLUMNS "ORDER BY registered, id");
        std::vector<ModelRow> rows;
        while (s.executeStep()) rows.push_back(model_row(s));
        return rows;
    });
}

Result<std::optional<ModelRow>> find_model(Connection& db, const std::string& id) {
    return run([&]() -> Result<std::optional<ModelRow>> {
        return first_model(query(db, SCOPENODE_MODEL_COLUMNS "WHERE id = ?", id));
    });
}

Result<std::optional<ModelRow>> champion(Connection& db) {
    return run([&]() -> Result<std::optional<ModelRow>> {
        return first_model(query(db, SCOPENODE_MODEL_COLUMNS "WHERE champion = 1"));
    });
}

Status set_champion(Connection& db, const std::string& id) {
    return run([&]() -> Status {
        execute(db, "UPDATE models SET champion = (id = ?)", id);
        return {};
    });
}

Status set_model_training(Connection& db, const std::string& id, std::int64_t training) {
    return run([&]() -> Status {
        execute(db, "UPDATE models SET training = ?2 WHERE id = ?1 AND training IS NULL", id, training);
        return {};
    });
}

Status set_model_verdict(Connection& db, const std::string& id, const std::string& against, bool passed,
                         const std::string& verdict) {
    return run([&]() -> Status {
        execute(db, "UPDATE models SET judged_against = ?2, passed = ?3, verdict = ?4 WHERE id = ?1", id,
                against, passed, verdict);
        if (db.changes() == 0) return fail(Code::kNotFound, "no model {}", id);
        return {};
    });
}

Status set_shadow(Connection& db, const std::string& id, UtcMs now) {
    return run([&]() -> Status {
        execute(db, "UPDATE models SET shadow = CASE WHEN id = ? THEN ? END", id, now);
        return {};
    });
}

Status switch_champion(Connection& db, const ModelSwitchRow& row) {
    return run([&]() -> Status {
        execute(db, "UPDATE models SET champion = (id = ?1), shadow = CASE WHEN id <> ?1 THEN shadow END",
                row.to_model);
        execute(db,
                "INSERT INTO model_switches (time, kind, from_model, to_model, by_name, account)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                row.time, row.kind, row.from_model, row.to_model, row.by_name, row.account);
        return {};
    });
}

Result<std::vector<ModelSwitchRow>> model_switches(Connection& db) {
    return run([&]() -> Result<std::vector<ModelSwitchRow>> {
        auto& s = query(db,
                        "SELECT id, time, kind, from_model, to_model, by_name, account FROM model_switches"
                        " ORDER BY id DESC");
        std::vector<ModelSwitchRow> rows;
        while (s.executeStep())
            rows.push_back(
                {integer(s, 0), integer(s, 1), text(s, 2), text(s, 3), text(s, 4), text(s, 5), text(s, 6)});
        return rows;
    });
}

Status put_shadow_result(Connection& db, const ShadowRow& row) {
    return run([&]() -> Status {
        execute(db,
                "INSERT OR REPLACE INTO shadow_results (study, revision, model, champion, time, summary,"
                " disagrees) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row.study_id, row.revision, row.model, row.champion, row.time, row.summary, row.disagrees);
        return {};
    });
}

Result<std::optional<std::pair<std::int64_t, int>>> study_for_shadow(Connection& db, const std::string& model,
                                                                     UtcMs since) {
    using Found = std::optional<std::pair<std::int64_t, int>>;
    return run([&]() -> Result<Found> {
        auto& s =
            query(db,
                  "SELECT r.study, r.revision FROM results r WHERE r.kind = 'sr' AND r.current = 1 AND"
                  " r.created >= ?2 AND NOT EXISTS (SELECT 1 FROM shadow_results w WHERE w.study = r.study"
                  " AND w.revision = r.revision AND w.model = ?1) ORDER BY r.id DESC LIMIT 1",
                  model, since);
        if (!s.executeStep()) return Found();
        return Found(std::pair{integer(s, 0), static_cast<int>(integer(s, 1))});
    });
}

Result<std::vector<ShadowRow>> shadow_results(Connection& db, const std::string& model, int limit) {
    return run([&]() -> Result<std::vector<ShadowRow>> {
        auto& s = query(db,
                        "SELECT r.study, u.study_uid, r.revision, r.model, r.champion, r.time, r.summary,"
                        " r.disagrees FROM shadow_results r JOIN studies u ON u.id = r.study"
                        " WHERE r.model = ? ORDER BY r.time DESC, r.study DESC LIMIT ?",
                        model, limit);
        std::vector<ShadowRow> rows;
        while (s.executeStep())
            rows.push_back({integer(s, 0), text(s, 1), static_cast<int>(integer(s, 2)), text(s, 3),
                            text(s, 4), integer(s, 5), text(s, 6), integer(s, 7) != 0});
        return rows;
    });
}

Status add_user(Connection& db, const UserRow& row) {
    return run([&]() -> Status {
        execute(db,
                "INSERT INTO users (name, role, created, created_by) VALUES (?, ?, ?, ?) ON CONFLICT (name)"
                " DO UPDATE SET role = excluded.role, disabled = NULL WHERE disabled IS NOT NULL",
                row.name, row.role, row.created, row.created_by);
        if (db.changes() == 0) return fail(Code::kConflict, "there is a user {} already", row.name);
        return {};
    });
}

Result<std::optional<UserRow>> find_user(Connection& db, const std::string& name) {
    return run([&]() -> Result<std::optional<UserRow>> {
        auto& s =
            query(db, "SELECT name, role, created, created_by, disabled FROM users WHERE name = ?", name);
        if (!s.executeStep()) return std::optional<UserRow>();
        return std::optional<UserRow>(user_row(s));
    });
}

Result<std::vector<UserRow>> list_users(Connection& db) {
    return run([&]() -> Result<std::vector<UserRow>> {
        auto& s = query(db, "SELECT name, role, created, created_by, disabled FROM users ORDER BY name");
        std::vector<UserRow> rows;
        while (s.executeStep()) rows.push_back(user_row(s));
        return rows;
    });
}

Status disable_user(Connection& db, const std::string& name, UtcMs now) {
    return run([&]() -> Status {
        execute(db, "UPDATE users SET disabled = ?2 WHERE name = ?1 AND disabled IS NULL", name, now);
        if (db.changes() == 0)
            return fail(Code::kNotFound, "no active user {}: `scopenode users list` names them", name);
        return {};
    });
}

}  // namespace scopenode::storage
