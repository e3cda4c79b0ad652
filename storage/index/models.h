#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"

namespace scopenode::storage {

class Connection;

/// Registered models; one is champion. The files stand in the node folder under models/<id>/.
struct ModelRow {
    std::string id, sha256, name, path;
    UtcMs registered = 0;
    bool champion = false;
    std::optional<std::int64_t> training = {};  ///< the job that made it
    std::string verdict = {};                   ///< JSON of the gate; "" not judged
    std::string judged_against = {};            ///< id of the champion of that time
    bool passed = false;
    std::optional<UtcMs> shadow = {};  ///< since when it scores studies beside the champion; it sends nothing
};
/// Again is harmless.
Status add_model(Connection& db, const ModelRow& row);
Result<std::vector<ModelRow>> list_models(Connection& db);
Result<std::optional<ModelRow>> find_model(Connection& db, const std::string& id);
Result<std::optional<ModelRow>> champion(Connection& db);
Status set_champion(Connection& db, const std::string& id);
Status set_model_training(Connection& db, const std::string& id, std::int64_t training);
/// What the gate says of it; a later one replaces an earlier one.
Status set_model_verdict(Connection& db, const std::string& id, const std::string& against, bool passed,
                         const std::string& verdict);
/// One model at most is the shadow; "" none.
Status set_shadow(Connection& db, const std::string& id, UtcMs now);

/// How a model came to serve.
struct ModelSwitchRow {
    std::int64_t id = 0;
    UtcMs time = 0;
    std::string kind;  ///< approval, rollback
    std::string from_model, to_model, by_name;
    std::string account;  ///< of the operating system
};
/// The switch and its record, in the caller's transaction.
Status switch_champion(Connection& db, const ModelSwitchRow& row);
Result<std::vector<ModelSwitchRow>> model_switches(Connection& db);  ///< newest first

/// What the shadow would have said of a study revision.
struct ShadowRow {
    std::int64_t study_id = 0;
    std::string study_uid;
    int revision = 0;
    std::string model, champion;
    UtcMs time = 0;
    std::string summary;  ///< JSON: probabilities and findings of both
    bool disagrees = false;
};
Status put_shadow_result(Connection& db, const ShadowRow& row);
/// The newest current report since `since` of which the shadow has said nothing yet: study and revision.
Result<std::optional<std::pair<std::int64_t, int>>> study_for_shadow(Connection& db, const std::string& model,
                                                                     UtcMs since);
Result<std::vector<ShadowRow>> shadow_results(Connection& db, const std::string& model, int limit);

/// People that may approve.
struct UserRow {
    std::string name, role;  ///< radiologist, admin
    UtcMs created = 0;
    std::string created_by;
    std::optional<UtcMs> disabled;
};
Status add_user(Connection& db, const UserRow& row);  ///< kConflict when the name is taken
Result<std::optional<UserRow>> find_user(Connection& db, const std::string& name);
Result<std::vector<UserRow>> list_users(Connection& db);
Status disable_user(Connection& db, const std::string& name, UtcMs now);

}  // namespace scopenode::storage
