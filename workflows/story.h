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
                         const storage::StudyRow& study);  ///< every series, slice, job, remark
Json job_entry(const storage::JobRow& job);
Json delivery_entry(const storage::OutboxRow& delivery);
Json worklist_entry(const storage::StudyRow& study);

std::string show_text(const Json& entry);
std::string why_text(const Json& story);
std::string json_text(const Json& json);

}  // namespace scopenode::workflows
