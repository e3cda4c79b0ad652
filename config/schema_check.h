#pragma once
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "config/settings.h"

namespace scopenode::config {

/// All faults of a document against a JSON schema (draft 7), unknown keys included, in the order of their
/// pointers.
std::vector<Fault> schema_faults(const nlohmann::json& document, const nlohmann::json& schema);

}  // namespace scopenode::config
