#include "workflows/training/judge.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/core/progress.h"
#include "base/log.h"
#include "ml/aggregate.h"
#include "ml/phantom/phantom.h"
#include "workflows/training/snapshot_dataset.h"

namespace scopenode::workflows {
namespace {

using nlohmann::json;

/// One model with the time that its slices took.
struct Timed {
    const ml::Model& model;
    double seconds = 0;
    std::size_t slices = 0;

    double ms_per_slice() const { return slices == 0 ? 0 : seconds * 1000 / double(slices); }

    Result<ml::Probabilities> score(const std::vector<HuImage>& images, const std::vector<double>& z_mm) {
        const auto start = std::chrono::steady_clock::now();
        SCOPENODE_ASSIGN(const auto scores, model.infer(images));
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        slices += images.size();
        std::vector<ml::PlacedScores> placed;
        for (std::size_t i = 0; i < images.size(); ++i) placed.push_back({z_mm[i], scores[i].scores});
        const auto study = ml::calibrate(model.manifest(), ml::aggregate(placed));
        ml::Probabilities out{};
        std::copy(study.begin(), study.end(), out.begin());
        return out;
    }
};

struct Both {
    Timed champion, candidate;

    Status score(const std::vector<HuImage>& images, const std::vector<double>& z_mm, JudgedStudy& study) {
        SCOPENODE_ASSIGN(study.champion, champion.score(images, z_mm));
        SCOPENODE_ASSIGN(study.candidate, candidate.score(images, z_mm));
        return {};
    }
};

Status score_studies(const Snapshot& snapshot, const std::filesystem::path& objects, Both& both,
                     GateInput& out) {
    Progress progress("judging studies", snapshot.studies.size());
    std::size_t done = 0;
    for (const SnapshotStudy& from : snapshot.studies) {
        progress.advance(++done);
        if (from.use != Use::kHeldOut && from.use != Use::kGolden) continue;
        JudgedStudy study{from.study_uid, from.patient, from.groups, from.truth};
        std::vector<HuImage> images;
        std::vector<double> z_mm;
        for (const SnapshotSlice& slice : from.slices) {
            auto image = read_slice(snapshot, slice, objects);
            if (!image) {
                log::warning("training", "study {} is not judged: {}", from.study_uid, image.error().message);
                break;
            }
            images.push_back(std::move(*image));
            z_mm.push_back(slice.z_mm);
        }
        if (images.size() < from.slices.size()) continue;
        SCOPENODE_TRY(both.score(images, z_mm, study));
        (from.use == Use::kGolden ? out.golden : out.newest).push_back(std::move(study));
    }
    return {};
}

Status score_phantoms(int studies, Both& both, GateInput& out) {
    const auto options = phantoms_like_training(kGoldenSeed);
    Progress progress("judging phantoms", static_cast<std::size_t>(studies));
    for (int i = 0; i < studies; ++i) {
        SCOPENODE_ASSIGN(const auto phantom, ml::make_phantom(options, static_cast<std::uint64_t>(i)));
        JudgedStudy study;
        study.study = study.patient = fmt::format("phantom-{}-{}", options.seed, i);
        study.groups["device"] = phantom.scanner.manufacturer + " " + phantom.scanner.model;
        for (std::size_t k = 0; k < ml::kLabelCount; ++k) study.truth[k] = phantom.findings[k];
        SCOPENODE_TRY(both.score(phantom.slices, phantom.z_mm, study));
        out.golden.push_back(std::move(study));
        progress.advance(static_cast<std::size_t>(i) + 1);
    }
    return {};
}

json numbers(const ml::Probabilities& values) {
    return json(std::vector<double>(values.begin(), values.end()));
}

ml::Probabilities numbers_of(const json& from) {
    ml::Probabilities out{};
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) out[k] = from.at(k).get<double>();
    return out;
}

json to_json(const std::vector<JudgedStudy>& studies) {
    json out = json::array();
    for (const JudgedStudy& study : studies) {
        json truth = json::array();
        for (const auto& label : study.truth) truth.push_back(label ? json(*label ? 1 : 0) : json(nullptr));
        out.push_back({{"study", study.study},
                       {"patient", study.patient},
                       {"groups", study.groups},
                       {"truth", truth},
                       {"champion", numbers(study.champion)},
                       {"candidate", numbers(study.candidate)}});
    }
    return out;
}

std::vector<JudgedStudy> studies_of(const json& from) {
    std::vector<JudgedStudy> out;
    for (const json& one : from) {
        JudgedStudy study;
        one.at("study").get_to(study.study);
        one.at("patient").get_to(study.patient);
        one.at("groups").get_to(study.groups);
        for (std::size_t k = 0; k < ml::kLabelCount; ++k)
            if (const json& label = one.at("truth").at(k); !label.is_null())
                study.truth[k] = label.get<int>() != 0;
        study.champion = numbers_of(one.at("champion"));
        study.candidate = numbers_of(one.at("candidate"));
        out.push_back(std::move(study));
    }
    return out;
}

}  // namespace

Result<GateInput> score_both(const Snapshot& snapshot, const std::filesystem::path& objects,
                             const ml::Model& champion, const ml::Model& candidate) {
    GateInput out;
    Both both{{champion}, {candidate}};
    SCOPENODE_TRY(score_studies(snapshot, objects, both, out));
    SCOPENODE_TRY(score_phantoms(snapshot.golden_phantoms, both, out));
    out.champion_thresholds = {};
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        out.champion_thresholds[k] = champion.manifest().thresholds[k];
        out.candidate_thresholds[k] = candidate.manifest().thresholds[k];
    }
    out.champion_ms_per_slice = both.champion.ms_per_slice();
    out.candidate_ms_per_slice = both.candidate.ms_per_slice();
    return out;
}

std::string gate_input_json(const GateInput& input) {
    return json{{"golden", to_json(input.golden)},
                {"newest", to_json(input.newest)},
                {"champion_thresholds", numbers(input.champion_thresholds)},
                {"candidate_thresholds", numbers(input.candidate_thresholds)},
                {"champion_ms_per_slice", input.champion_ms_per_slice},
                {"candidate_ms_per_slice", input.candidate_ms_per_slice}}
        .dump();
}

Result<GateInput> parse_gate_input(const std::string& text) {
    return guard(Code::kCannotUnderstand, [&]() -> Result<GateInput> {
        const json from = json::parse(text);
        GateInput out;
        out.golden = studies_of(from.at("golden"));
        out.newest = studies_of(from.at("newest"));
        out.champion_thresholds = numbers_of(from.at("champion_thresholds"));
        out.candidate_thresholds = numbers_of(from.at("candidate_thresholds"));
        out.champion_ms_per_slice = from.at("champion_ms_per_slice");
        out.candidate_ms_per_slice = from.at("candidate_ms_per_slice");
        return out;
    });
}

GateRules gate_rules(const config::Settings::Training& training) {
    GateRules rules;
    rules.level = training.gate.level;
    rules.any_margin = training.gate.golden_margin;
    rules.class_margin = training.gate.class_margin;
    rules.threshold_drop = training.gate.rate_margin;
    rules.ece_rise = training.gate.calibration_margin;
    rules.latency_ratio = training.gate.latency_ratio;
    return rules;
}

}  // namespace scopenode::workflows
