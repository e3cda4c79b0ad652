#include <algorithm>
#include <charconv>

#include "storage/index/audit.h"
#include "storage/index/catalog.h"
#include "storage/index/queue.h"
#include "storage/index/results.h"
#include "workflows/intake.h"
#include "workflows/node.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

Result<std::int64_t> number(const std::string& text) {
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size() || id < 1)
        return fail(Code::kInvalidArgument, "'{}' is not the number of a row", text);
    return id;
}

Status note(Connection& db, UtcMs now, const std::string& action, const std::string& subject) {
    AuditRow row;
    row.time = now;
    row.actor = "command line";
    row.action = action;
    row.subject = subject;
    return add_audit(db, row);
}

Result<StudyRow> study_named(Connection& db, const std::string& uid) {
    SCOPENODE_ASSIGN(auto study, find_study(db, uid));
    if (!study) return fail(Code::kNotFound, "no study {}: `scopenode studies list` names them", uid);
    return std::move(*study);
}

Result<std::string> complete(Connection& db, UtcMs now, const std::string& uid) {
    SCOPENODE_ASSIGN(const auto study, study_named(db, uid));
    // Intake judges what has arrived so far and then settles the study: only it reads the files.
    SCOPENODE_TRY(complete_study(db, study.id, "command"));
    SCOPENODE_TRY(set_study_due(db, study.id, now));
    SCOPENODE_TRY(note(db, now, "study completed", uid));
    return fmt::format("study {} is complete with {} object{}", uid, study.instances,
                       study.instances == 1 ? "" : "s");
}

Result<std::string> reprocess(Connection& db, UtcMs now, const std::string& uid) {
    SCOPENODE_ASSIGN(const auto study, study_named(db, uid));
    SCOPENODE_ASSIGN(const auto jobs, jobs_of(db, study.id));
    const auto last = std::max_element(jobs.begin(), jobs.end(),
                                       [](const JobRow& a, const JobRow& b) { return a.id < b.id; });
    const bool ended_without = last != jobs.end() && (last->state == "failed" || last->state == "cancelled");
    if (ended_without && last->revision > study.revision) {
        SCOPENODE_TRY(retry_job(db, last->id, now));
        SCOPENODE_TRY(set_study_state(db, study.id, "waiting"));
        SCOPENODE_TRY(note(db, now, "study reprocessed", uid));
        return fmt::format("job {} of study {} is queued again", last->id, uid);
    }
    if (last != jobs.end() && (last->state == "queued" || last->state == "running"))
        return fmt::format("job {} of study {} is {} already", last->id, uid, last->state);
    SCOPENODE_ASSIGN(const auto set, eligible_set(db, study.id));
    SCOPENODE_ASSIGN(const auto current, current_result(db, study.id, "sr"));
    if (current && current->eligible_set == set.digest)
        return fmt::format(
            "nothing done: revision {} covers all {} eligible slices of study {}, and the same slices give "
            "the same report",
            study.revision, set.slices.size(), uid);
    if (set.slices.empty())
        return fmt::format("nothing done: study {} has no eligible series, see `scopenode studies why {}`",
                           uid, uid);
    return complete(db, now, uid);
}

Result<std::string> retry(Connection& db, UtcMs now, std::int64_t id) {
    SCOPENODE_TRY(retry_job(db, id, now));
    SCOPENODE_ASSIGN(const auto job, find_job(db, id));
    if (job) SCOPENODE_TRY(set_study_state(db, job->study_id, "waiting"));
    SCOPENODE_TRY(note(db, now, "job retried", std::to_string(id)));
    return fmt::format("job {} is queued again", id);
}

Result<std::string> cancel(Connection& db, UtcMs now, std::int64_t id) {
    SCOPENODE_TRY(cancel_job(db, id, now));
    SCOPENODE_ASSIGN(const auto job, find_job(db, id));
    if (job) {
        SCOPENODE_ASSIGN(const auto study, study_by_id(db, job->study_id));
        if (study && !study->due)
            SCOPENODE_TRY(set_study_state(db, study->id, study->revision > 0 ? "done" : "failed"));
    }
    SCOPENODE_TRY(note(db, now, "job cancelled", std::to_string(id)));
    return fmt::format("job {} is cancelled", id);
}

Result<std::string> deliver_again(Connection& db, UtcMs now, std::int64_t id) {
    SCOPENODE_TRY(retry_delivery(db, id, now));
    SCOPENODE_TRY(note(db, now, "delivery retried", std::to_string(id)));
    return fmt::format("delivery {} is due now", id);
}

Result<std::string> carry_out(Connection& db, UtcMs now, const std::vector<std::string>& words) {
    if (words.size() == 3) {
        const std::string what = words[0] + " " + words[1];
        if (what == "studies complete") return complete(db, now, words[2]);
        if (what == "studies reprocess") return reprocess(db, now, words[2]);
        using Numbered = Result<std::string> (*)(Connection&, UtcMs, std::int64_t);
        Numbered numbered = what == "jobs retry"     ? retry
                            : what == "jobs cancel"  ? cancel
                            : what == "outbox retry" ? deliver_again
                                                     : nullptr;
        if (numbered) {
            SCOPENODE_ASSIGN(const auto id, number(words[2]));
            return numbered(db, now, id);
        }
    }
    std::string line;
    for (const auto& word : words) line += " " + word;
    return fail(Code::kInvalidArgument, "no such command:{}", line);
}

}  // namespace

Result<std::string> run_command(Index& index, const config::Settings&, const Clock& clock,
                                const std::vector<std::string>& words) {
    std::string text;
    SCOPENODE_TRY(index.write([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(text, carry_out(db, clock.now(), words));
        return {};
    }));
    return text;
}

}  // namespace scopenode::workflows
