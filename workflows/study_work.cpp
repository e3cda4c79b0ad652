#include "workflows/study_work.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/core/ids.h"
#include "base/log.h"
#include "storage/dicom/rescale.h"
#include "storage/index/audit.h"
#include "storage/index/catalog.h"
#include "workflows/analysis.h"
#include "workflows/eligibility.h"
#include "workflows/pixel_gate.h"
#include "workflows/reasons.h"
#include "workflows/retry.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

constexpr int kMostAttempts = 8;
constexpr UtcMs kFirstPauseMs = 5000;
constexpr UtcMs kLongestPauseMs = 600000;
constexpr UtcMs kMostTimeMs = 60 * 60 * 1000;
constexpr std::size_t kMostSeriesNamed = 30;  // in a short report

/// The fields that say whose images these are.
std::array<std::string, 6> identity(const InstanceHeader& h) {
    return {h.patient_id, h.patient_id_issuer, h.patient_name, h.birth_date, h.study_uid, h.series_uid};
}
constexpr std::array<const char*, 6> kIdentityNames{
    "patient ID", "issuer of the patient ID", "patient's name", "birth date", "study UID", "series UID"};

}  // namespace

StudyWork::StudyWork(Parts parts) : p_(std::move(parts)) {}

Result<bool> StudyWork::turn(const std::atomic<bool>& stopping) {
    if (unended_) {
        SCOPENODE_TRY(end_badly(unended_->first, unended_->second));
        unended_.reset();
    }
    SCOPENODE_ASSIGN(const auto job, claim());
    if (!job) return false;
    Status done = work(*job, stopping);
    if (done) return true;
    if (done.error().code == Code::kCancelled) {
        log::info("work", "study {} revision {}: {}", job->study_uid, job->revision, done.error().message);
        SCOPENODE_TRY(p_.index.write([&](Connection& db) { return end_work(db, {job->study_id}); }));
        return !stopping;
    }
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
        SCOPENODE_ASSIGN(job, claim_job(db, now, kJobLeaseMs, random_hex()));
        if (!job) return {};
        SCOPENODE_TRY(begin_work(db, {job->study_id}));
        return set_study_state(db, job->study_id, "processing");
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
        SCOPENODE_ASSIGN(auto results, results_of(db, job.study_id));
        for (auto& result : results) {
            if (result.kind != "sr") continue;
            if (result.revision >= job.revision) task.has_result = true;
            task.predecessor = std::move(result);
        }
        const bool stands = task.predecessor && !task.predecessor->eligible_set.empty();
        if (!p_.settings.reports.not_eligible || !task.set.slices.empty() || stands || task.study.due)
            return task;
        SCOPENODE_ASSIGN(task.witness, witness_of(db, task.study));
        SCOPENODE_ASSIGN(task.series_reasons, series_reasons(db, job.study_id));
        return task;
    });
}

Status StudyWork::work(const JobRow& job, const std::atomic<bool>& stopping) {
    SCOPENODE_ASSIGN(Task task, load(job));
    // With its report stored only pictures are missing, which give up by themselves (study_store.cpp).
    if (!task.has_result && (task.study.crashes >= kMostCrashes || task.study.kills >= kMostKills))
        return fail(Code::kInternal,
                    "work on it ended the program {} times: `scopenode jobs retry {}` tries again",
                    task.study.crashes + task.study.kills, job.id);
    SCOPENODE_TRY(read_request(task));
    const bool is_short = task.set.slices.empty();
    if (task.has_result ? is_short || !may_go_on(task) : is_short && !task.witness)
        return p_.index.write([&](Connection& db) { return finish(db, job); });
    SCOPENODE_TRY(choose_destinations(task));
    SCOPENODE_ASSIGN(const auto analysis, is_short ? without_series(task) : analyse(task, stopping));
    if (task.refused) return refuse_series(task);
    const Status stored = store(task, analysis);
    if (stored || stored.error().code != Code::kConflict) return stored;
    log::warning("work", "study {} revision {} was stored before: {}", job.study_uid, job.revision,
                 stored.error().message);
    return p_.index.write([&](Connection& db) { return finish(db, job); });
}

Status StudyWork::read_request(Task& task) {
    task.model = p_.model;
    if (task.job.request.empty()) return {};
    const auto request = nlohmann::json::parse(task.job.request, nullptr, false);
    if (!request.is_object())
        return fail(Code::kInternal, "the request of job {} is damaged: {}", task.job.id, task.job.request);
    task.send = request.value("send", true);
    const std::string model = request.value("model", "");
    if (model.empty() || model == p_.model->id()) return {};
    SCOPENODE_ASSIGN(task.model, p_.load_model(model));
    return {};
}

