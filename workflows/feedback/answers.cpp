#include <algorithm>
#include <set>

#include "base/core/ids.h"
#include "workflows/feedback/amended_report.h"
#include "workflows/results/report_parts.h"

namespace scopenode::workflows {
namespace {

using Json = nlohmann::ordered_json;

Json code_json(const CodedEntry& code) {
    if (code.code.empty()) return Json();
    return {{"code", code.code}, {"scheme", code.scheme}, {"meaning", code.meaning}};
}
Json time_json(const GivenTime& time) {
    return {{"given", time.text}, {"utc", time.utc ? Json(iso8601(*time.utc)) : Json()}};
}

Json findings_json(const AmendedReport& report) {
    Json all = Json::object();
    for (std::size_t i = 0; i < report.findings.size(); ++i) {
        const AnsweredFinding& one = report.findings[i];
        all[std::string(ml::kLabels.at(i))] = {
            {"presence", one.presence ? Json(word(*one.presence)) : Json()},
            {"code", code_json(one.code)},
            {"contradictory", one.contradictory},
            {"probability", one.probability ? Json(*one.probability) : Json()},
            {"tracking_identifier", one.tracking_identifier},
            {"tracking_uid", one.tracking_uid}};
    }
    return all;
}

/// The result among those of the study that fits best: same model and slices, same model, newest.
std::optional<std::size_t> best_of_study(const AmendedReport& report, std::span<const KnownResult> results,
                                         bool exactly) {
    const std::set<std::string> evidence(report.evidence.begin(), report.evidence.end());
    std::optional<std::size_t> best;
    int best_rank = -1;
    for (std::size_t i = 0; i < results.size(); ++i) {
        const KnownResult& one = results[i];
        if (one.study_uid != report.study_uid) continue;
        const bool model = std::find(report.manifests.begin(), report.manifests.end(), one.model_sha256) !=
                           report.manifests.end();
        const bool slices =
            !evidence.empty() && std::set<std::string>(one.slices.begin(), one.slices.end()) == evidence;
        if (exactly && !(model && slices)) continue;
        const int rank = (model ? 2 : 0) + (slices ? 1 : 0);
        if (best && (rank < best_rank || (rank == best_rank && one.id < results[*best].id))) continue;
        best = i;
        best_rank = rank;
    }
    return best;
}

/// The newest result that a document names as its predecessor, itself or through an earlier answer.
std::optional<Answers> by_predecessor(const AmendedReport& report, std::span<const KnownResult> results,
                                      std::span<const KnownAnswer> earlier) {
    std::optional<Answers> found;
    const auto take = [&](std::size_t i, const char* by) {
        if (!found || results[found->result].id < results[i].id) found = Answers{i, by};
    };
    for (const auto& before : report.predecessors)
        for (std::size_t i = 0; i < results.size(); ++i)
            if (results[i].sop_instance_uid == before.sop_instance_uid) take(i, "predecessor");
    if (found) return found;
    for (const auto& before : report.predecessors)
        for (const KnownAnswer& answer : earlier)
            for (std::size_t i = 0; i < results.size(); ++i)
                if (answer.sop_instance_uid == before.sop_instance_uid && results[i].id == answer.result_id)
                    take(i, "predecessor's predecessor");
    return found;
}

/// Names of items that say how a report was made, not what somebody thinks.
bool is_formality(const CodedEntry& name) {
    const CodeTable& codes = CodeTable::embedded();
    if (name.scheme == codes.private_designator()) return true;
    for (const char* formal :
         {"algorithm_name", "algorithm_version", "algorithm_parameters", "tracking_identifier", "device_name",
          "device_manufacturer", "device_model", "station_ae", "person_organization"})
        if (codes.means(formal, name)) return true;
    return false;
}

}  // namespace

Json to_json(const AmendedReport& report) {
    Json json = {{"sop_class_uid", report.sop_class_uid},
                 {"sop_instance_uid", report.sop_instance_uid},
                 {"series_uid", report.series_uid},
                 {"study_uid", report.study_uid},
                 {"patient_id", report.patient_id},
                 {"completion", report.completion},
                 {"completion_description", report.completion_description},
                 {"verification", report.verification},
                 {"preliminary", report.preliminary},
                 {"timezone_offset", report.timezone_offset},
                 {"content_time", time_json(report.content_time)},
                 {"created", time_json(report.created)},
                 {"predecessors", Json::array()},
                 {"evidence", report.evidence},
                 {"people", Json::array()},
                 {"observers", Json::array()},
                 {"findings", findings_json(report)},
                 {"texts", Json::array()},
                 {"manifests", report.manifests},
                 {"device_uids", report.device_uids}};
    for (const auto& one : report.predecessors)
        json["predecessors"].push_back({{"study_uid", one.study_uid},
                                        {"series_uid", one.series_uid},
                                        {"sop_class_uid", one.sop_class_uid},
                                        {"sop_instance_uid", one.sop_instance_uid}});
    for (const auto& one : report.people)
        json["people"].push_back({{"kind", one.kind},
                                  {"type", one.type},
                                  {"name", one.name},
                                  {"organization", one.organization},
                                  {"identification", code_json(one.identification)},
                                  {"time", time_json(one.time)}});
    for (const auto& one : report.observers) {
        Json roles = Json::array();
        for (const auto& role : one.roles) roles.push_back(code_json(role));
        json["observers"].push_back({{"type", one.type},
                                     {"name", one.name},
                                     {"organization", one.organization},
                                     {"uid", one.uid},
                                     {"roles", roles}});
    }
    for (const auto& one : report.texts)
        json["texts"].push_back(
            {{"finding", one.finding}, {"name", code_json(one.name)}, {"text", one.text}});
    return json;
}

std::optional<Answers> answered_result(const AmendedReport& report, std::span<const KnownResult> results,
                                       std::span<const KnownAnswer> earlier) {
    for (std::size_t i = 0; i < results.size(); ++i)
        if (results[i].sop_instance_uid == report.sop_instance_uid) return Answers{i, "sop instance"};
    if (auto found = by_predecessor(report, results, earlier)) return found;
    bool tracked = false;
    for (std::size_t i = 0; i < report.findings.size(); ++i)
        tracked |= !report.findings[i].tracking_uid.empty() &&
                   report.findings[i].tracking_uid == tracking_uid(report.study_uid, i);
    if (tracked)
        if (const auto best = best_of_study(report, results, false)) return Answers{*best, "tracking UIDs"};
    if (const auto best = best_of_study(report, results, true))
        return Answers{*best, "evidence and manifest"};
    return std::nullopt;
}

Standing standing_of(const AmendedReport& report, const KnownResult& result) {
    const auto verifiers = report.verifiers();
    const bool named =
        std::any_of(verifiers.begin(), verifiers.end(), [](const auto* one) { return !one->name.empty(); });
    if (report.study_uid != result.study_uid)
        return {"pending", "its study is not the one of the result that it names"};
    if (!report.names_a_person()) return {"pending", "no person is named who observed or verified it"};
    if (report.verification != "VERIFIED") return {"pending", "it is not verified"};
    if (!named) return {"pending", "it is verified, but no verifying person is named"};
    if (report.completion != "COMPLETE") return {"pending", "it is not complete"};
    return {"complete", ""};
}

bool is_own_copy(const AmendedReport& report, bool in_own_series, const KnownResult* result) {
    if (report.verification == "VERIFIED" || report.names_a_person()) return false;
    if (!in_own_series && !report.has_our_equipment()) return false;
    if (!result) return true;
    for (std::size_t i = 0; i < report.findings.size(); ++i)
        if (report.findings[i].presence != result->findings[i]) return false;
    return true;
}

std::vector<AmendedReport::Text> comments_of(const AmendedReport& report, const AmendedReport* ours) {
    std::multiset<std::string> known;
    const auto key = [](const AmendedReport::Text& one) {
        return one.finding + "|" + one.name.scheme + "|" + one.name.code + "|" + one.text;
    };
    if (ours)
        for (const auto& one : ours->texts) known.insert(key(one));
    std::vector<AmendedReport::Text> all;
    for (const auto& one : report.texts) {
        if (const auto place = known.find(key(one)); place != known.end()) {
            known.erase(place);
            continue;
        }
        if (!is_formality(one.name)) all.push_back(one);
    }
    return all;
}

}  // namespace scopenode::workflows
