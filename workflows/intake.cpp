#include "workflows/intake.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "storage/index/audit.h"
#include "storage/index/results.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

constexpr int kEventsInAPass = 5000;
constexpr std::size_t kHeadersKept = 20000;
constexpr const char* kByCommand = "command";

/// The judgement less the images that the index has judged the same already; nothing when all is the same.
std::optional<Judgement> difference(const SeriesRow& series, const std::vector<InstanceRow>& rows,
                                    Judgement judgement) {
    std::vector<Judgement::Slice> changed;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& slice = judgement.slices[i];
        if (rows[i].eligible != slice.reason_code.empty() || rows[i].reason_code != slice.reason_code)
            changed.push_back(slice);
    }
    const bool same = series.judged && series.eligible == judgement.eligible &&
                      series.reason_code == judgement.reason_code &&
                      series.reason_text == judgement.reason_text;
    if (same && changed.empty()) return std::nullopt;
    judgement.slices = std::move(changed);
    return judgement;
}

}  // namespace

Result<EligibleSet> eligible_set(Connection& db, std::int64_t study_id) {
    EligibleSet set;
    SCOPENODE_ASSIGN(const auto all, series_of(db, study_id));
    for (const SeriesRow& series : all) {
        if (!series.judged || !series.eligible) continue;
        SCOPENODE_ASSIGN(auto rows, instances_of(db, series.id));
        std::erase_if(rows, [](const InstanceRow& row) { return !row.eligible; });
        if (rows.empty()) continue;
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

Status settle_study(Connection& db, const StudyRow& study, UtcMs now) {
    SCOPENODE_ASSIGN(const auto set, eligible_set(db, study.id));
    SCOPENODE_ASSIGN(const auto current, current_result(db, study.id, "sr"));
    if (set.slices.empty()) return set_study_state(db, study.id, current ? "done" : "not_eligible");
    if (current && current->eligible_set == set.digest) return set_study_state(db, study.id, "done");
    SCOPENODE_ASSIGN(const auto id, add_job(db, "study", study.id, study.revision + 1, now));
    SCOPENODE_ASSIGN(const auto job, find_job(db, id));
    // A job that runs already may have begun with fewer slices: it settles the study once more when it ends.
    return set_study_state(db, study.id, job && job->state == "running" ? "processing" : "waiting");
}

Intake::Intake(const config::Settings& settings, Index& index, const Archive& archive, const Clock& clock)
    : settings_(settings),
      index_(index),
      archive_(archive),
      clock_(clock),
      feedback_(settings, index, archive, clock) {}

Result<bool> Intake::pass() {
    SCOPENODE_TRY(feedback_.match());
    // The order matters: whatever was stored before somebody said "complete" is among the events read after
    // it.
    const UtcMs now = clock_.now();
    SCOPENODE_ASSIGN(auto due, index_.read([&](Connection& db) { return studies_due(db, now); }));
    SCOPENODE_ASSIGN(const auto events,
                     index_.read([](Connection& db) { return pending_events(db, kEventsInAPass); }));
    if (static_cast<int>(events.size()) == kEventsInAPass) due.clear();
    if (events.empty() && due.empty()) {
        headers_.clear();
        return false;
    }
    std::set<std::int64_t> studies;
    for (const auto& event : events) studies.insert(event.study_id);
    std::vector<Judged> judged;
    for (const std::int64_t study : studies) {
        SCOPENODE_ASSIGN(auto one, judge(study));
        judged.push_back(std::move(one));
    }
    SCOPENODE_ASSIGN(const auto arrivals, feedback_.read(events));
    SCOPENODE_TRY(index_.write([&](Connection& db) { return write(db, judged, events, arrivals, due); }));
    if (headers_.size() > kHeadersKept) headers_.clear();
    return true;
}

const InstanceHeader* Intake::header_of(const InstanceRow& row) {
    auto [place, is_new] = headers_.try_emplace(row.id);
    if (is_new) {
        if (auto header = archive_.header(row.path)) {
            place->second = std::make_unique<const InstanceHeader>(std::move(*header));
        } else {
            log::warning("intake", "{}: {}", row.sop_instance_uid, header.error().message);
        }
    }
    return place->second.get();
}

Result<Intake::Judged> Intake::judge(std::int64_t study_id) {
    std::vector<SeriesHeaders> study;
    std::vector<std::vector<InstanceRow>> rows;
    SCOPENODE_ASSIGN(const auto all, index_.read([&](Connection& db) -> Result<std::vector<SeriesRow>> {
        SCOPENODE_ASSIGN(auto found, series_of(db, study_id));
        for (const SeriesRow& series : found) {
            SCOPENODE_ASSIGN(auto instances, instances_of(db, series.id));
            rows.push_back(std::move(instances));
        }
        return found;
    }));
    for (std::size_t i = 0; i < all.size(); ++i) {
        SeriesHeaders series{all[i].id, all[i].series_uid, all[i].own, {}};
        for (const InstanceRow& row : rows[i])
            series.slices.push_back({row.id, all[i].own ? nullptr : header_of(row)});
        study.push_back(std::move(series));
    }
    auto judgements = judge_study(study, settings_.intake.minimum_slices);
    Judged judged{study_id, {}};
    for (std::size_t i = 0; i < all.size(); ++i)
        if (auto changed = difference(all[i], rows[i], std::move(judgements[i])))
            judged.series.emplace_back(all[i].id, std::move(*changed));
    return judged;
}

Status Intake::write(Connection& db, const std::vector<Judged>& judged, const std::vector<EventRow>& events,
                     const Feedback::Arrivals& arrivals, const std::vector<StudyRow>& due) {
    const UtcMs now = clock_.now();
    SCOPENODE_TRY(feedback_.write(db, arrivals));
    for (const Judged& study : judged) {
        for (const auto& [series, judgement] : study.series)
            SCOPENODE_TRY(judge_series(db, series, judgement));
        SCOPENODE_ASSIGN(const auto row, study_by_id(db, study.study_id));
        if (!row) continue;
        // Reports and pictures make no study wait again: only a study that has nothing else waits for more.
        if (!arrivals.has_slices(row->id) && (row->state != "receiving" || row->due)) continue;
        // A person who said "complete" is not overruled by what was already here.
        if (row->due && *row->due <= now && row->completed_by == kByCommand) continue;
        SCOPENODE_TRY(complete_study(db, row->id, ""));
        SCOPENODE_TRY(
            set_study_due(db, row->id, row->last_received + UtcMs{1000} * settings_.intake.quiet_seconds));
        SCOPENODE_TRY(set_study_state(db, row->id, "receiving"));
    }
    std::vector<std::int64_t> ids;
    for (const auto& event : events) ids.push_back(event.id);
    if (!ids.empty()) SCOPENODE_TRY(finish_events(db, ids));
    for (const StudyRow& study : due) SCOPENODE_TRY(complete(db, study, now));
    return {};
}

Status Intake::complete(Connection& db, const StudyRow& was_due, UtcMs now) {
    SCOPENODE_ASSIGN(const auto study, study_by_id(db, was_due.id));
    if (!study || !study->due || *study->due > now) return {};
    const bool by_command = study->completed_by == kByCommand;
    // Something was stored since the events were read: the next pass sets the timer anew.
    if (!by_command && study->last_received + UtcMs{1000} * settings_.intake.quiet_seconds > now) return {};
    SCOPENODE_TRY(complete_study(db, study->id, by_command ? kByCommand : "quiet time"));
    return settle_study(db, *study, now);
}

}  // namespace scopenode::workflows
