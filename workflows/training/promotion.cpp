#include "workflows/training/promotion.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "storage/index/audit.h"
#include "storage/index/labels.h"
#include "storage/index/models.h"
#include "storage/index/trainings.h"
#include "workflows/training/gate.h"
#include "workflows/training/snapshot.h"

namespace scopenode::workflows {
namespace {

using namespace storage;
using nlohmann::ordered_json;

struct Told {
    std::string what, by, account;
};

Result<Told> parse_words(std::span<const std::string> words, const char* command) {
    Told told;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "--by" && i + 1 < words.size())
            told.by = words[++i];
        else if (words[i] == "--account" && i + 1 < words.size())
            told.account = words[++i];
        else if (told.what.empty() && !words[i].starts_with("--"))
            told.what = words[i];
        else
            return fail(Code::kInvalidArgument, "{} does not know '{}'", command, words[i]);
    }
    return told;
}

Status note(Connection& db, UtcMs now, const Told& told, const std::string& action,
            const std::string& subject, const std::string& detail = "") {
    const std::string actor =
        told.by.empty() ? "account " + told.account : fmt::format("{} (account {})", told.by, told.account);
    return add_audit(db, now, actor, action, subject, detail);
}

Status check_administrator(Connection& db, const std::string& name) {
    SCOPENODE_ASSIGN(const auto user, find_user(db, name));
    if (!user)
        return fail(Code::kForbidden, "there is no user {}: `scopenode users add NAME --role admin` adds one",
                    name);
    if (user->disabled)
        return fail(Code::kForbidden, "user {} was disabled on {}", name, iso8601(*user->disabled));
    if (user->role != "admin")
        return fail(Code::kForbidden, "user {} is no administrator but {}", name, user->role);
    return {};
}

/// The files are what was registered: the switch must not lead to a model that cannot serve.
Status check_files(const std::filesystem::path& node, const ModelRow& model) {
    SCOPENODE_ASSIGN(const auto text, read_file(node / model.path / "model.json"));
    if (sha256_hex(text) != model.sha256)
        return fail(Code::kDamagedModel, "{} is not the file that was registered (its sha256 differs)",
                    (node / model.path / "model.json").string());
    return {};
}

/// The held out studies on which it was found better are golden from now on.
Status seal_newest(Connection& db, const std::filesystem::path& node, const ModelRow& model, UtcMs now) {
    if (!model.training) return {};
    SCOPENODE_ASSIGN(const auto job, find_training(db, *model.training));
    if (!job) return {};
    SCOPENODE_ASSIGN(const auto kept, find_snapshot(db, job->snapshot));
    if (!kept) return {};
    SCOPENODE_ASSIGN(const auto snapshot, read_snapshot(node / kept->path));
    for (const SnapshotStudy& study : snapshot.studies)
        if (study.use == Use::kHeldOut)
            SCOPENODE_TRY(seal_golden(db, study.study_uid, "model " + model.id + " was approved", now));
    return {};
}

Result<std::string> approve(Connection& db, const std::filesystem::path& node, UtcMs now, const Told& told) {
    if (told.by.empty())
        return fail(Code::kInvalidArgument, "models approve needs --by: the name of an active administrator");
    SCOPENODE_TRY(check_administrator(db, told.by));
    SCOPENODE_ASSIGN(const auto model, find_model(db, told.what));
    if (!model) return fail(Code::kNotFound, "no model {}: `scopenode models list` names them", told.what);
    SCOPENODE_ASSIGN(const auto serves, champion(db));
    if (model->champion) return fail(Code::kConflict, "model {} serves already", model->id);
    if (model->verdict.empty())
        return fail(Code::kConflict,
                    "model {} was not judged: `scopenode models compare CHAMPION {} --record` does that",
                    model->id, model->id);
    SCOPENODE_ASSIGN(const auto verdict, parse_verdict(model->verdict));
    if (!verdict.passed || !model->passed)
        return fail(Code::kConflict, "the gate refused model {}: {}", model->id, verdict.reasons.front());
    if (!serves || model->judged_against != serves->id)
        return fail(Code::kConflict,
                    "model {} was judged against {}, which does not serve any more: judge it again "
                    "(`scopenode models compare {} {} --record`)",
                    model->id, model->judged_against, serves ? serves->id : "", model->id);
    SCOPENODE_TRY(check_files(node, *model));
    SCOPENODE_TRY(switch_champion(db, {0, now, "approval", serves->id, model->id, told.by, told.account}));
    SCOPENODE_TRY(seal_newest(db, node, *model, now));
    SCOPENODE_TRY(note(db, now, told, "model approved", model->id, "instead of " + serves->id));
    return fmt::format(
        "model {} serves from the next study on, approved by {}; `scopenode models rollback` brings {} "
        "back",
        model->id, told.by, serves->id);
}

