#include "workflows/story.h"

#include "base/core/clock.h"
#include "ml/labels.h"
#include "workflows/intake.h"
#include "workflows/not_eligible.h"
#include "workflows/reasons.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

Json no_files() {
    return {{"sr", Json()},
            {"overlays", Json::array()},
            {"key_objects", Json()},
            {"presentation_states", Json::array()}};
}

/// Where the current result objects of a study are.
Result<Json> current_files(Connection& db, const StudyRow& study) {
    Json files = no_files();
    SCOPENODE_ASSIGN(const auto results, results_of(db, study.id));
    for (const ResultRow& result : results) {
        if (!result.current) continue;
        SCOPENODE_ASSIGN(const auto object, find_instance(db, result.sop_instance_uid));
        if (!object) continue;
        if (result.kind == "sr") files["sr"] = object->path;
        if (result.kind == "ko") files["key_objects"] = object->path;
        if (result.kind.starts_with("sc-")) files["overlays"].push_back(object->path);
        if (result.kind.starts_with("pr-")) files["presentation_states"].push_back(object->path);
    }
    return files;
}

/// A study that has no result yet: the same keys, nothing determined, the reasons of its series.
Result<Json> entry_without_result(Connection& db, const StudyRow& study) {
    SCOPENODE_ASSIGN(const auto set, eligible_set(db, study.id));
    Json json;
    json["study_uid"] = study.study_uid;
    json["series_uid"] = text_or_null(set.series_uid);
    json["state"] = study.state;
    json["revision"] = study.revision;
    json["model"] = Json();
    json["probabilities"] = Json();
    json["findings"] = Json::object();
    for (const auto label : ml::kLabels) json["findings"][std::string(label)] = "undetermined";
    json["slices"] = Json::array();
    json["files"] = no_files();
    json["reasons"] = Json::array();
    SCOPENODE_ASSIGN(const auto reasons, series_reasons(db, study.id));
    for (const Reason& reason : reasons)
        json["reasons"].push_back({{"code", reason.code}, {"text", reason.text}});
    return json;
}

Result<Json> deliveries_entry(Connection& db, const StudyRow& study) {
    SCOPENODE_ASSIGN(const auto rows, deliveries_of(db, study.id));
    Json json = Json::array();
    for (const auto& row : rows) json.push_back(delivery_entry(row));
    return json;
}

}  // namespace

Json time_or_null(std::optional<UtcMs> time) {
    return time ? Json(iso8601(*time)) : Json();
}
Json text_or_null(const std::string& text) {
    return text.empty() ? Json() : Json(text);
}

std::string field(const Json& json, const char* key) {
    const Json& value = json.at(key);
    if (value.is_string()) return value.get<std::string>();
    return value.is_null() ? "" : value.dump();
}

std::string deliveries_text(const Json& deliveries) {
    std::string text;
    for (const Json& d : deliveries) {
        text += fmt::format("  to {}: {}", field(d, "destination"), field(d, "state"));
        if (!d["sent"].is_null()) text += " at " + field(d, "sent");
        if (!d["code"].is_null()) text += " " + field(d, "code");
        if (d["commitment"] != "none") text += ", commitment " + field(d, "commitment");
        if (!d["last_error"].is_null())
            text += fmt::format(" ({} attempts, last: {})", field(d, "attempts"), field(d, "last_error"));
        text += "\n";
    }
    return text.empty() ? "  none\n" : text;
}

std::string reasons_text(const Json& reasons) {
    std::string text;
    for (const Json& r : reasons) text += fmt::format("  {}: {}\n", field(r, "code"), field(r, "text"));
    return text;
}

