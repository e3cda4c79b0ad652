#include <algorithm>
#include <map>

#include "base/core/clock.h"
#include "ml/labels.h"
#include "storage/index/commitments.h"
#include "storage/index/mpps.h"
#include "storage/index/slices.h"
#include "workflows/feedback/feedback.h"
#include "workflows/reasons.h"
#include "workflows/story.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

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

/// Why there is no result (any more to come without somebody's doing), or not yet; null when there is one.
Json no_result(const Json& story) {
    const auto because = [](const std::string& code, const std::string& text) {
        return Json({{"code", code}, {"text", text}});
    };
    const std::string state = field(story, "state");
    const Json* job = story["jobs"].empty() ? nullptr : &story["jobs"].back();
    if (state == "failed" && job)
        return because(field(*job, "state") == "cancelled" ? "CANCELLED" : "GIVEN_UP",
                       fmt::format("job {} is {} after {} attempts: {}", field(*job, "id"),
                                   field(*job, "state"), field(*job, "attempts"), field(*job, "last_error")));
    if (state == "not_eligible") {
        const Json* best = nullptr;
        for (const Json& reason : story["reasons"]) {
            if (reason["code"] == reasons::kDemonstrationNotSent) continue;  // of the report, not of a series
            if (!best || rank(field(reason, "code")) > rank(field(*best, "code"))) best = &reason;
        }
        const std::string said =
            story["revision"] == 0
                ? ""
                : fmt::format(" Revision {} says so in a short report.", field(story, "revision"));
        return best ? because(field(*best, "code"), field(*best, "text") + said)
                    : because("NO_SERIES", "the study has no series of its own");
    }
    if (state == "receiving")
        return because("RECEIVING", story["due"].is_null() ? "it has just begun to arrive"
                                                           : "it may still be arriving; looked at again at " +
                                                                 field(story, "due"));
    if (state == "waiting" && job && !(*job)["last_error"].is_null())
        return because("TRIED_AGAIN", fmt::format("tried again at {} after: {}", field(*job, "next"),
                                                  field(*job, "last_error")));
    if (state == "waiting") return because("WAITING", "its job has not begun");
    if (state == "processing") return because("PROCESSING", "it is being worked on");
    return {};
}

Result<Json> senders_entry(Connection& db, const StudyRow& study) {
    SCOPENODE_ASSIGN(const auto senders, senders_of(db, study.id));
    Json json = Json::array();
    for (const auto& s : senders)
        json.push_back({{"calling_ae", s.calling_ae},
                        {"objects", s.objects},
                        {"bytes", s.bytes},
                        {"first", iso8601(s.first)},
                        {"last", iso8601(s.last)}});
    return json;
}

/// What peers said about the study: performed procedure steps, and what they asked to be kept.
Status add_services(Connection& db, const StudyRow& study, Json& json) {
    json["mpps"] = Json::array();
    SCOPENODE_ASSIGN(const auto steps, mpps_of(db, study.study_uid));
    for (const auto& step : steps)
        json["mpps"].push_back({{"sop_instance_uid", step.sop_instance_uid},
                                {"state", step.state},
                                {"calling_ae", step.calling_ae},
                                {"created", iso8601(step.created)},
                                {"ended", time_or_null(step.ended)},
                                {"images", step.images.size()}});
    json["commitment_requests"] = Json::array();
    SCOPENODE_ASSIGN(const auto requests, commitment_requests_of(db, study.id));
    for (const auto& r : requests)
        json["commitment_requests"].push_back({{"transaction_uid", r.transaction_uid},
                                               {"calling_ae", r.calling_ae},
                                               {"requested", iso8601(r.requested)},
                                               {"state", r.state},
                                               {"instances", r.instances.size()}});
    return {};
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

std::string services_text(const Json& story) {
    std::string text;
    for (const Json& step : story["mpps"])
        text += fmt::format("  MPPS of {}: {}, {} images named\n", field(step, "calling_ae"),
                            field(step, "state"), field(step, "images"));
    for (const Json& r : story["commitment_requests"])
        text += fmt::format("  {} {} asked to keep {} objects: {}\n", field(r, "requested"),
                            field(r, "calling_ae"), field(r, "instances"), field(r, "state"));
    return text;
}

}  // namespace

Result<Json> study_story(Connection& db, const StudyRow& study) {
    Json json = {{"no_result", Json()}};
    json.update(worklist_entry(study));
    SCOPENODE_ASSIGN(json["received_from"], senders_entry(db, study));
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
    SCOPENODE_TRY(add_services(db, study, json));
    SCOPENODE_ASSIGN(json["feedback"], feedback_entries(db, study.study_uid));
    json["no_result"] = no_result(json);
    return json;
}