Status StudyWork::read_scores(Task& task) {
    const std::string key = score_key(*task.model, p_.settings);
    return p_.index.read([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(task.scores, slice_scores_of(db, task.job.study_id, key));
        SCOPENODE_ASSIGN(task.faults, slice_faults_of(db, task.job.study_id, key));
        return {};
    });
}

/// Between the batches: may the work go on?
Status StudyWork::still_wanted(const JobRow& job, const std::atomic<bool>& stopping) {
    if (stopping) return fail(Code::kCancelled, "the node stops");
    const UtcMs now = p_.clock.now();
    if (job.started && now - *job.started > kMostTimeMs)
        return fail(Code::kTimeout, "not done within {} minutes", kMostTimeMs / 60000);
    return p_.index.write([&](Connection& db) { return renew_lease(db, job, now + kJobLeaseMs); });
}

Status StudyWork::infer_missing(Task& task, std::vector<Reason>& reasons, const std::atomic<bool>& stopping) {
    SCOPENODE_TRY(read_scores(task));
    std::set<std::int64_t> answered;
    for (const auto& row : task.scores) answered.insert(row.instance_id);
    for (const auto& row : task.faults) answered.insert(row.instance_id);
    std::vector<WantedSlice> missing;
    for (const InstanceRow& slice : task.set.slices)
        if (!answered.contains(slice.id)) missing.push_back({slice.id, task.job.study_id, slice.path});
    if (!missing.empty()) {
        SliceScorer scorer({p_.settings, p_.index, p_.archive, task.model, p_.pixels, p_.clock});
        SCOPENODE_TRY(scorer.score(missing, [&] { return still_wanted(task.job, stopping); }));
        SCOPENODE_TRY(read_scores(task));
    }
    std::vector<std::string> faults;
    for (const auto& fault : task.faults)
        for (const InstanceRow& slice : task.set.slices)
            if (slice.id == fault.instance_id) faults.push_back(fault.text);
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
    return check_owner(task, headers.front(), task.set.series_uid);
}

/// What the file says of whose image it is, against what the index says of whose study it is.
Status StudyWork::check_owner(const Task& task, const InstanceHeader& header, const std::string& series_uid) {
    const bool of_this_study =
        header.patient_id == task.study.patient_id && header.study_uid == task.study.study_uid &&
        header.series_uid == series_uid &&
        (header.patient_id_issuer.empty() || header.patient_id_issuer == task.study.patient_issuer);
    if (!of_this_study)
        return fail(Code::kIdentityMismatch,
                    "the slices of series {} do not belong to the patient of study {}", series_uid,
                    task.study.study_uid);
    return {};
}

Result<StudyAnalysis> StudyWork::without_series(const Task& task) {
    StudyAnalysis analysis;
    const InstanceRow& image = task.witness->image;
    SCOPENODE_ASSIGN(analysis.header, read_header(p_.archive.absolute(image.path)));
    if (analysis.header.sop_instance_uid != image.sop_instance_uid)
        return fail(Code::kIdentityMismatch, "{} holds another object than {}", image.path,
                    image.sop_instance_uid);
    SCOPENODE_TRY(check_owner(task, analysis.header, task.witness->series_uid));
    analysis.series_uid = task.witness->series_uid;
    analysis.determined = false;
    analysis.reasons = task.series_reasons;
    if (analysis.reasons.size() > kMostSeriesNamed) {
        const auto more = analysis.reasons.size() - kMostSeriesNamed;
        analysis.reasons.resize(kMostSeriesNamed);
        analysis.reasons.back().text += fmt::format(" So it is with {} more series.", more);
    }
    conclude(analysis, *task.model, p_.settings.inference.abstain_unlike_training);
    return analysis;
}

Result<StudyAnalysis> StudyWork::analyse(Task& task, const std::atomic<bool>& stopping) {
    StudyAnalysis analysis;
    SCOPENODE_TRY(infer_missing(task, analysis.reasons, stopping));
    std::map<std::int64_t, ml::SliceScores> scores;
    for (const auto& row : task.scores) {
        ml::SliceScores& slice = scores[row.instance_id];
        std::copy(row.scores.begin(), row.scores.end(), slice.scores.begin());
        slice.distance = row.distance;
    }

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
    if (auto said =
            rescale_reason(task.set.series_uid, all, rescale_of(p_.settings.inference.rsna_rescale_quirk)))
        analysis.reasons.push_back(std::move(*said));
    for (auto& remark : series_remarks(all)) analysis.reasons.push_back(std::move(remark));
    for (auto& remark : left_out_remarks(task.set.codes)) analysis.reasons.push_back(std::move(remark));
    if (analysis.slices.empty())
        return fail(Code::kUnsupported, "no slice of series {} could be decoded", task.set.series_uid);
    const auto usable = static_cast<int>(analysis.slices.size());
    if (usable < p_.settings.intake.minimum_slices) {
        analysis.determined = false;
        analysis.reasons.push_back(reason(
            reasons::kTooFewSlices,
            fmt::format("{} could be decoded, {} are needed.", usable, p_.settings.intake.minimum_slices)));
    }
    if (p_.settings.intake.pixel_gate) SCOPENODE_TRY(judge_pixels(task, headers));
    analysis.header = headers.front();
    analysis.series_uid = task.set.series_uid;
    conclude(analysis, *task.model, p_.settings.inference.abstain_unlike_training);
    return analysis;
}

