#pragma once
#include <filesystem>
#include <span>
#include <string>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "storage/index/database.h"

namespace scopenode::workflows {

/// `models approve ID --by NAME --account OS`, `models rollback [--by NAME] --account OS`, `models shadow
/// ID|off`: words behind `models`. A switch is one transaction; what serves takes the model up when this has
/// returned. Approval needs an active administrator and a verdict of the gate against the champion that
/// serves now.
Result<std::string> run_model_command(storage::Connection& db, const std::filesystem::path& node, UtcMs now,
                                      std::span<const std::string> words);
/// What a verdict of `models compare --record` is worth: kept with the candidate, see judge_candidate().
Status keep_verdict(storage::Connection& db, const std::string& candidate, const std::string& champion,
                    const std::string& verdict_json, UtcMs now);

/// `users add NAME --role R`, `users disable NAME`: words behind `users`.
Result<std::string> run_user_command(storage::Connection& db, UtcMs now, std::span<const std::string> words);
Result<std::string> users_list(storage::Index& index, bool json);
/// What the shadow would have said: disagreements first.
Result<std::string> shadow_list(storage::Index& index, const std::string& model, bool json);

}  // namespace scopenode::workflows