Result<std::string> rollback(Connection& db, const std::filesystem::path& node, UtcMs now, const Told& told) {
    if (!told.by.empty()) SCOPENODE_TRY(check_administrator(db, told.by));
    SCOPENODE_ASSIGN(const auto switches, model_switches(db));
    SCOPENODE_ASSIGN(const auto serves, champion(db));
    // A rollback is not rolled back: each undoes the newest approval that still stands.
    std::string back;
    std::size_t undone = 0;
    for (const ModelSwitchRow& one : switches) {
        if (one.kind == "rollback") {
            ++undone;
        } else if (undone > 0) {
            --undone;
        } else {
            back = one.from_model;
            break;
        }
    }
    if (back.empty() || !serves)
        return fail(Code::kConflict, "there is no approval to take back: the first model of the node serves");
    SCOPENODE_ASSIGN(const auto model, find_model(db, back));
    if (!model) return fail(Code::kNotFound, "model {} is gone", back);
    SCOPENODE_TRY(check_files(node, *model));
    SCOPENODE_TRY(switch_champion(db, {0, now, "rollback", serves->id, back, told.by, told.account}));
    SCOPENODE_TRY(note(db, now, told, "model rolled back", back, "instead of " + serves->id));
    return fmt::format("model {} serves again from the next study on, instead of {}", back, serves->id);
}

Result<std::string> shadow(Connection& db, UtcMs now, const Told& told) {
    if (told.what == "off") {
        SCOPENODE_TRY(set_shadow(db, "", now));
        SCOPENODE_TRY(note(db, now, told, "shadow ended", ""));
        return std::string("no model runs in the shadow");
    }
    SCOPENODE_ASSIGN(const auto model, find_model(db, told.what));
    if (!model) return fail(Code::kNotFound, "no model {}: `scopenode models list` names them", told.what);
    if (model->champion)
        return fail(Code::kConflict, "model {} serves: its shadow would say the same", model->id);
    SCOPENODE_TRY(set_shadow(db, model->id, now));
    SCOPENODE_TRY(note(db, now, told, "shadow begun", model->id));
    return fmt::format(
        "model {} scores studies beside the champion and sends nothing: `scopenode models shadow list`",
        model->id);
}

}  // namespace

Result<std::string> run_model_command(Connection& db, const std::filesystem::path& node, UtcMs now,
                                      std::span<const std::string> words) {
    if (words.empty()) return fail(Code::kInvalidArgument, "no such command: models");
    SCOPENODE_ASSIGN(const auto told, parse_words(words.subspan(1), words[0].c_str()));
    if (words[0] == "rollback" && told.what.empty()) return rollback(db, node, now, told);
    if (told.what.empty()) return fail(Code::kInvalidArgument, "models {} needs the id of a model", words[0]);
    if (words[0] == "approve") return approve(db, node, now, told);
    if (words[0] == "shadow") return shadow(db, now, told);
    return fail(Code::kInvalidArgument, "no such command: models {}", fmt::join(words, " "));
}

Status keep_verdict(Connection& db, const std::string& candidate, const std::string& against,
                    const std::string& json, UtcMs now) {
    SCOPENODE_ASSIGN(const auto verdict, parse_verdict(json));
    SCOPENODE_TRY(set_model_verdict(db, candidate, against, verdict.passed, json));
    Told nobody;
    nobody.account = "node";
    return note(db, now, nobody,
                verdict.passed ? "candidate passed the gate" : "candidate refused by the gate", candidate,
                verdict.reasons.empty() ? "" : verdict.reasons.front());
}