Status StudyWork::judge_pixels(Task& task, const std::vector<InstanceHeader>& headers) {
    std::vector<PlacedLook> looks;
    for (std::size_t i = 0; i < headers.size(); ++i)
        for (const auto& row : task.scores) {
            if (row.instance_id != task.set.slices[i].id || row.look.empty()) continue;
            SCOPENODE_ASSIGN(const auto look, parse_look(row.look));
            looks.push_back({cranial_mm(headers[i]), headers[i].pixel_spacing_mm, look});
        }
    task.refused = judge_looks(looks);
    return {};
}

/// No report from this series: intake chooses again among the others, knowing what is against this one.
Status StudyWork::refuse_series(const Task& task) {
    log::warning("work", "study {}: series {} is not read: {}", task.study.study_uid, task.set.series_uid,
                 task.refused->text);
    const UtcMs now = p_.clock.now();
    return p_.index.write([&](Connection& db) -> Status {
        SCOPENODE_TRY(finish_job(db, task.job, now));
        SCOPENODE_TRY(end_work(db, {task.job.study_id}));
        SCOPENODE_TRY(forget_deaths(db, task.job.study_id));
        SCOPENODE_ASSIGN(const auto study, study_by_id(db, task.job.study_id));
        // While more arrives, the judgement of this part of the stack is worth nothing.
        if (study && !study->due) {
            SCOPENODE_TRY(set_pixel_reason(db, task.set.series_id, task.refused->code, task.refused->text));
            SCOPENODE_TRY(set_study_due(db, study->id, now, now));
            SCOPENODE_TRY(set_completed_by(db, study->id, "pixels"));
        }
        return set_study_state(db, task.job.study_id, "receiving");
    });
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
    SCOPENODE_TRY(finish_job(db, job, now));
    SCOPENODE_TRY(end_work(db, {job.study_id}));
    SCOPENODE_TRY(forget_deaths(db, job.study_id));
    SCOPENODE_ASSIGN(const auto study, study_by_id(db, job.study_id));
    if (!study) return {};
    if (study->due) return set_study_state(db, study->id, "receiving");
    return settle_study(db, *study, p_.settings.reports.not_eligible, now);
}

Status StudyWork::end_badly(const JobRow& job, const Error& error) {
    const UtcMs now = p_.clock.now();
    std::optional<UtcMs> next;
    // Want of memory or disk is the machine's, not the study's: it waits as long as that lasts.
    if (error.code == Code::kOutOfResources || (error.retryable() && job.attempts < kMostAttempts))
        next = now + pause_before(job.attempts, kFirstPauseMs, kLongestPauseMs);
    log::error("work", "study {} revision {}, attempt {}: {}{}", job.study_uid, job.revision, job.attempts,
               error.message, next ? "; tried again later" : "; given up");
    return p_.index.write([&](Connection& db) -> Status {
        SCOPENODE_TRY(end_work(db, {job.study_id}));
        const Status failed = fail_job(db, job, error.message, next, now);
        if (!failed && failed.error().code == Code::kCancelled) return {};  // a person was faster
        SCOPENODE_TRY(failed);
        SCOPENODE_ASSIGN(const auto study, study_by_id(db, job.study_id));
        const bool receiving = study && study->due;
        SCOPENODE_TRY(set_study_state(db, job.study_id,
                                      receiving ? "receiving"
                                      : next    ? "waiting"
                                                : "failed"));
        if (next) return {};
        if (error.code == Code::kIdentityMismatch)
            SCOPENODE_TRY(add_remark(db, job.study_id, {now, "identity", "", error.message}));
        return add_audit(db, now, "node", "job failed", job.study_uid,
                         fmt::format("job {}, revision {}: {}", job.id, job.revision, error.message));
    });
}

}  // namespace scopenode::workflows