std::string json_text(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

Json job_entry(const JobRow& job) {
    Json json;
    json["id"] = job.id;
    json["kind"] = job.kind;
    json["study_uid"] = job.study_uid;
    json["revision"] = job.revision;
    json["state"] = job.state;
    json["attempts"] = job.attempts;
    json["created"] = iso8601(job.created);
    json["next"] = iso8601(job.next);
    json["started"] = time_or_null(job.started);
    json["ended"] = time_or_null(job.ended);
    json["last_error"] = text_or_null(job.last_error);
    return json;
}

Json delivery_entry(const OutboxRow& delivery) {
    Json json;
    json["id"] = delivery.id;
    json["destination"] = delivery.destination;
    json["state"] = delivery.state;
    json["study_uid"] = delivery.study_uid;
    json["sop_instance_uid"] = delivery.sop_instance_uid;
    json["attempts"] = delivery.attempts;
    json["next"] = delivery.state == "waiting" ? Json(iso8601(delivery.next)) : Json();
    json["sent"] = time_or_null(delivery.sent);
    json["last_error"] = text_or_null(delivery.last_error);
    json["rank"] = delivery.rank;
    json["code"] = text_or_null(delivery.reason_code);
    json["commitment"] = delivery.commitment;
    json["transaction_uid"] = text_or_null(delivery.transaction_uid);
    return json;
}

Json worklist_entry(const StudyRow& study) {
    Json json;
    json["study_uid"] = study.study_uid;
    json["patient_id"] = study.patient_id;
    json["patient_name"] = study.patient_name;
    json["accession_number"] = study.accession_number;
    json["study_date"] = study.study_date;
    json["description"] = study.description;
    json["state"] = study.state;
    json["revision"] = study.revision;
    json["series"] = study.series;
    json["instances"] = study.instances;
    json["first_received"] = iso8601(study.first_received);
    json["last_received"] = iso8601(study.last_received);
    json["due"] = time_or_null(study.due);
    json["completed_by"] = text_or_null(study.completed_by);
    static constexpr std::array<const char*, 3> kPriorities{"routine", "high", "STAT"};
    json["priority"] = kPriorities.at(static_cast<std::size_t>(std::clamp(study.priority, 0, 2)));
    json["priority_by"] = text_or_null(study.priority_by);
    return json;
}

Result<Json> study_entry(Connection& db, const StudyRow& study) {
    SCOPENODE_ASSIGN(const auto current, current_result(db, study.id, "sr"));
    Json json;
    if (current) {
        json = Json::parse(current->summary, nullptr, false);
        if (json.is_discarded())
            return fail(Code::kDatabase, "the summary of {} is damaged", current->sop_instance_uid);
        json["state"] = study.state;
        SCOPENODE_ASSIGN(json["files"], current_files(db, study));
    } else {
        SCOPENODE_ASSIGN(json, entry_without_result(db, study));
    }
    SCOPENODE_ASSIGN(json["deliveries"], deliveries_entry(db, study));
    return json;
}

/// ", present from 0.376"; results of older versions do not tell it.
std::string threshold_text(const Json& entry, const std::string& key) {
    const auto thresholds = entry.find("thresholds");
    if (thresholds == entry.end() || !thresholds->contains(key)) return "";
    return fmt::format(", present from {:.3f}", (*thresholds)[key].get<double>());
}

std::string show_text(const Json& entry) {
    std::string text =
        fmt::format("study {}\nstate {}, revision {}, model {}{}\n", field(entry, "study_uid"),
                    field(entry, "state"), field(entry, "revision"), field(entry, "model"),
                    entry.value("demonstration", false) ? " (DEMONSTRATION, not for patients)" : "");
    for (const auto label : ml::kLabels) {
        const std::string key(label);
        text += fmt::format("  {:<17} {}", key, field(entry["findings"], key.c_str()));
        if (!entry["probabilities"].is_null())
            text += fmt::format(" ({:.3f}{})", entry["probabilities"][key].get<double>(),
                                threshold_text(entry, key));
        text += "\n";
    }
    text += fmt::format("{} slices analysed\n", entry["slices"].size());
    if (!entry["files"]["sr"].is_null()) text += "report " + field(entry["files"], "sr") + "\n";
    for (const Json& overlay : entry["files"]["overlays"])
        text += "overlay " + overlay.get<std::string>() + "\n";
    if (!entry["files"]["key_objects"].is_null())
        text += "key objects " + field(entry["files"], "key_objects") + "\n";
    if (!entry["reasons"].empty()) text += "reasons\n" + reasons_text(entry["reasons"]);
    text += "deliveries\n" + deliveries_text(entry["deliveries"]);
    text.pop_back();
    return text;
}

}  // namespace scopenode::workflows
