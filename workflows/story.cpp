#include "workflows/story.h"

#include "base/core/clock.h"
#include "ml/labels.h"
#include "workflows/intake.h"
#include "workflows/reasons.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

Json time_or_null(std::optional<UtcMs> time) {
    return time ? Json(iso8601(*time)) : Json();
}
Json text_or_null(const std::string& text) {
    return text.empty() ? Json() : Json(text);
}

std::string series_name(const SeriesRow& series) {
    std::string name = "Series " + (series.series_number.empty() ? series.series_uid : series.series_number);
    if (!series.description.empty()) name += " (" + series.description + ")";
    return name;
}

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
    SCOPENODE_ASSIGN(const auto all, series_of(db, study.id));
    for (const SeriesRow& series : all)
        if (series.judged && !series.eligible && !series.own)
            json["reasons"].push_back(
                {{"code", series.reason_code}, {"text", series_name(series) + ": " + series.reason_text}});
    return json;
}

Result<Json> series_entry(Connection& db, const SeriesRow& series) {
    Json json;
    json["series_uid"] = series.series_uid;
    json["number"] = series.series_number;
    json["modality"] = series.modality;
    json["description"] = series.description;
    json["body_part"] = series.body_part;
    json["instances"] = series.instances;
    json["own"] = series.own;
    json["judged"] = series.judged;
    json["eligible"] = series.eligible;
    json["code"] = text_or_null(series.reason_code);
    json["text"] = text_or_null(series.reason_text);
    json["left_out"] = Json::array();
    SCOPENODE_ASSIGN(const auto rows, instances_of(db, series.id));
    for (const InstanceRow& row : rows)
        if (!row.reason_code.empty())
            json["left_out"].push_back({{"sop_instance_uid", row.sop_instance_uid},
                                        {"code", row.reason_code},
                                        {"text", sentence(row.reason_code)}});
    return json;
}

Result<Json> deliveries_entry(Connection& db, const StudyRow& study) {
    SCOPENODE_ASSIGN(const auto rows, deliveries_of(db, study.id));
    Json json = Json::array();
    for (const auto& row : rows) json.push_back(delivery_entry(row));
    return json;
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

std::string series_text(const Json& series) {
    const std::string left_out =
        series["left_out"].empty() ? "" : fmt::format(", {} left out", series["left_out"].size());
    std::string text = fmt::format("  {} {} {}: {} object{}{}\n", field(series, "number"),
                                   field(series, "modality"), field(series, "description"),
                                   field(series, "instances"), series["instances"] == 1 ? "" : "s", left_out);
    if (series["eligible"] == true) {
        text += "    eligible\n";
    } else if (series["judged"] == true) {
        text += fmt::format("    {}: {}\n", field(series, "code"), field(series, "text"));
    } else {
        text += series["own"] == true ? "    a result of this node\n" : "    not judged yet\n";
    }
    std::map<std::string, std::pair<int, std::string>> other;
    for (const Json& slice : series["left_out"])
        if (slice["code"] != series["code"]) {
            auto& row = other[field(slice, "code")];
            ++row.first;
            row.second = field(slice, "text");
        }
    for (const auto& [code, row] : other)
        text += fmt::format("    {} x {}: {}\n", row.first, code, row.second);
    return text;
}

}  // namespace

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

Result<Json> study_story(Connection& db, const StudyRow& study) {
    Json json = worklist_entry(study);
    json["all_series"] = Json::array();
    SCOPENODE_ASSIGN(const auto all, series_of(db, study.id));
    for (const SeriesRow& series : all) {
        SCOPENODE_ASSIGN(auto one, series_entry(db, series));
        json["all_series"].push_back(std::move(one));
    }
    SCOPENODE_ASSIGN(const auto entry, study_entry(db, study));
    json["reasons"] = entry["reasons"];
    json["remarks"] = Json::array();
    SCOPENODE_ASSIGN(const auto remarks, remarks_of(db, study.id));
    for (const auto& r : remarks)
        json["remarks"].push_back({{"time", iso8601(r.time)},
                                   {"kind", r.kind},
                                   {"sop_instance_uid", text_or_null(r.sop_instance_uid)},
                                   {"text", r.text}});
    json["evidence"] = Json::array();
    SCOPENODE_ASSIGN(const auto evidence, evidence_of(db, study.id));
    for (const auto& e : evidence)
        json["evidence"].push_back(
            {{"time", iso8601(e.time)}, {"kind", e.kind}, {"detail", e.detail}, {"decided", e.decided}});
    json["results"] = Json::array();
    SCOPENODE_ASSIGN(const auto results, results_of(db, study.id));
    for (const auto& r : results)
        json["results"].push_back({{"revision", r.revision},
                                   {"kind", r.kind},
                                   {"sop_instance_uid", r.sop_instance_uid},
                                   {"model_sha256", r.model_sha256},
                                   {"program_version", r.program_version},
                                   {"settings_revision", r.settings_revision},
                                   {"created", iso8601(r.created)},
                                   {"state", r.current ? "done" : "superseded"}});
    json["jobs"] = Json::array();
    SCOPENODE_ASSIGN(const auto jobs, jobs_of(db, study.id));
    for (const auto& job : jobs) json["jobs"].push_back(job_entry(job));
    json["deliveries"] = entry["deliveries"];
    return json;
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
            text += fmt::format(" ({:.3f})", entry["probabilities"][key].get<double>());
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

std::string why_text(const Json& story) {
    std::string text =
        fmt::format("study {}\nstate {}, revision {}{}{}\n", field(story, "study_uid"), field(story, "state"),
                    field(story, "revision"),
                    story["completed_by"].is_null() ? "" : ", complete by " + field(story, "completed_by"),
                    story["due"].is_null() ? "" : ", complete at " + field(story, "due"));
    text += "series\n";
    for (const Json& series : story["all_series"]) text += series_text(series);
    if (!story["reasons"].empty()) text += "reasons\n" + reasons_text(story["reasons"]);
    if (!story["remarks"].empty()) text += "remarks\n";
    for (const Json& r : story["remarks"])
        text += fmt::format("  {} {}: {} {}\n", field(r, "time"), field(r, "kind"), field(r, "text"),
                            field(r, "sop_instance_uid"));
    if (!story["evidence"].empty()) text += "evidence of completion\n";
    for (const Json& e : story["evidence"])
        text += fmt::format("  {} {}{}: {}\n", field(e, "time"), e["decided"] == true ? "complete by " : "",
                            field(e, "kind"), field(e, "detail"));
    if (!story["jobs"].empty()) text += "jobs\n";
    for (const Json& j : story["jobs"]) {
        text += fmt::format("  {} revision {}: {} after {} attempt{}", field(j, "id"), field(j, "revision"),
                            field(j, "state"), field(j, "attempts"), j["attempts"] == 1 ? "" : "s");
        text += j["last_error"].is_null() ? "\n" : ", last error: " + field(j, "last_error") + "\n";
    }
    text += "deliveries\n" + deliveries_text(story["deliveries"]);
    text.pop_back();
    return text;
}

}  // namespace scopenode::workflows
