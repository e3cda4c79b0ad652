#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "config/settings.h"
#include "storage/index/database.h"

namespace scopenode::workflows {

/// Is it one of the commands below?
bool is_learning_command(const std::vector<std::string>& words);
/// The writing commands of labels, retraining, promotion and users, in one transaction; returns when it is
/// durable:
///   labels add|import ...    train start|cancel|resume ...    models approve|rollback|shadow|verdict ...
///   users add|disable ...
/// kInvalidArgument for anything else. Result: text for the person.
Result<std::string> run_learning_command(storage::Index& index, const config::Settings& settings,
                                         const std::filesystem::path& node, const Clock& clock,
                                         const std::vector<std::string>& words);

}  // namespace scopenode::workflows
