#include "workflows/training/shadow.h"

#include <map>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "ml/aggregate.h"
#include "storage/index/catalog.h"
#include "storage/index/results.h"
#include "workflows/slice_scorer.h"

namespace scopenode::workflows {
namespace {

using namespace storage;
using nlohmann::json;
using nlohmann::ordered_json;

Result<std::optional<ModelRow>> shadow_model(Connection& db) {
    SCOPENODE_ASSIGN(const auto models, list_models(db));
    for (const ModelRow& row : models)
        if (row.shadow && !row.champion) return std::optional<ModelRow>(row);
    return std::optional<ModelRow>();
}

/// Beside what the champion's report says; undetermined stays undetermined.
void compare(const json& report, const ml::Manifest& manifest, const ml::Scores& scores, ShadowRow& row) {
    ordered_json findings;
    std::string words;
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        const std::string label(ml::kLabels[k]), said = report.at("findings").at(label);
        const std::string would = said == "undetermined"                        ? said
                                  : double(scores[k]) >= manifest.thresholds[k] ? "present"
                                                                                : "absent";
        findings[label] = {
            {"champion", said},
            {"shadow", would},
            {"champion_probability",
             report.at("probabilities").is_object() ? report.at("probabilities").at(label) : json()},
            {"shadow_probability", scores[k]}};
        if (said != would)
            words += fmt::format("{}{} {} -> {}", words.empty() ? "" : ", ", label, said, would);
    }
    row.disagrees = !words.empty();
    row.summary = ordered_json{{"words", words}, {"findings", findings}}.dump();
}

}  // namespace

Result<bool> Shadow::turn(const std::function<Status()>& yield) {
    std::optional<std::pair<std::int64_t, int>> next;
    std::optional<ModelRow> shadow;
    SCOPENODE_TRY(p_.index.read([&](Connection& db) -> Result<bool> {
        SCOPENODE_ASSIGN(shadow, shadow_model(db));
        if (shadow) {
            SCOPENODE_ASSIGN(next, study_for_shadow(db, shadow->id, *shadow->shadow));
        }
        return true;
    }));
    if (!next) return false;
    if (!model_ || model_->id() != shadow->id) {
        SCOPENODE_ASSIGN(model_, p_.load_model(shadow->id));
    }
    SCOPENODE_ASSIGN(auto row, score(next->first, next->second, yield));
    row.model = shadow->id;
    SCOPENODE_TRY(p_.index.write([&](Connection& db) { return put_shadow_result(db, row); }));
    if (row.disagrees)
        log::info("training", "study {}: model {} in the shadow disagrees", row.study_uid, row.model);
    return true;
}

Result<ShadowRow> Shadow::score(std::int64_t study_id, int revision, const std::function<Status()>& yield) {
    const std::string key = score_key(*model_, p_.settings);
    ShadowRow row;
    std::optional<ResultRow> report;
    std::vector<InstanceRow> instances;
    const auto read = [&](std::vector<SliceScoreRow>& scores) {
        return p_.index.read([&](Connection& db) -> Result<bool> {
            SCOPENODE_ASSIGN(const auto study, study_by_id(db, study_id));
            if (study) row.study_uid = study->study_uid;
            SCOPENODE_ASSIGN(report, current_result(db, study_id, "sr"));
            SCOPENODE_ASSIGN(instances, instances_of_study(db, study_id));
            SCOPENODE_ASSIGN(scores, slice_scores_of(db, study_id, key));
            return true;
        });
    };
    std::vector<SliceScoreRow> scores;
    SCOPENODE_TRY(read(scores));
    if (!report || report->revision != revision) return fail(Code::kCancelled, "the study has gone on");
    const json summary = json::parse(report->summary, nullptr, false);
    if (!summary.is_object() || !summary.contains("slices"))
        return fail(Code::kInternal, "the summary of result {} is damaged", report->sop_instance_uid);
    std::map<std::string, double> places;
    for (const json& slice : summary.at("slices"))
        places[slice.at("sop_instance_uid").get<std::string>()] = slice.at("z_mm").get<double>();
    std::map<std::int64_t, double> wanted;
    std::vector<WantedSlice> missing;
    for (const InstanceRow& instance : instances) {
        const auto place = places.find(instance.sop_instance_uid);
        if (place == places.end()) continue;
        wanted[instance.id] = place->second;
        const bool known = std::any_of(scores.begin(), scores.end(),
                                       [&](const auto& one) { return one.instance_id == instance.id; });
        if (!known) missing.push_back({instance.id, study_id, instance.path});
    }
    if (!missing.empty()) {
        SliceScorer scorer({p_.settings, p_.index, p_.archive, model_, p_.pixels, p_.clock});
        SCOPENODE_TRY(scorer.score(missing, yield));
        SCOPENODE_TRY(read(scores));
    }
    std::vector<ml::PlacedScores> placed;
    for (const SliceScoreRow& one : scores) {
        const auto place = wanted.find(one.instance_id);
        if (place == wanted.end()) continue;
        ml::PlacedScores slice{place->second, {}};
        for (std::size_t k = 0; k < ml::kLabelCount; ++k) slice.scores[k] = static_cast<float>(one.scores[k]);
        placed.push_back(slice);
    }
    row.study_id = study_id;
    row.revision = revision;
    row.champion = report->model_sha256.substr(0, 12);
    row.time = p_.clock.now();
    compare(summary, model_->manifest(), ml::calibrate(model_->manifest(), ml::aggregate(placed)), row);
    return row;
}

}  // namespace scopenode::workflows
