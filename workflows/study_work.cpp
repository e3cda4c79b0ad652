#include "workflows/study_work.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "storage/index/audit.h"
#include "storage/index/catalog.h"
#include "workflows/analysis.h"
#include "workflows/reasons.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

constexpr int kMostAttempts = 8;
// Attempts that a crash ended count too: a study that kills the program is given up in the end.
constexpr int kMostStarts = 40;
constexpr UtcMs kFirstPauseMs = 5000;
constexpr UtcMs kLongestPauseMs = 600000;

/// The fields that say whose images these are.
std::array<std::string, 6> identity(const InstanceHeader& h) {
    return {h.patient_id, h.patient_id_issuer, h.patient_name, h.birth_date, h.study_uid, h.series_uid};
}
constexpr std::array<const char*, 6> kIdentityNames{
    "patient ID", "issuer of the patient ID", "patient's name", "birth date", "study UID", "series UID"};

}  // namespace

UtcMs pause_after(int attempts, UtcMs first, UtcMs longest) {
    UtcMs pause = first;
    for (int i = 1; i < attempts && pause < longest; ++i) pause *= 2;
    return std::min(pause, longest);
}

Result<bool> StudyWork::turn(const std::atomic<bool>& stopping) {
    if (unended_) {
        SCOPENODE_TRY(end_badly(unended_->first, unended_->second));
        unended_.reset();
    }
    SCOPENODE_ASSIGN(const auto job, claim());
    if (!job) return false;
    Status done = job->attempts > kMostStarts ? fail(Code::kInternal, "the program stopped at every attempt")
                                              : work(*job, stopping);
    if (done) return true;
    if (done.error().code == Code::kCancelled) return false;
    unended_.emplace(*job, done.error());
    SCOPENODE_TRY(end_badly(unended_->first, unended_->second));
    unended_.reset();
    return true;
}

Result<std::optional<JobRow>> StudyWork::claim() {
    const UtcMs now = p_.clock.now();
    SCOPENODE_ASSIGN(const auto due, p_.index.read(next_job_due));
    if (!due || *due > now) return std::optional<JobRow>{};
    std::optional<JobRow> job;
    SCOPENODE_TRY(p_.index.write([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(job, claim_job(db, now));
        return job ? set_study_state(db, job->study_id, "processing") : Status{};
    }));
    return job;
}

Result<StudyWork::Task> StudyWork::load(const JobRow& job) {
    return p_.index.read([&](Connection& db) -> Result<Task> {
        Task task;
        task.job = job;
        SCOPENODE_ASSIGN(auto study, study_by_id(db, job.study_id));
        if (!study) return fail(Code::kNotFound, "the study of job {} is gone", job.id);
        task.study = std::move(*study);
        SCOPENODE_ASSIGN(task.set, eligible_set(db, job.study_id));
        SCOPENODE_ASSIGN(task.scores, slice_scores_of(db, job.study_id, score_key()));
        SCOPENODE_ASSIGN(auto results, results_of(db, job.study_id));
        for (auto& result : results) {
            if (result.kind != "sr") continue;
            if (result.revision >= job.revision) task.has_result = true;
            task.predecessor = std::move(result);
        }
        return task;
    });
}

Status StudyWork::work(const JobRow& job, const std::atomic<bool>& stopping) {
    SCOPENODE_ASSIGN(Task task, load(job));
    if (task.set.slices.empty() || (task.has_result && !may_go_on(task)))
        return p_.index.write([&](Connection& db) { return finish(db, job); });
    SCOPENODE_ASSIGN(const auto analysis, analyse(task, stopping));
    const Status stored = store(task, analysis);
    if (stored || stored.error().code != Code::kConflict) return stored;
    log::warning("work", "study {} revision {} was stored before: {}", job.study_uid, job.revision,
                 stored.error().message);
    return p_.index.write([&](Connection& db) { return finish(db, job); });
}

Rescale StudyWork::rescale() const {
    return p_.settings.inference.rsna_rescale_quirk ? Rescale::kRsnaQuirk : Rescale::kAsTold;
}

/// Scores of values that were read otherwise are not those of this run.
std::string StudyWork::score_key() const {
    return p_.model.manifest_sha256() + (rescale() == Rescale::kRsnaQuirk ? "+rsna_rescale_quirk" : "");
}

Status StudyWork::infer_missing(Task& task, std::vector<Reason>& reasons, const std::atomic<bool>& stopping) {
    std::vector<std::int64_t> ids;
    std::vector<std::filesystem::path> files;
    for (const InstanceRow& slice : task.set.slices) {
        const bool known = std::any_of(task.scores.begin(), task.scores.end(),
                                       [&](const auto& row) { return row.instance_id == slice.id; });
        if (known) continue;
        ids.push_back(slice.id);
        files.push_back(p_.archive.absolute(slice.path));
    }
    const auto keep = [&](std::span<const std::size_t> places, std::span<const ml::Scores> scores) -> Status {
        std::vector<SliceScoreRow> rows;
        for (std::size_t k = 0; k < places.size(); ++k) {
            SliceScoreRow row{ids[places[k]], {}};
            std::copy(scores[k].begin(), scores[k].end(), row.scores.begin());
            rows.push_back(row);
        }
        SCOPENODE_TRY(
            p_.index.write([&](Connection& db) { return put_slice_scores(db, score_key(), rows); }));
        task.scores.insert(task.scores.end(), rows.begin(), rows.end());
        if (stopping) return fail(Code::kCancelled, "the node stops");
        return {};
    };
    SCOPENODE_ASSIGN(const auto inferred,
                     infer_files(p_.model, files, p_.settings.inference.batch, rescale(), keep));
    const auto& faults = inferred.faults;
    if (!faults.empty())
        reasons.push_back(
            reason(reasons::kUndecodable, fmt::format("{} of {} slices left out; the first: {}",
                                                      faults.size(), task.set.slices.size(), faults[0])));
    return {};
}

