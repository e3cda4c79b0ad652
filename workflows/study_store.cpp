#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "storage/dicom/rescale.h"
#include "storage/index/audit.h"
#include "storage/index/catalog.h"
#include "workflows/reasons.h"
#include "workflows/study_work.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

// A picture that ends the process is given up after so many starts of the job; the report is there already.
constexpr int kMostPictureStarts = 3;
constexpr int kMostPictureAttempts = 8;

/// The summary for people also says what is not there and why.
std::string with_reason(const std::string& summary, const Reason& reason) {
    auto json = nlohmann::ordered_json::parse(summary);
    json["reasons"].push_back({{"code", reason.code}, {"text", reason.text}});
    return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
}

std::vector<std::string_view> bytes_of(const std::vector<EncodedObject>& objects) {
    std::vector<std::string_view> all;
    for (const auto& object : objects) all.push_back(object.bytes);
    return all;
}

/// The result and its way to every destination that wants it.
Status add_with_deliveries(Connection& db, const ResultRow& row, const std::string& bytes,
                           const std::vector<config::Destination>& destinations) {
    SCOPENODE_ASSIGN(const auto id, add_result(db, row, bytes));
    for (const auto& destination : destinations)
        if (wants(destination, row.kind))
            SCOPENODE_TRY(add_delivery(db, id, destination.name, row.created, delivery_rank(row.kind)));
    return {};
}

}  // namespace

// Once for all objects: what a peer takes may be learnt anew while they are made.
Status StudyWork::choose_destinations(Task& task) {
    if (!task.send) return {};
    return p_.index.read([&](Connection& db) -> Status {
        for (const auto& destination : p_.settings.destinations) {
            if (task.model->manifest().demonstration && !destination.is_loopback() &&
                !destination.allow_demonstration) {
                task.kept_from.push_back(destination.name);
                continue;
            }
            SCOPENODE_ASSIGN(const auto taken, profile_of(db, destination.name));
            task.destinations.push_back(with_sr_class(destination, taken));
        }
        return {};
    });
}

ResultRow StudyWork::result_row(const Task& task, const StudyAnalysis& analysis,
                                const EncodedObject& object) const {
    ResultRow row;
    row.study_id = task.study.id;
    row.revision = task.job.revision;
    row.kind = object.kind;
    row.sop_class_uid = object.sop_class_uid;
    row.sop_instance_uid = object.sop_instance_uid;
    row.series_uid = object.series_uid;
    row.model_sha256 = analysis.manifest_sha256;
    row.program_version = p_.program_version;
    row.settings_revision = p_.settings.revision;
    row.summary = "{}";
    row.eligible_set = task.set.digest;
    row.created = p_.clock.now();
    return row;
}

// Comprehensive 3D always, for the own archive; the others only where a destination takes nothing else.
Result<std::vector<EncodedObject>> StudyWork::reports(const Task& task, const StudyAnalysis& analysis) {
    std::vector<EncodedObject> made;
    SCOPENODE_ASSIGN(auto first, encode_report(analysis, report_context(task)));
    made.push_back(std::move(first));
    for (const auto& destination : task.destinations) {
        const auto wanted = sr_class_of(destination);
        const bool there = std::any_of(made.begin(), made.end(),
                                       [&](const auto& object) { return wants(destination, object.kind); });
        if (!wanted || there) continue;
        SCOPENODE_ASSIGN(const auto context, context_of(task, kind_of(*wanted)));
        SCOPENODE_ASSIGN(auto object, encode_report(analysis, context, *wanted));
        made.push_back(std::move(object));
    }
    return made;
}

/// Who gets a report in this form got the earlier revision in it too, where there was one.
Result<ReportContext> StudyWork::context_of(const Task& task, const std::string& kind) {
    ReportContext context = report_context(task);
    if (!task.predecessor) return context;
    SCOPENODE_ASSIGN(const auto earlier,
                     p_.index.read([&](Connection& db) { return results_of(db, task.study.id); }));
    for (const ResultRow& row : earlier) {
        if (row.kind != kind || row.revision != task.predecessor->revision) continue;
        context.predecessor_sop_instance_uid = row.sop_instance_uid;
        context.predecessor_sop_class_uid = row.sop_class_uid;
        context.predecessor_series_uid = row.series_uid;
    }
    return context;
}

