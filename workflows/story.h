#pragma once
#include <nlohmann/json.hpp>

#include "storage/index/catalog.h"
#include "storage/index/database.h"
#include "storage/index/queue.h"
#include "storage/index/results.h"

namespace scopenode::workflows {

using Json = nlohmann::ordered_json;

/// What the index knows about a study, as JSON; the texts for people are made from it.
Result<Json> study_entry(storage::Connection& db,
                         const storage::StudyRow& study);  ///< results.json plus deliveries
Result<Json> study_story(storage::Connection& db,
                         const storage::StudyRow& study);  ///< everything, why there is no result first
Result<Json> instance_story(storage::Connection& db, const storage::InstanceRow& instance);
Json job_entry(const storage::JobRow& job);
Json delivery_entry(const storage::OutboxRow& delivery);
Json worklist_entry(const storage::StudyRow& study);

std::string show_text(const Json& entry);
std::string why_text(const Json& story);
std::string instance_text(const Json& story);
std::string json_text(const Json& json);

/// Pieces of such texts.
Json time_or_null(std::optional<UtcMs> time);
Json text_or_null(const std::string& text);
std::string field(const Json& json, const char* key);   ///< "" for null
std::string deliveries_text(const Json& deliveries);
std::string reasons_text(const Json& reasons);

}  // namespace scopenode::workflows
