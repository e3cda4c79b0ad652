#include "workflows/analysis.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/core/hu_image.h"
#include "base/log.h"
#include "ml/aggregate.h"
#include "workflows/eligibility.h"
#include "workflows/reasons.h"

namespace scopenode::workflows {
namespace {

using Json = nlohmann::ordered_json;

bool passes_by_itself(const Error& error) {
    return error.retryable();
}

/// Six decimals: more than any use of them, and the same text from the same score.
Json number(float value) {
    return std::round(static_cast<double>(value) * 1e6) / 1e6;
}

Json by_label(const ml::Scores& scores) {
    Json json = Json::object();
    for (std::size_t i = 0; i < ml::kLabelCount; ++i) json[std::string(ml::kLabels[i])] = number(scores[i]);
    return json;
}

Status check_scores(const ml::Model& model, const std::vector<ml::SliceScores>& scores,
                    std::size_t expected) {
    if (scores.size() != expected)
        return fail(Code::kInternal, "model {} gave {} results for {} slices", model.id(), scores.size(),
                    expected);
    for (const auto& slice : scores)
        for (const float p : slice.scores)
            if (!(p >= 0 && p <= 1))
                return fail(Code::kInternal, "model {} gave a probability of {}", model.id(), p);
    return {};
}

/// Does the study lie where the model has learnt?
void judge_distance(StudyAnalysis& analysis, bool abstain) {
    std::vector<std::optional<double>> distances;
    for (const auto& slice : analysis.slices) distances.push_back(slice.distance);
    const auto& range = analysis.manifest.range;
    analysis.distance = range.known() ? ml::study_distance(distances) : std::nullopt;
    if (abstain && analysis.determined && !range.known())
        analysis.reasons.push_back(reason(reasons::kNoTrainingRange));
    if (!analysis.distance || *analysis.distance <= range.limit || !analysis.determined) return;
    analysis.reasons.push_back(reason(
        reasons::kUnlikeTraining,
        fmt::format("Distance {:.2f} (1 is usual), the limit is {:.2f}.", *analysis.distance, range.limit)));
    if (abstain) analysis.determined = false;
}

}  // namespace

std::string_view word(Presence presence) {
    switch (presence) {
        case Presence::kPresent:
            return "present";
        case Presence::kAbsent:
            return "absent";
        default:
            return "undetermined";
    }
}

std::array<Presence, ml::kLabelCount> judge(const StudyAnalysis& analysis) {
    std::array<Presence, ml::kLabelCount> findings{};
    findings.fill(Presence::kUndetermined);
    if (!analysis.determined) return findings;
    for (std::size_t i = 0; i < findings.size(); ++i) {
        const double p = static_cast<double>(analysis.probabilities[i]);
        findings[i] = p >= analysis.manifest.thresholds[i] ? Presence::kPresent : Presence::kAbsent;
    }
    return findings;
}

std::string study_json(const StudyAnalysis& analysis, const std::string& state, int revision,
                       const ResultFiles& files) {
    Json json;
    json["study_uid"] = analysis.header.study_uid;
    json["series_uid"] = analysis.series_uid;
    json["state"] = state;
    json["revision"] = revision;
    json["model"] = analysis.model_id;
    json["model_name"] = analysis.manifest.name;
    json["demonstration"] = analysis.manifest.demonstration;
    if (analysis.distance)
        json["training_distance"] = {{"distance", std::round(*analysis.distance * 1e3) / 1e3},
                                     {"limit", std::round(analysis.manifest.range.limit * 1e3) / 1e3}};
    json["probabilities"] = analysis.determined ? by_label(analysis.probabilities) : Json();
    json["thresholds"] = Json::object();
    for (std::size_t i = 0; i < ml::kLabelCount; ++i)
        json["thresholds"][std::string(ml::kLabels[i])] = analysis.manifest.thresholds[i];
    Json& findings = json["findings"] = Json::object();
    for (std::size_t i = 0; i < ml::kLabelCount; ++i)
        findings[std::string(ml::kLabels[i])] = std::string(word(analysis.findings[i]));
    Json& slices = json["slices"] = Json::array();
    for (const auto& slice : analysis.slices)
        slices.push_back({{"sop_instance_uid", slice.sop_instance_uid},
                          {"z_mm", std::round(slice.z_mm * 1000) / 1000},
                          {"probabilities", by_label(slice.scores)}});
    const auto path = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
    json["files"] = {{"sr", path(files.sr)},
                     {"overlays", files.overlays},
                     {"key_objects", path(files.key_objects)},
                     {"presentation_states", files.presentation_states}};
    Json& reasons = json["reasons"] = Json::array();
    for (const auto& reason : analysis.reasons)
        reasons.push_back({{"code", reason.code}, {"text", reason.text}});
    // Text of headers may be no UTF-8 where its character set was wrong.
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

AnalysedSlice analysed_slice(const storage::InstanceHeader& header, const ml::SliceScores& scores) {
    return {header.sop_class_uid, header.sop_instance_uid, cranial_mm(header), scores.scores,
            scores.distance};
}

void conclude(StudyAnalysis& analysis, const ml::Model& model, bool abstain) {
    std::sort(analysis.slices.begin(), analysis.slices.end(),
              [](const AnalysedSlice& a, const AnalysedSlice& b) {
                  return std::tie(a.z_mm, a.sop_instance_uid) < std::tie(b.z_mm, b.sop_instance_uid);
              });
    analysis.manifest = model.manifest();
    analysis.model_id = model.id();
    analysis.manifest_sha256 = model.manifest_sha256();
    analysis.probabilities = {};
    judge_distance(analysis, abstain);
    if (analysis.determined) {
        std::vector<ml::PlacedScores> placed;
        for (const auto& slice : analysis.slices) placed.push_back({slice.z_mm, slice.scores});
        analysis.probabilities = ml::calibrate(analysis.manifest, ml::aggregate(placed));
    }
    analysis.findings = judge(analysis);
}

std::optional<Reason> rescale_reason(const std::string& series_uid,
                                     std::span<const storage::InstanceHeader* const> slices,
                                     storage::Rescale rescale) {
    const auto count = std::count_if(slices.begin(), slices.end(),
                                     [](const auto* header) { return header->has_rsna_quirk; });
    if (count == 0) return std::nullopt;
    const std::string some = fmt::format("{} of {} slices", count, slices.size());
    if (rescale == storage::Rescale::kRsnaQuirk) {
        log::info("work", "series {}: RSNA rescale quirk undone in {}", series_uid, some);
        return reason(reasons::kRescaleQuirk, "This holds for " + some + ".");
    }
    log::warning("work", "series {}: {} have 12 unsigned bits and an intercept above -100", series_uid, some);
    return reason(reasons::kRescaleDoubtful, "This holds for " + some + ".");
}

Result<Inferred> infer_files(const ml::Model& model, storage::PixelReader& pixels,
                             std::span<const std::filesystem::path> files, int batch,
                             storage::Rescale rescale, const BatchDone& done) {
    Inferred all;
    all.scores.resize(files.size());
    all.looks.resize(files.size());
    std::vector<HuImage> images;
    InferredBatch some;
    for (std::size_t i = 0; i < files.size(); ++i) {
        if (auto image = pixels.read(files[i], rescale)) {
            some.looks.push_back(look_at(*image));
            some.places.push_back(i);
            images.push_back(std::move(*image));
        } else if (passes_by_itself(image.error())) {
            return fail(image.error());
        } else {
            all.faults.push_back({i, image.error().message});
        }
        const bool last = i + 1 == files.size();
        if (images.empty() || (!last && images.size() < static_cast<std::size_t>(std::max(1, batch))))
            continue;
        SCOPENODE_ASSIGN(some.scores, model.infer(images));
        SCOPENODE_TRY(check_scores(model, some.scores, images.size()));
        for (std::size_t k = 0; k < some.places.size(); ++k) {
            all.scores[some.places[k]] = some.scores[k];
            all.looks[some.places[k]] = some.looks[k];
        }
        SCOPENODE_TRY(done(some));
        images.clear();
        some = {};
    }
    return all;
}

}  // namespace scopenode::workflows