Status StudyWork::store_report(const Task& task, const StudyAnalysis& analysis) {
    SCOPENODE_ASSIGN(const auto objects, reports(task, analysis));
    const bool is_short = analysis.slices.empty();
    std::string summary = study_json(analysis, is_short ? "not_eligible" : "done", task.job.revision, {});
    if (!task.kept_from.empty())
        summary = with_reason(
            summary, reason(reasons::kDemonstrationNotSent, "Kept from: " + joined(task.kept_from) + "."));
    SCOPENODE_TRY(p_.archive.store_own(bytes_of(objects), [&](Connection& db) -> Status {
        SCOPENODE_TRY(renew_lease(db, task.job, p_.clock.now() + kJobLeaseMs));
        SCOPENODE_TRY(supersede_results(db, task.study.id, task.job.revision));
        for (const EncodedObject& object : objects) {
            ResultRow row = result_row(task, analysis, object);
            row.summary = summary;
            SCOPENODE_TRY(add_with_deliveries(db, row, object.bytes, task.destinations));
        }
        const std::string detail =
            fmt::format("revision {}, {}, {} slices, model {}, program {}, settings {}{}", task.job.revision,
                        objects.front().sop_instance_uid, analysis.slices.size(), analysis.model_id,
                        p_.program_version, p_.settings.revision,
                        task.kept_from.empty() ? "" : ", demonstration kept from " + joined(task.kept_from));
        SCOPENODE_TRY(add_audit(db, p_.clock.now(), "node", "report made", task.study.study_uid, detail));
        return is_short ? finish(db, task.job) : Status();
    }));
    log::info("work", "study {} revision {}: report over {} slices{}", task.study.study_uid,
              task.job.revision, analysis.slices.size(), analysis.determined ? "" : ", undetermined");
    if (p_.report_stored) p_.report_stored();
    return {};
}

Result<Companions> StudyWork::companions(const Task& task, const StudyAnalysis& analysis) {
    const ReportContext context = report_context(task);
    if (task.has_result && task.job.attempts > kMostPictureStarts)
        return encode_without_pictures(analysis, context, "The program stopped while they were made.");
    std::map<std::string, std::filesystem::path> files;
    for (const InstanceRow& slice : task.set.slices)
        files[slice.sop_instance_uid] = p_.archive.absolute(slice.path);
    const SliceSource source{[&](const AnalysedSlice& slice) { return files.at(slice.sop_instance_uid); },
                             [&](const std::filesystem::path& path) {
                                 return p_.pixels.read(path,
                                                       rescale_of(p_.settings.inference.rsna_rescale_quirk));
                             }};
    const bool states = std::any_of(task.destinations.begin(), task.destinations.end(),
                                    [](const auto& d) { return d.bundle.presentation_states; });
    return encode_companions(analysis, context, *task.model, source, states);
}

Status StudyWork::store_companions(const Task& task, const StudyAnalysis& analysis) {
    SCOPENODE_ASSIGN(const Companions made, companions(task, analysis));
    return p_.archive.store_own(bytes_of(made.objects), [&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(const auto report, current_result(db, task.study.id, "sr"));
        if (!report || report->revision != task.job.revision)
            return fail(Code::kConflict, "revision {} has a newer one", task.job.revision);
        std::vector<std::string> kinds;
        for (const EncodedObject& object : made.objects) {
            SCOPENODE_TRY(
                add_with_deliveries(db, result_row(task, analysis, object), object.bytes, task.destinations));
            kinds.push_back(object.kind);
        }
        if (made.left_out)
            SCOPENODE_TRY(set_result_summary(db, report->id, with_reason(report->summary, *made.left_out)));
        SCOPENODE_TRY(add_audit(db, p_.clock.now(), "node", "pictures made", task.study.study_uid,
                                fmt::format("revision {}: {}", task.job.revision,
                                            made.left_out ? made.left_out->text : joined(kinds))));
        return finish(db, task.job);
    });
}

/// Whether what an earlier attempt left out can be made up for: by the model and of the slices of the report.
bool StudyWork::may_go_on(const Task& task) const {
    return task.predecessor && task.predecessor->revision == task.job.revision &&
           task.predecessor->model_sha256 == task.model->manifest_sha256() &&
           task.predecessor->eligible_set == task.set.digest;
}

Status StudyWork::store(const Task& task, const StudyAnalysis& analysis) {
    if (!task.has_result) SCOPENODE_TRY(store_report(task, analysis));
    if (analysis.slices.empty()) return {};  // a short report has no pictures
    const Status companions_stored = store_companions(task, analysis);
    if (companions_stored) return {};
    const Error& error = companions_stored.error();
    if (error.code == Code::kCancelled)
        return fail(Code::kCancelled, "its report is stored, its pictures are not: {}", error.message);
    if (error.code == Code::kConflict || (error.retryable() && task.job.attempts < kMostPictureAttempts))
        return companions_stored;
    // The report stands: its study has not failed.
    log::error("work", "study {} revision {} stays without pictures: {}", task.study.study_uid,
               task.job.revision, error.message);
    return p_.index.write([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(const auto report, current_result(db, task.study.id, "sr"));
        if (report && report->revision == task.job.revision)
            SCOPENODE_TRY(set_result_summary(
                db, report->id,
                with_reason(report->summary, reason(reasons::kOverlaysLeftOut, error.message))));
        return finish(db, task.job);
    });
}

}  // namespace scopenode::workflows
