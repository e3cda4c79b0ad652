#include <algorithm>
#include <set>

#include "storage/index/commitments.h"
#include "storage/index/mpps.h"
#include "workflows/intake.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

/// Objects that somebody names, and what of them is here.
struct Named {
    int all = 0, missing = 0;
    bool arrives = false;  ///< some of them came in this arrival
};
Result<Named> look_up(Connection& db, const std::set<std::string>& uids, UtcMs opened) {
    Named named;
    for (const auto& uid : uids) {
        SCOPENODE_ASSIGN(const auto here, find_instance(db, uid));
        ++named.all;
        if (!here) ++named.missing;
        named.arrives |= here && here->received >= opened;
    }
    return named;
}

/// A step that ended before says nothing about slices that come later, unless it names them.
Status add_mpps(Connection& db, const StudyRow& study, bool is_first, Arrival& a) {
    SCOPENODE_ASSIGN(const auto steps, mpps_of(db, study.study_uid));
    for (const MppsRow& step : steps) {
        SCOPENODE_ASSIGN(const auto named, look_up(db, {step.images.begin(), step.images.end()}, a.opened));
        if (!is_first && !named.arrives && step.ended.value_or(a.opened) < a.opened) continue;
        if (step.state == "IN PROGRESS")
            a.mpps = Arrival::Step::kInProgress;
        else if (a.mpps == Arrival::Step::kNone)
            a.mpps = Arrival::Step::kEnded;
        a.mpps_images += named.all;
        a.mpps_missing += named.missing;
    }
    return {};
}

Status add_commitments(Connection& db, const StudyRow& study, Arrival& a) {
    SCOPENODE_ASSIGN(const auto requests, commitment_requests_of(db, study.id));
    std::set<std::string> uids;
    for (const auto& request : requests)
        for (const auto& instance : request.instances) uids.insert(instance.sop_instance_uid);
    SCOPENODE_ASSIGN(const auto named, look_up(db, uids, a.opened));
    a.commit_images = named.all;
    a.commit_missing = named.missing;
    return {};
}

}  // namespace

Result<Arrival> arrival_of(Connection& db, const StudyRow& study, UtcMs now) {
    Arrival a;
    // After a restart with the clock set back, the records may lie in the future.
    a.opened = std::min(study.opened.value_or(now), now);
    a.last_received = std::min(study.last_received, now);
    a.received = study.instances;
    SCOPENODE_ASSIGN(const auto evidence, evidence_of(db, study.id));
    bool is_first = true;
    for (const auto& row : evidence) {
        if (row.kind == kAssociationEnd) a.association_end = row.time;
        is_first &= !row.decided;
    }
    SCOPENODE_TRY(add_mpps(db, study, is_first, a));
    SCOPENODE_TRY(add_commitments(db, study, a));
    return a;
}

}  // namespace scopenode::workflows