Result<std::string> run_user_command(Connection& db, UtcMs now, std::span<const std::string> words) {
    std::string name, role, account;
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (words[i] == "--role" && i + 1 < words.size())
            role = words[++i];
        else if (words[i] == "--account" && i + 1 < words.size())
            account = words[++i];
        else if (name.empty())
            name = words[i];
        else
            return fail(Code::kInvalidArgument, "users {} does not know '{}'", words[0], words[i]);
    }
    const bool printable =
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return c >= 32 && c != 127; });
    if (name.empty() || name.size() > 64 || !printable || name.front() == ' ' || name.back() == ' ')
        return fail(Code::kInvalidArgument, "a user's name has 1 to 64 printable characters");
    Told told;
    told.account = account;
    if (words[0] == "disable") {
        SCOPENODE_TRY(disable_user(db, name, now));
        SCOPENODE_TRY(note(db, now, told, "user disabled", name));
        return fmt::format("user {} is disabled", name);
    }
    if (words[0] != "add")
        return fail(Code::kInvalidArgument, "no such command: users {}", fmt::join(words, " "));
    if (role != "admin" && role != "radiologist")
        return fail(Code::kInvalidArgument, "--role is admin or radiologist, not '{}'", role);
    SCOPENODE_TRY(add_user(db, {name, role, now, account, {}}));
    SCOPENODE_TRY(note(db, now, told, "user added", name, role));
    return fmt::format("user {} is {} {}", name, role == "admin" ? "an" : "a",
                       role == "admin" ? "administrator" : role);
}

Result<std::string> users_list(Index& index, bool json) {
    SCOPENODE_ASSIGN(const auto users, index.read(list_users));
    ordered_json all = ordered_json::array();
    std::string text;
    for (const UserRow& user : users) {
        all.push_back({{"name", user.name},
                       {"role", user.role},
                       {"created", iso8601(user.created)},
                       {"created_by", user.created_by},
                       {"disabled", user.disabled ? ordered_json(iso8601(*user.disabled)) : ordered_json()}});
        text +=
            fmt::format("{}{}  {}  since {}{}", text.empty() ? "" : "\n", user.name, user.role,
                        iso8601(user.created), user.disabled ? "  disabled " + iso8601(*user.disabled) : "");
    }
    if (json) return ordered_json{{"users", all}}.dump(2);
    return text.empty() ? "no users: `scopenode users add NAME --role admin` adds the first" : text;
}

Result<std::string> shadow_list(Index& index, const std::string& model, bool json) {
    SCOPENODE_ASSIGN(auto rows, index.read([&](Connection& db) -> Result<std::vector<ShadowRow>> {
        SCOPENODE_ASSIGN(const auto known, find_model(db, model));
        if (!known) return fail(Code::kNotFound, "no model {}: `scopenode models list` names them", model);
        return shadow_results(db, model, 1000);
    }));
    std::stable_sort(rows.begin(), rows.end(),
                     [](const ShadowRow& a, const ShadowRow& b) { return a.disagrees > b.disagrees; });
    ordered_json all = ordered_json::array();
    std::string text;
    for (const ShadowRow& row : rows) {
        const auto summary = ordered_json::parse(row.summary, nullptr, false);
        all.push_back({{"study_uid", row.study_uid},
                       {"revision", row.revision},
                       {"model", row.model},
                       {"champion", row.champion},
                       {"time", iso8601(row.time)},
                       {"disagrees", row.disagrees},
                       {"findings", summary}});
        text += fmt::format("{}{}  revision {}  {}", text.empty() ? "" : "\n", row.study_uid, row.revision,
                            row.disagrees ? "DISAGREES: " + summary.value("words", "") : "agrees");
    }
    if (json) return ordered_json{{"model", model}, {"studies", all}}.dump(2);
    return text.empty() ? fmt::format("model {} has scored no study in the shadow yet", model) : text;
}

}  // namespace scopenode::workflows
