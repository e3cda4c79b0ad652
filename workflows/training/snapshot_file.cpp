#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "workflows/training/snapshot.h"

namespace scopenode::workflows {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr int kPreprocessingVersion = 1;

ordered_json truth_json(const ml::Truth& truth) {
    ordered_json out = ordered_json::array();
    for (const auto& label : truth)
        out.push_back(label ? ordered_json(*label ? 1 : 0) : ordered_json(nullptr));
    return out;
}

ml::Truth truth_of(const json& from) {
    ml::Truth truth;
    for (std::size_t k = 0; k < ml::kLabelCount; ++k)
        if (const json& value = from.at(k); !value.is_null()) truth[k] = value.get<int>() != 0;
    return truth;
}

ordered_json study_json(const SnapshotStudy& study) {
    ordered_json slices = ordered_json::array();
    for (const SnapshotSlice& slice : study.slices) {
        ordered_json one = {slice.sop_instance_uid, slice.path, slice.sha256, slice.z_mm,
                            truth_json(slice.labels)};
        if (slice.weight != 1) one.push_back(slice.weight);
        slices.push_back(std::move(one));
    }
    return {{"study_uid", study.study_uid},     {"series_uid", study.series_uid},
            {"patient", study.patient},         {"use", word(study.use)},
            {"rehearsal", study.rehearsal},     {"groups", study.groups},
            {"truth", truth_json(study.truth)}, {"slices", slices}};
}

Use use_of(const std::string& text) {
    for (const Use use : {Use::kLearn, Use::kJudge, Use::kHeldOut, Use::kGolden})
        if (word(use) == text) return use;
    throw std::invalid_argument("'" + text + "' is no use of a study");
}

SnapshotStudy study_of(const json& from) {
    SnapshotStudy study;
    from.at("study_uid").get_to(study.study_uid);
    from.at("series_uid").get_to(study.series_uid);
    from.at("patient").get_to(study.patient);
    study.use = use_of(from.at("use"));
    from.at("rehearsal").get_to(study.rehearsal);
    from.at("groups").get_to(study.groups);
    study.truth = truth_of(from.at("truth"));
    for (const json& one : from.at("slices")) {
        SnapshotSlice slice{one.at(0), one.at(1), one.at(2), one.at(3), truth_of(one.at(4)), 1};
        if (one.size() > 5) slice.weight = one.at(5);
        study.slices.push_back(std::move(slice));
    }
    return study;
}

}  // namespace

std::string snapshot_json(const Snapshot& snapshot) {
    ordered_json studies = ordered_json::array();
    for (const SnapshotStudy& study : snapshot.studies) studies.push_back(study_json(study));
    return ordered_json{{"version", kVersion},
                        {"preprocessing", kPreprocessingVersion},
                        {"champion", snapshot.champion},
                        {"rsna_rescale_quirk", snapshot.rsna_rescale_quirk},
                        {"rehearsal_phantoms", snapshot.rehearsal_phantoms},
                        {"golden_phantoms", snapshot.golden_phantoms},
                        {"conflicts", snapshot.conflicts},
                        {"left_out", snapshot.left_out},
                        {"studies", studies}}
        .dump(1);
}

Result<Snapshot> parse_snapshot(const std::string& text, const std::string& where) {
    const json from = json::parse(text, nullptr, false);
    if (!from.is_object()) return fail(Code::kDamagedModel, "{} is damaged: it is no snapshot", where);
    const auto parsed = guard(Code::kDamagedModel, [&]() -> Result<Snapshot> {
        if (from.at("version") != kVersion || from.at("preprocessing") != kPreprocessingVersion)
            return fail(Code::kDamagedModel,
                        "{} is a snapshot of version {}, preprocessing {}: this program reads {} and {}",
                        where, from.at("version").dump(), from.at("preprocessing").dump(), kVersion,
                        kPreprocessingVersion);
        Snapshot snapshot;
        from.at("champion").get_to(snapshot.champion);
        from.at("rsna_rescale_quirk").get_to(snapshot.rsna_rescale_quirk);
        from.at("rehearsal_phantoms").get_to(snapshot.rehearsal_phantoms);
        from.at("golden_phantoms").get_to(snapshot.golden_phantoms);
        from.at("conflicts").get_to(snapshot.conflicts);
        from.at("left_out").get_to(snapshot.left_out);
        for (const json& study : from.at("studies")) snapshot.studies.push_back(study_of(study));
        return snapshot;
    });
    if (!parsed) return fail(Code::kDamagedModel, "{} is damaged: {}", where, parsed.error().message);
    return *parsed;
}

Result<Snapshot> read_snapshot(const std::filesystem::path& file) {
    SCOPENODE_ASSIGN(const auto text, read_file(file));
    if (!sha256_hex(text).starts_with(file.stem().string()))
        return fail(Code::kDamagedModel, "{} is damaged: its sha256 is not its name", file.string());
    return parse_snapshot(text, file.string());
}

}  // namespace scopenode::workflows