Status StudyWork::check_identity(const Task& task, const std::vector<InstanceHeader>& headers) {
    const auto first = identity(headers.front());
    for (const InstanceHeader& header : headers) {
        const auto one = identity(header);
        for (std::size_t i = 0; i < one.size(); ++i)
            if (one[i] != first[i])
                return fail(Code::kIdentityMismatch,
                            "the {} differs between the slices of series {} ({} is one of them)",
                            kIdentityNames[i], task.set.series_uid, header.sop_instance_uid);
    }
    const bool of_this_study = first[0] == task.study.patient_id && first[4] == task.study.study_uid &&
                               first[5] == task.set.series_uid &&
                               (first[1].empty() || first[1] == task.study.patient_issuer);
    if (!of_this_study)
        return fail(Code::kIdentityMismatch,
                    "the slices of series {} do not belong to the patient of study {}", task.set.series_uid,
                    task.study.study_uid);
    return {};
}

Result<StudyAnalysis> StudyWork::analyse(Task& task, const std::atomic<bool>& stopping) {
    StudyAnalysis analysis;
    SCOPENODE_TRY(infer_missing(task, analysis.reasons, stopping));
    std::map<std::int64_t, ml::Scores> scores;
    for (const auto& row : task.scores)
        for (std::size_t i = 0; i < ml::kLabelCount; ++i)
            scores[row.instance_id][i] = static_cast<float>(row.scores[i]);

    std::vector<InstanceHeader> headers;
    for (const InstanceRow& slice : task.set.slices) {
        SCOPENODE_ASSIGN(auto header, read_header(p_.archive.absolute(slice.path)));
        if (header.sop_instance_uid != slice.sop_instance_uid)
            return fail(Code::kIdentityMismatch, "{} holds another object than {}", slice.path,
                        slice.sop_instance_uid);
        if (const auto found = scores.find(slice.id); found != scores.end())
            analysis.slices.push_back(analysed_slice(header, found->second));
        headers.push_back(std::move(header));
    }
    SCOPENODE_TRY(check_identity(task, headers));
    std::vector<const InstanceHeader*> all;
    for (const InstanceHeader& header : headers) all.push_back(&header);
    if (auto said = rescale_reason(task.set.series_uid, all, rescale()))
        analysis.reasons.push_back(std::move(*said));
    if (analysis.slices.empty())
        return fail(Code::kUnsupported, "no slice of series {} could be decoded", task.set.series_uid);
    const auto usable = static_cast<int>(analysis.slices.size());
    if (usable < p_.settings.intake.minimum_slices) {
        analysis.determined = false;
        analysis.reasons.push_back(reason(
            reasons::kTooFewSlices,
            fmt::format("{} could be decoded, {} are needed.", usable, p_.settings.intake.minimum_slices)));
    }
    analysis.header = headers.front();
    analysis.series_uid = task.set.series_uid;
    conclude(analysis, p_.model);
    return analysis;
}

ReportContext StudyWork::report_context(const Task& task) const {
    ReportContext context;
    context.node_uid = p_.node_uid;
    context.program_version = p_.program_version;
    context.settings_revision = p_.settings.revision;
    context.station_ae = p_.settings.dimse.ae_title;
    context.time_zone = p_.settings.site.time_zone;
    context.write_timezone_offset = p_.settings.site.write_timezone_offset;
    context.revision = task.job.revision;
    if (task.predecessor) {
        context.predecessor_sop_instance_uid = task.predecessor->sop_instance_uid;
        context.predecessor_sop_class_uid = task.predecessor->sop_class_uid;
        context.predecessor_series_uid = task.predecessor->series_uid;
    }
    context.analysis_started = task.job.created;
    return context;
}

Status StudyWork::finish(Connection& db, const JobRow& job) {
    const UtcMs now = p_.clock.now();
    SCOPENODE_TRY(finish_job(db, job.id, now));
    SCOPENODE_ASSIGN(const auto study, study_by_id(db, job.study_id));
    if (!study) return {};
    if (study->due) return set_study_state(db, study->id, "receiving");
    return settle_study(db, *study, now);
}

Status StudyWork::end_badly(const JobRow& job, const Error& error) {
    const UtcMs now = p_.clock.now();
    std::optional<UtcMs> next;
    if (error.retryable() && job.attempts < kMostAttempts)
        next = now + pause_after(job.attempts, kFirstPauseMs, kLongestPauseMs);
    log::error("work", "study {} revision {}, attempt {}: {}{}", job.study_uid, job.revision, job.attempts,
               error.message, next ? "; tried again later" : "; given up");
    return p_.index.write([&](Connection& db) -> Status {
        SCOPENODE_TRY(fail_job(db, job.id, error.message, next, now));
        SCOPENODE_ASSIGN(const auto study, study_by_id(db, job.study_id));
        const bool receiving = study && study->due;
        SCOPENODE_TRY(set_study_state(db, job.study_id,
                                      receiving ? "receiving"
                                      : next    ? "waiting"
                                                : "failed"));
        if (next) return {};
        if (error.code == Code::kIdentityMismatch)
            SCOPENODE_TRY(add_remark(db, job.study_id, {now, "identity", "", error.message}));
        AuditRow audit;
        audit.time = now;
        audit.actor = "node";
        audit.action = "job failed";
        audit.subject = job.study_uid;
        audit.detail = fmt::format("job {}, revision {}: {}", job.id, job.revision, error.message);
        return add_audit(db, audit);
    });
}

}  // namespace scopenode::workflows
