#include "workflows/feedback/known_results.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace scopenode::workflows {
namespace {

using namespace storage;
using Json = nlohmann::json;

std::optional<Presence> presence_of(const Json& value) {
    for (const Presence one : {Presence::kPresent, Presence::kAbsent, Presence::kUndetermined})
        if (value == word(one)) return one;
    return std::nullopt;
}

/// What a result said, by the summary that was stored with it.
KnownResult known_result(const ResultRow& row, const std::string& study_uid) {
    KnownResult known{row.id, study_uid, row.sop_instance_uid, row.model_sha256, {}, {}};
    const Json summary = Json::parse(row.summary, nullptr, false);
    if (!summary.is_object()) return known;
    const Json findings = summary.value("findings", Json::object());
    for (std::size_t i = 0; i < ml::kLabelCount; ++i)
        known.findings[i] = presence_of(findings.value(std::string(ml::kLabels.at(i)), Json()));
    for (const Json& slice : summary.value("slices", Json::array()))
        known.slices.push_back(slice.value("sop_instance_uid", ""));
    return known;
}

/// Adds reports of a study; `wanted` names others of its results that count too (a report in another form).
Status add_study(Connection& db, const StudyRow& study, const std::set<std::string>& wanted,
                 Candidates& all) {
    SCOPENODE_ASSIGN(const auto rows, results_of(db, study.id));
    for (ResultRow row : rows) {
        if (row.kind != "sr" && wanted.count(row.sop_instance_uid) == 0) continue;
        const auto main = std::find_if(rows.begin(), rows.end(), [&](const ResultRow& one) {
            return one.kind == "sr" && one.revision == row.revision && one.model_sha256 == row.model_sha256;
        });
        if (row.kind != "sr" && main != rows.end()) row.summary = main->summary;
        all.results.push_back(known_result(row, study.study_uid));
        all.revisions.push_back(row.revision);
    }
    return {};
}

}  // namespace

Result<Candidates> candidates_for(Connection& db, const AmendedReport& report) {
    Candidates all;
    std::set<std::string> wanted{report.sop_instance_uid};
    for (const auto& one : report.predecessors) wanted.insert(one.sop_instance_uid);
    std::set<std::int64_t> studies;
    SCOPENODE_ASSIGN(const auto own_study, find_study(db, report.study_uid));
    if (own_study) studies.insert(own_study->id);
    for (const std::string& uid : wanted) {
        SCOPENODE_ASSIGN(const auto result, result_of_sop(db, uid));
        if (result) studies.insert(result->study_id);
        if (uid == report.sop_instance_uid) continue;
        SCOPENODE_ASSIGN(const auto answers, feedback_of_sop(db, uid));
        for (const FeedbackRow& answer : answers) {
            if (!answer.result_id) continue;
            all.earlier.push_back({uid, *answer.result_id});
            SCOPENODE_ASSIGN(const auto its, result_of_sop(db, answer.result_sop_instance_uid));
            if (its) studies.insert(its->study_id);
        }
    }
    for (const std::int64_t id : studies) {
        SCOPENODE_ASSIGN(const auto study, study_by_id(db, id));
        if (study) SCOPENODE_TRY(add_study(db, *study, wanted, all));
    }
    SCOPENODE_ASSIGN(all.newest_result, newest_result_id(db));
    return all;
}

}  // namespace scopenode::workflows
