#include "workflows/intake.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "base/log.h"
#include "storage/index/audit.h"
#include "storage/index/results.h"
#include "storage/index/slices.h"
#include "workflows/reasons.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

constexpr int kEventsInAPass = 5000;
constexpr std::size_t kHeadersKept = 20000;
constexpr const char* kByCommand = "command";
constexpr const char* kByPixels = "pixels";
constexpr UtcMs kClockJumpMs = 2000;

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

std::string lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

/// Of (0040,1003) and its retired forerunner: STAT and its like, HIGH, anything else.
int requested_priority(const std::string& text) {
    const std::string word = lower(text);
    for (const char* urgent : {"stat", "emergency", "urgent"})
        if (word == urgent) return kPriorityStat;
    return word == "high" ? 1 : 0;
}

}  // namespace

/// What the index holds of a study, read at once.
struct Intake::Stored {
    StudyRow study;
    std::vector<SeriesRow> series;
    std::vector<std::vector<InstanceRow>> rows;  ///< by series
    std::set<std::int64_t> answered;             ///< instances with a score or a reason for none
};

Intake::Intake(const config::Settings& settings, Index& index, const Archive& archive, const Clock& clock,
               const Associations& associations, std::string score_key)
    : settings_(settings),
      index_(index),
      archive_(archive),
      clock_(clock),
      associations_(associations),
      score_key_(std::move(score_key)),
      feedback_(settings, index, archive, clock) {}

/// Deadlines stand in the index as UTC: when somebody sets the clock, they move along.
Status Intake::follow_clock() {
    const UtcMs wall = clock_.now();
    const std::int64_t steady = clock_.steady_ms();
    if (wall_before_ == 0) {
        SCOPENODE_TRY(index_.write([&](Connection& db) { return pull_deadlines(db, wall); }));
        wall_before_ = wall;
        steady_before_ = steady;
    }
    const UtcMs jump = (wall - wall_before_) - (steady - steady_before_);
    if (std::abs(jump) >= kClockJumpMs) {
        log::warning("intake", "the clock was set by {} ms: what waits for a time waits on as long as before",
                     jump);
        SCOPENODE_TRY(index_.write([&](Connection& db) { return shift_deadlines(db, jump); }));
    }
    wall_before_ = wall;
    steady_before_ = steady;
    return {};
}

