#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "base/core/progress.h"
#include "storage/dicom/pixels.h"
#include "storage/dicom/rescale.h"
#include "workflows/analysis.h"
#include "workflows/node.h"
#include "workflows/offline_studies.h"
#include "workflows/pixel_gate.h"
#include "workflows/reasons.h"
#include "workflows/results/bundle.h"

namespace scopenode::workflows {
namespace {

namespace fs = std::filesystem;

constexpr int kBatch = 8;

bool is_one_patient(const Selection& chosen) {
    return std::all_of(chosen.slices.begin(), chosen.slices.end(), [&](const OfflineObject* object) {
        const auto& a = chosen.slices.front()->header;
        const auto& b = object->header;
        return std::tie(a.patient_id, a.patient_id_issuer, a.patient_name, a.birth_date) ==
               std::tie(b.patient_id, b.patient_id_issuer, b.patient_name, b.birth_date);
    });
}

/// What the pixels of the chosen slices say against them.
std::optional<Reason> refusal_by_pixels(const Selection& chosen, const Inferred& inferred) {
    std::vector<PlacedLook> looks;
    for (std::size_t i = 0; i < chosen.slices.size(); ++i)
        if (inferred.looks[i])
            looks.push_back({cranial_mm(chosen.slices[i]->header), chosen.slices[i]->header.pixel_spacing_mm,
                             *inferred.looks[i]});
    return judge_looks(looks);
}

Result<StudyAnalysis> analyse(const OfflineStudy& study, Selection& chosen, storage::PixelReader& pixels,
                              const OfflineOptions& options, Progress& progress, std::uint64_t& done) {
    StudyAnalysis analysis;
    if (!is_one_patient(chosen)) {
        chosen.eligible = false;
        chosen.is_mixed = true;
        chosen.reasons.push_back(reason(reasons::kIdentityMismatch));
    }
    analysis.header =
        chosen.slices.empty() ? study.series.front().front()->header : chosen.slices.front()->header;
    analysis.series_uid = chosen.series_uid;
    analysis.reasons = std::move(chosen.reasons);
    const auto rescale = storage::rescale_of(options.rsna_rescale_quirk);
    std::vector<fs::path> files;
    std::vector<const storage::InstanceHeader*> headers;
    for (const OfflineObject* object : chosen.slices) {
        files.push_back(object->file);
        headers.push_back(&object->header);
    }
    if (auto said = rescale_reason(analysis.series_uid, headers, rescale))
        analysis.reasons.push_back(std::move(*said));
    if (chosen.eligible)
        for (auto& remark : series_remarks(headers)) analysis.reasons.push_back(std::move(remark));
    const auto count = [&](const InferredBatch& batch) -> Status {
        progress.advance(done + batch.places.back() + 1);
        return {};
    };
    SCOPENODE_ASSIGN(const auto inferred, infer_files(*options.model, pixels, files, kBatch, rescale, count));
    done += files.size();
    progress.advance(done);
    for (std::size_t i = 0; i < files.size(); ++i)
        if (const auto& scores = inferred.scores[i])
            analysis.slices.push_back(analysed_slice(chosen.slices[i]->header, *scores));
    if (!inferred.faults.empty())
        analysis.reasons.push_back(
            reason(reasons::kUndecodable,
                   fmt::format("{} of {} slices left out; the first: {}", inferred.faults.size(),
                               files.size(), inferred.faults.front().text)));
    const auto usable = static_cast<int>(analysis.slices.size());
    analysis.determined = chosen.eligible && usable >= options.minimum_slices;
    if (chosen.eligible && options.pixel_gate)
        if (auto refused = refusal_by_pixels(chosen, inferred)) {
            chosen.eligible = analysis.determined = false;
            analysis.reasons.push_back(std::move(*refused));
        }
    if (chosen.eligible && usable < options.minimum_slices)
        analysis.reasons.push_back(
            reason(reasons::kTooFewSlices,
                   fmt::format("{} could be decoded, {} are needed.", usable, options.minimum_slices)));
    conclude(analysis, *options.model, options.abstain);
    return analysis;
}

bool can_be_reported(const StudyAnalysis& analysis) {
    const auto& h = analysis.header;
    return is_legal_uid(h.study_uid) && is_legal_uid(analysis.series_uid) && !analysis.slices.empty() &&
           std::all_of(analysis.slices.begin(), analysis.slices.end(), [](const auto& slice) {
               return is_legal_uid(slice.sop_class_uid) && is_legal_uid(slice.sop_instance_uid);
           });
}

/// "overlay-1.dcm" for "sc-1".
std::string file_name(const std::string& kind) {
    if (kind == "sr") return "report.dcm";
    if (kind == "ko") return "key_objects.dcm";
    return "overlay-" + kind.substr(kind.find('-') + 1) + ".dcm";
}

SliceSource source_of(const Selection& chosen, storage::PixelReader& pixels, storage::Rescale rescale) {
    std::map<std::string, fs::path> files;
    for (const OfflineObject* object : chosen.slices) files[object->header.sop_instance_uid] = object->file;
    return {[files](const AnalysedSlice& slice) { return files.at(slice.sop_instance_uid); },
            [&pixels, rescale](const fs::path& path) { return pixels.read(path, rescale); }};
}

/// Writes the result objects; their paths are below the output folder, none when they cannot be made.
Result<ResultFiles> write_results(StudyAnalysis& analysis, const Selection& chosen,
                                  storage::PixelReader& pixels, const OfflineOptions& options,
                                  ReportContext context, std::size_t number) {
    ResultFiles files;
    if (!can_be_reported(analysis)) return files;
    context.program_version = options.program_version;
    context.settings_revision = "offline";
    context.station_ae = "SCOPENODE";
    context.time_zone = options.time_zone;
    const std::string folder = std::to_string(number);
    SCOPENODE_TRY(guard(Code::kIo, [&] { fs::create_directories(options.out / folder); }));
    const auto write = [&](const EncodedObject& object) -> Result<std::string> {
        const std::string path = folder + "/" + file_name(object.kind);
        SCOPENODE_TRY(write_file(real_files(), options.out / path, object.bytes));
        return path;
    };
    SCOPENODE_ASSIGN(const auto report, encode_report(analysis, context));
    SCOPENODE_ASSIGN(files.sr, write(report));
    SCOPENODE_ASSIGN(
        const auto companions,
        encode_companions(analysis, context, *options.model,
                          source_of(chosen, pixels, storage::rescale_of(options.rsna_rescale_quirk)), false));
    for (const EncodedObject& object : companions.objects) {
        SCOPENODE_ASSIGN(auto path, write(object));
        if (object.kind == "ko")
            files.key_objects = std::move(path);
        else
            files.overlays.push_back(std::move(path));
    }
    if (companions.left_out) analysis.reasons.push_back(*companions.left_out);
    return files;
}

}  // namespace

Status infer_offline(const OfflineOptions& options, const Clock& clock) {
    SCOPENODE_ASSIGN(const auto files, all_files(options.inputs));
    const auto objects = read_objects(files);
    if (objects.empty())
        return fail(Code::kCannotUnderstand, "{}",
                    files.size() == 1
                        ? files.front().string() + " cannot be read as DICOM"
                        : fmt::format("none of the {} files given can be read as DICOM", files.size()));
    const auto studies = group_studies(objects, options.minimum_slices);
    std::vector<Selection> selections;
    std::uint64_t total = 0, done = 0;
    for (const auto& study : studies) {
        selections.push_back(select_slices(study));
        total += selections.back().slices.size();
    }
    if (total == 0) fmt::print(stderr, "scopenode: no CT slice with pixels among what was given\n");
    std::error_code ec;
    fs::create_directories(options.out, ec);
    if (ec) return fail(Code::kIo, "cannot make folder {}: {}", options.out.string(), ec.message());
    // Every run is an installation of its own: its reports never share a UID with those of another run.
    ReportContext context;
    context.node_uid = random_uid();
    context.analysis_started = clock.now();
    storage::PixelReader pixels(options.decoder);
    Progress progress("slices", total);
    nlohmann::ordered_json json;
    json["studies"] = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < studies.size(); ++i) {
        SCOPENODE_ASSIGN(auto analysis, analyse(studies[i], selections[i], pixels, options, progress, done));
        ResultFiles paths;
        if (!selections[i].is_mixed) {
            SCOPENODE_ASSIGN(paths, write_results(analysis, selections[i], pixels, options, context, i + 1));
            if (paths.sr.empty() && !analysis.slices.empty())
                analysis.reasons.push_back(reason(reasons::kIllegalUids));
        }
        const char* state = selections[i].is_mixed   ? "failed"
                            : selections[i].eligible ? "done"
                                                     : "not_eligible";
        json["studies"].push_back(nlohmann::ordered_json::parse(study_json(analysis, state, 1, paths)));
    }
    progress.finish();
    return write_file(real_files(), options.out / "results.json", json.dump(2) + "\n");
}

}  // namespace scopenode::workflows
