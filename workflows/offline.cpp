#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "base/core/progress.h"
#include "storage/dicom/poor_header.h"
#include "workflows/analysis.h"
#include "workflows/eligibility.h"
#include "workflows/node.h"
#include "workflows/reasons.h"
#include "workflows/results/report.h"

namespace scopenode::workflows {
namespace {

namespace fs = std::filesystem;
using storage::InstanceHeader;
using storage::Judgement;

constexpr int kBatch = 8;

struct Object {
    fs::path file;
    InstanceHeader header;
};
/// The objects of one study by series, both in the order in which they were found.
struct OfflineStudy {
    std::vector<std::vector<const Object*>> series;
    std::vector<SeriesHeaders> headers;
    std::vector<Judgement> judgements;
};

Result<std::vector<fs::path>> all_files(const std::vector<fs::path>& inputs) {
    return guard(Code::kIo, [&]() -> Result<std::vector<fs::path>> {
        std::vector<fs::path> files;
        for (const fs::path& input : inputs) {
            if (fs::is_directory(input)) {
                std::vector<fs::path> inside;
                for (const auto& entry : fs::recursive_directory_iterator(input))
                    if (entry.is_regular_file()) inside.push_back(entry.path());
                std::sort(inside.begin(), inside.end());
                files.insert(files.end(), inside.begin(), inside.end());
            } else if (fs::exists(input)) {
                files.push_back(input);
            } else {
                return fail(Code::kNotFound, "{} does not exist", input.string());
            }
        }
        return files;
    });
}

/// Everything readable; the rest is named on stderr. The same object given twice counts once.
std::vector<std::unique_ptr<Object>> read_objects(const std::vector<fs::path>& files) {
    std::vector<std::unique_ptr<Object>> objects;
    std::map<std::string, fs::path> seen;
    for (const fs::path& file : files) {
        auto header = storage::read_poor_header(file);
        if (!header) {
            fmt::print(stderr, "scopenode: {} is left out: {}\n", file.string(), header.error().message);
            continue;
        }
        const std::string& uid = header->sop_instance_uid;
        if (uid.empty() && !header->has_pixels) {
            fmt::print(stderr, "scopenode: {} is left out: not a DICOM object\n", file.string());
            continue;
        }
        if (const auto [first, is_new] = seen.try_emplace(uid, file); !is_new && !uid.empty()) {
            fmt::print(stderr, "scopenode: {} is left out: the same object as {}\n", file.string(),
                       first->second.string());
            continue;
        }
        objects.push_back(std::make_unique<Object>(Object{file, std::move(*header)}));
    }
    return objects;
}

std::vector<OfflineStudy> group(const std::vector<std::unique_ptr<Object>>& objects, int minimum_slices) {
    std::vector<std::string> study_uids;
    std::map<std::string, OfflineStudy> by_uid;
    for (const auto& object : objects) {
        const auto& h = object->header;
        // Without a study UID, what one patient has in one folder is a study.
        const std::string key =
            h.study_uid.empty() ? object->file.parent_path().string() + "/" + h.patient_id : h.study_uid;
        if (!by_uid.contains(key)) study_uids.push_back(key);
        OfflineStudy& study = by_uid[key];
        auto place = std::find_if(study.headers.begin(), study.headers.end(),
                                  [&](const auto& s) { return s.series_uid == h.series_uid; });
        if (place == study.headers.end()) {
            study.series.emplace_back();
            place = study.headers.insert(place, SeriesHeaders{0, h.series_uid, false, {}});
        }
        study.series[static_cast<std::size_t>(place - study.headers.begin())].push_back(object.get());
        place->slices.push_back({0, &h});
    }
    std::vector<OfflineStudy> studies;
    for (const auto& uid : study_uids) {
        studies.push_back(std::move(by_uid[uid]));
        studies.back().judgements = judge_study(studies.back().headers, minimum_slices);
    }
    return studies;
}

/// What is scored: the slices of the eligible series, or every CT slice of a study that has none.
struct Selection {
    bool eligible = false;
    bool is_mixed = false;  ///< images of more than one patient
    std::string series_uid;
    std::vector<const Object*> slices;
    std::vector<Reason> reasons;
};

Selection select(const OfflineStudy& study) {
    Selection chosen;
    for (std::size_t s = 0; s < study.series.size(); ++s) {
        const Judgement& judgement = study.judgements[s];
        if (!judgement.eligible) {
            const auto& number = study.series[s].front()->header.series_number;
            const std::string name = number.empty() ? study.headers[s].series_uid : number;
            chosen.reasons.push_back(
                {judgement.reason_code, "Series " + name + ": " + judgement.reason_text});
            continue;
        }
        chosen.eligible = true;
        chosen.series_uid = study.headers[s].series_uid;
        for (std::size_t i = 0; i < judgement.slices.size(); ++i)
            if (judgement.slices[i].reason_code.empty()) chosen.slices.push_back(study.series[s][i]);
    }
    if (chosen.eligible) return chosen;
    std::size_t most = 0;
    for (std::size_t s = 0; s < study.series.size(); ++s) {
        const std::size_t before = chosen.slices.size();
        for (const Object* object : study.series[s])
            if (is_ct_slice(object->header)) chosen.slices.push_back(object);
        if (s == 0 || chosen.slices.size() - before > most) chosen.series_uid = study.headers[s].series_uid;
        most = std::max(most, chosen.slices.size() - before);
    }
    return chosen;
}

bool is_one_patient(const Selection& chosen) {
    return std::all_of(chosen.slices.begin(), chosen.slices.end(), [&](const Object* object) {
        const auto& a = chosen.slices.front()->header;
        const auto& b = object->header;
        return std::tie(a.patient_id, a.patient_id_issuer, a.patient_name, a.birth_date) ==
               std::tie(b.patient_id, b.patient_id_issuer, b.patient_name, b.birth_date);
    });
}

Result<StudyAnalysis> analyse(const OfflineStudy& study, Selection& chosen, const OfflineOptions& options,
                              Progress& progress, std::uint64_t& done) {
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
    const auto rescale =
        options.rsna_rescale_quirk ? storage::Rescale::kRsnaQuirk : storage::Rescale::kAsTold;
    std::vector<fs::path> files;
    std::vector<const InstanceHeader*> headers;
    for (const Object* object : chosen.slices) {
        files.push_back(object->file);
        headers.push_back(&object->header);
    }
    if (auto said = rescale_reason(analysis.series_uid, headers, rescale))
        analysis.reasons.push_back(std::move(*said));
    const auto count = [&](std::span<const std::size_t> places, std::span<const ml::Scores>) -> Status {
        progress.advance(done + places.back() + 1);
        return {};
    };
    SCOPENODE_ASSIGN(const auto inferred, infer_files(*options.model, files, kBatch, rescale, count));
    done += files.size();
    progress.advance(done);
    for (std::size_t i = 0; i < files.size(); ++i)
        if (const auto& scores = inferred.scores[i])
            analysis.slices.push_back(analysed_slice(chosen.slices[i]->header, *scores));
    if (!inferred.faults.empty())
        analysis.reasons.push_back(
            reason(reasons::kUndecodable,
                   fmt::format("{} of {} slices left out; the first: {}", inferred.faults.size(),
                               files.size(), inferred.faults.front())));
    const auto usable = static_cast<int>(analysis.slices.size());
    analysis.determined = chosen.eligible && usable >= options.minimum_slices;
    if (chosen.eligible && !analysis.determined)
        analysis.reasons.push_back(
            reason(reasons::kTooFewSlices,
                   fmt::format("{} could be decoded, {} are needed.", usable, options.minimum_slices)));
    conclude(analysis, *options.model);
    return analysis;
}

bool can_be_reported(const StudyAnalysis& analysis) {
    const auto& h = analysis.header;
    return is_legal_uid(h.study_uid) && is_legal_uid(analysis.series_uid) && !analysis.slices.empty() &&
           std::all_of(analysis.slices.begin(), analysis.slices.end(), [](const auto& slice) {
               return is_legal_uid(slice.sop_class_uid) && is_legal_uid(slice.sop_instance_uid);
           });
}

/// The path of the report below the output folder, "" when none can be made.
Result<std::string> write_report(const StudyAnalysis& analysis, const OfflineOptions& options,
                                 ReportContext context, std::size_t number) {
    if (!can_be_reported(analysis)) return std::string();
    context.program_version = options.program_version;
    context.settings_revision = "offline";
    context.station_ae = "SCOPENODE";
    context.time_zone = options.time_zone;
    SCOPENODE_ASSIGN(const auto report, encode_report(analysis, context));
    const std::string path = std::to_string(number) + "/report.dcm";
    SCOPENODE_TRY(guard(Code::kIo, [&] { fs::create_directories(options.out / std::to_string(number)); }));
    SCOPENODE_TRY(write_file(real_files(), options.out / path, report.bytes));
    return path;
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
    const auto studies = group(objects, options.minimum_slices);
    std::vector<Selection> selections;
    std::uint64_t total = 0, done = 0;
    for (const auto& study : studies) {
        selections.push_back(select(study));
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
    Progress progress("slices", total);
    nlohmann::ordered_json json;
    json["studies"] = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < studies.size(); ++i) {
        SCOPENODE_ASSIGN(auto analysis, analyse(studies[i], selections[i], options, progress, done));
        std::string path;
        if (!selections[i].is_mixed) {
            SCOPENODE_ASSIGN(path, write_report(analysis, options, context, i + 1));
            if (path.empty() && !analysis.slices.empty())
                analysis.reasons.push_back(reason(reasons::kIllegalUids));
        }
        const char* state = selections[i].is_mixed   ? "failed"
                            : selections[i].eligible ? "done"
                                                     : "not_eligible";
        json["studies"].push_back(nlohmann::ordered_json::parse(study_json(analysis, state, 1, path)));
    }
    progress.finish();
    return write_file(real_files(), options.out / "results.json", json.dump(2) + "\n");
}

}  // namespace scopenode::workflows