std::string why_text(const Json& story) {
    std::string text =
        fmt::format("study {}\nstate {}, revision {}{}{}\n", field(story, "study_uid"), field(story, "state"),
                    field(story, "revision"),
                    story["completed_by"].is_null() ? "" : ", complete by " + field(story, "completed_by"),
                    story["due"].is_null() ? "" : ", looked at again at " + field(story, "due"));
    if (!story["no_result"].is_null())
        text = fmt::format("no result: {}: {}\n", field(story["no_result"], "code"),
                           field(story["no_result"], "text")) +
               text;
    if (story["priority"] != "routine")
        text += fmt::format("{}: {}\n", field(story, "priority"), field(story, "priority_by"));
    text += "received\n";
    for (const Json& s : story["received_from"])
        text += fmt::format("  {} objects from {}, {} to {}\n", field(s, "objects"), field(s, "calling_ae"),
                            field(s, "first"), field(s, "last"));
    text += services_text(story);
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
    if (!story["results"].empty()) text += "results\n";
    for (const Json& r : story["results"])
        text += fmt::format("  revision {} {}: {} ({}) by model {}\n", field(r, "revision"), field(r, "kind"),
                            field(r, "sop_instance_uid"), field(r, "state"),
                            field(r, "model_sha256").substr(0, 12));
    text += "deliveries\n" + deliveries_text(story["deliveries"]);
    text.pop_back();
    return text;
}

Result<Json> instance_story(Connection& db, const InstanceRow& row) {
    Json json;
    json["sop_instance_uid"] = row.sop_instance_uid;
    SCOPENODE_ASSIGN(const auto study, study_by_id(db, row.study_id));
    json["study_uid"] = study ? Json(study->study_uid) : Json();
    SCOPENODE_ASSIGN(const auto all, series_of(db, row.study_id));
    for (const SeriesRow& series : all)
        if (series.id == row.series_id) json["series_uid"] = series.series_uid;
    json["received"] = iso8601(row.received);
    json["calling_ae"] = text_or_null(row.calling_ae);
    json["sop_class_uid"] = row.sop_class_uid;
    json["transfer_syntax_uid"] = row.transfer_syntax_uid;
    json["bytes"] = row.bytes;
    json["sha256"] = row.file_sha256;
    json["path"] = row.path;
    json["eligible"] = row.eligible;
    json["code"] = text_or_null(row.reason_code);
    json["text"] = row.reason_code.empty() ? Json() : Json(sentence(row.reason_code));
    json["scores"] = Json::array();
    SCOPENODE_ASSIGN(const auto scores, scores_of_instance(db, row.id));
    for (const auto& [model, values] : scores) {
        Json one = {{"model_sha256", model}};
        for (std::size_t i = 0; i < ml::kLabelCount; ++i) one[std::string(ml::kLabels[i])] = values.at(i);
        json["scores"].push_back(std::move(one));
    }
    json["faults"] = Json::array();
    SCOPENODE_ASSIGN(const auto faults, faults_of_instance(db, row.id));
    for (const auto& fault : faults) json["faults"].push_back(fault);
    SCOPENODE_ASSIGN(const auto copies, conflict_copies(db, row.sop_instance_uid));
    json["conflict_copies"] = copies.size();
    json["remarks"] = Json::array();
    SCOPENODE_ASSIGN(const auto remarks, remarks_of(db, row.study_id));
    for (const auto& r : remarks)
        if (r.sop_instance_uid == row.sop_instance_uid)
            json["remarks"].push_back({{"time", iso8601(r.time)}, {"kind", r.kind}, {"text", r.text}});
    return json;
}

std::string instance_text(const Json& story) {
    std::string text = fmt::format(
        "instance {}\nof study {}, series {}\nreceived {} from {}, {} bytes, sha256 {}\n",
        field(story, "sop_instance_uid"), field(story, "study_uid"), field(story, "series_uid"),
        field(story, "received"), story["calling_ae"].is_null() ? "this node" : field(story, "calling_ae"),
        field(story, "bytes"), field(story, "sha256"));
    text += story["code"].is_null() ? (story["eligible"] == true ? "eligible\n" : "not judged yet\n")
                                    : fmt::format("{}: {}\n", field(story, "code"), field(story, "text"));
    for (const Json& one : story["scores"])
        text += fmt::format("scored by model {}: any {:.3f}\n", field(one, "model_sha256").substr(0, 12),
                            one["any"].get<double>());
    for (const Json& fault : story["faults"]) text += "no score: " + fault.get<std::string>() + "\n";
    if (story["conflict_copies"] != 0)
        text += fmt::format("{} other contents came under its UID\n", field(story, "conflict_copies"));
    for (const Json& r : story["remarks"])
        text += fmt::format("{} {}: {}\n", field(r, "time"), field(r, "kind"), field(r, "text"));
    text.pop_back();
    return text;
}

}  // namespace scopenode::workflows
