#include "storage/index/queue.h"
#include "storage/index/results.h"
#include "workflows/intake.h"
#include "workflows/not_eligible.h"

namespace scopenode::workflows {

using namespace storage;

namespace {

/// Is a report due? It never takes the place of one on slices that were eligible once.
Result<bool> wants_report(Connection& db, const StudyRow& study, bool report_not_eligible) {
    SCOPENODE_ASSIGN(const auto set, eligible_set(db, study.id));
    SCOPENODE_ASSIGN(const auto current, current_result(db, study.id, "sr"));
    const bool is_new = !current || current->eligible_set != set.digest || !study.request.empty();
    if (!set.slices.empty() || !is_new) return is_new;
    if (!report_not_eligible || (current && !current->eligible_set.empty())) return false;
    SCOPENODE_ASSIGN(const auto witness, witness_of(db, study));
    return witness.has_value();
}

}  // namespace

Result<EligibleSet> eligible_set(Connection& db, std::int64_t study_id) {
    EligibleSet set;
    SCOPENODE_ASSIGN(const auto all, series_of(db, study_id));
    for (const SeriesRow& series : all) {
        if (!series.judged || !series.eligible) continue;
        SCOPENODE_ASSIGN(auto rows, instances_of(db, series.id));
        std::vector<std::string> codes;
        for (const auto& row : rows) codes.push_back(row.eligible ? "" : row.reason_code);
        std::erase_if(rows, [](const InstanceRow& row) { return !row.eligible; });
        if (rows.empty()) continue;
        set.codes = std::move(codes);
        set.series_id = series.id;
        set.series_uid = series.series_uid;
        set.slices = std::move(rows);
        break;
    }
    std::vector<std::string> uids;
    for (const auto& row : set.slices) uids.push_back(row.sop_instance_uid);
    if (!uids.empty()) set.digest = set_digest(std::move(uids));
    return set;
}

Result<std::string> settled_state(Connection& db, std::int64_t study_id) {
    SCOPENODE_ASSIGN(const auto current, current_result(db, study_id, "sr"));
    return std::string(current && !current->eligible_set.empty() ? "done" : "not_eligible");
}

Status settle_study(Connection& db, const StudyRow& study, bool report_not_eligible, UtcMs now) {
    SCOPENODE_ASSIGN(const bool wants, wants_report(db, study, report_not_eligible));
    if (!study.request.empty()) SCOPENODE_TRY(set_study_request(db, study.id, ""));
    if (!wants) {
        SCOPENODE_ASSIGN(const auto state, settled_state(db, study.id));
        return set_study_state(db, study.id, state);
    }
    NewJob wanted{"study", study.id, study.revision + 1, study.priority, study.request};
    SCOPENODE_ASSIGN(const auto id, add_job(db, wanted, now));
    SCOPENODE_ASSIGN(const auto job, find_job(db, id));
    // A job that runs already may have begun with fewer slices: it settles the study once more when it ends.
    return set_study_state(db, study.id, job && job->state == "running" ? "processing" : "waiting");
}

}  // namespace scopenode::workflows