Result<bool> Intake::pass() {
    SCOPENODE_TRY(follow_clock());
    SCOPENODE_TRY(feedback_.match());
    const UtcMs now = clock_.now();
    SCOPENODE_ASSIGN(const auto due, index_.read([&](Connection& db) { return studies_due(db, now); }));
    SCOPENODE_ASSIGN(const auto events,
                     index_.read([](Connection& db) { return pending_events(db, kEventsInAPass); }));
    if (events.empty() && due.empty()) {
        SCOPENODE_ASSIGN(const bool open, index_.read(any_study_open));
        if (!open) headers_.clear();
        return false;
    }
    std::set<std::int64_t> studies;
    for (const auto& study : due) studies.insert(study.id);
    for (const auto& event : events) studies.insert(event.study_id);
    SCOPENODE_ASSIGN(const auto arrivals, feedback_.read(events));
    std::vector<Judged> judged;
    for (const std::int64_t study : studies) {
        SCOPENODE_ASSIGN(auto one, judge(study, arrivals.has_slices(study)));
        judged.push_back(std::move(one));
    }
    SCOPENODE_TRY(index_.write([&](Connection& db) -> Status {
        SCOPENODE_TRY(feedback_.write(db, arrivals));
        std::vector<std::int64_t> ids;
        for (const auto& event : events) ids.push_back(event.id);
        if (!ids.empty()) SCOPENODE_TRY(finish_events(db, ids));
        for (const Judged& study : judged)
            SCOPENODE_TRY(write(db, study, arrivals.has_slices(study.study_id), now));
        return {};
    }));
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

Result<Intake::Judged> Intake::judge(std::int64_t study_id, bool has_slices) {
    SCOPENODE_ASSIGN(const Stored stored, index_.read([&](Connection& db) -> Result<Stored> {
        Stored s;
        SCOPENODE_ASSIGN(auto study, study_by_id(db, study_id));
        if (study) s.study = std::move(*study);
        SCOPENODE_ASSIGN(s.series, series_of(db, study_id));
        for (const SeriesRow& series : s.series) {
            SCOPENODE_ASSIGN(auto instances, instances_of(db, series.id));
            s.rows.push_back(std::move(instances));
        }
        SCOPENODE_ASSIGN(const auto scores, slice_scores_of(db, study_id, score_key_));
        SCOPENODE_ASSIGN(const auto faults, slice_faults_of(db, study_id, score_key_));
        for (const auto& row : scores) s.answered.insert(row.instance_id);
        for (const auto& row : faults) s.answered.insert(row.instance_id);
        return s;
    }));
    std::vector<SeriesHeaders> study;
    for (std::size_t i = 0; i < stored.series.size(); ++i) {
        const SeriesRow& row = stored.series[i];
        SeriesHeaders series{row.id, row.series_uid, row.own, {}};
        // With more slices the pixels are looked at again: see write().
        if (!has_slices) series.by_pixels = {row.pixel_code, row.pixel_text};
        for (const InstanceRow& one : stored.rows[i])
            series.slices.push_back({one.id, row.own ? nullptr : header_of(one)});
        study.push_back(std::move(series));
    }
    auto judgements = judge_study(study, settings_.intake.minimum_slices);
    Judged judged;
    judged.study_id = study_id;
    judge_urgency(judged, stored);
    for (std::size_t i = 0; i < stored.series.size(); ++i) {
        if (judgements[i].eligible) judged.stack_missing = stack_shape(study[i]).missing;
        const auto& rows = stored.rows[i];
        for (std::size_t k = 0; k < rows.size(); ++k) {
            // A series that is too short so far may become long enough: its slices are scored meanwhile.
            const auto& code = judgements[i].slices[k].reason_code;
            const bool wanted =
                (code.empty() || code == reasons::kTooFewSlices) && !stored.answered.contains(rows[k].id);
            if (wanted != rows[k].wanted) judged.wanted.emplace_back(rows[k].id, wanted);
        }
        if (auto changed = difference(stored.series[i], rows, std::move(judgements[i])))
            judged.series.emplace_back(stored.series[i].id, std::move(*changed));
    }
    return judged;
}

/// What the headers and the senders say about how much is to come and how urgent it is.
void Intake::judge_urgency(Judged& judged, const Stored& stored) {
    const auto raise = [&](int priority, const std::string& by) {
        if (priority <= judged.priority) return;
        judged.priority = priority;
        judged.priority_by = by;
    };
    const auto& callers = settings_.intake.stat_callers;
    UtcMs last = 0;
    for (std::size_t i = 0; i < stored.series.size(); ++i) {
        if (stored.series[i].own) continue;
        for (const InstanceRow& row : stored.rows[i]) {
            if (row.received >= last) judged.last_caller = row.calling_ae;
            last = std::max(last, row.received);
            if (std::find(callers.begin(), callers.end(), row.calling_ae) != callers.end())
                raise(kPriorityStat, "sent by " + row.calling_ae);
            if (const auto* header = header_of(row)) {
                judged.expected = std::max(judged.expected, header->study_objects);
                raise(requested_priority(header->requested_priority),
                      "requested as " + header->requested_priority);
            }
        }
    }
    for (const auto& words : settings_.intake.stat_descriptions)
        if (lower(stored.study.description).find(lower(words)) != std::string::npos)
            raise(kPriorityStat, "study description with '" + words + "'");
}

CompletionRules Intake::rules_for(const std::string& caller) const {
    const auto& intake = settings_.intake;
    const auto by_ae = intake.quiet_seconds_by_ae.find(caller);
    const int quiet = by_ae == intake.quiet_seconds_by_ae.end() ? intake.quiet_seconds : by_ae->second;
    return {UtcMs{1000} * quiet, intake.patience, UtcMs{1000} * std::max(quiet, intake.longest_wait_seconds)};
}

Status Intake::write(Connection& db, const Judged& judged, bool has_slices, UtcMs now) {
    for (const auto& [series, judgement] : judged.series) SCOPENODE_TRY(judge_series(db, series, judgement));
    for (const auto& [instance, wanted] : judged.wanted) SCOPENODE_TRY(want_slice(db, instance, wanted));
    SCOPENODE_ASSIGN(auto study, study_by_id(db, judged.study_id));
    if (!study) return {};
    if (judged.priority > study->priority) {
        SCOPENODE_TRY(set_study_priority(db, study->id, judged.priority, judged.priority_by));
        SCOPENODE_TRY(set_job_priority(db, study->id, judged.priority));
        study->priority = judged.priority;
    }
    if (has_slices) SCOPENODE_TRY(forget_pixel_reasons(db, study->id));
    // Evidence, reports and pictures do not open a study that is complete; one that has nothing else waits
    // for more.
    if (!study->due && !has_slices && study->state != "receiving") return {};
    SCOPENODE_ASSIGN(const bool more, has_pending_events(db, study->id));
    const bool by_command = study->due && study->completed_by == kByCommand;
    const bool by_pixels = study->due && study->completed_by == kByPixels;
    SCOPENODE_ASSIGN(Arrival arrival, arrival_of(db, *study, now));
    arrival.command = by_command;
    arrival.expected = judged.expected;
    arrival.stack_missing = judged.stack_missing;
    arrival.association_open = associations_.open_from(judged.last_caller);
    Completion judgement = judge_arrival(arrival, rules_for(judged.last_caller), now);
    if (by_pixels)
        judgement = {true, kByPixels, "it was complete before a series was refused by its pixels", 0};
    if (!judgement.complete || more) {
        SCOPENODE_TRY(set_study_due(db, study->id, more ? now : judgement.look_again, now));
        return set_study_state(db, study->id, "receiving");
    }
    SCOPENODE_TRY(add_evidence(db, study->id, {now, judgement.by, judgement.detail, true}));
    SCOPENODE_TRY(complete_study(db, study->id, judgement.by));
    return settle_study(db, *study, settings_.reports.not_eligible, now);
}

}  // namespace scopenode::workflows
