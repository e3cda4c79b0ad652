#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <span>

#include "storage/index/audit.h"
#include "storage/index/catalog.h"
#include "storage/index/models.h"
#include "storage/index/queue.h"
#include "storage/index/results.h"
#include "storage/index/slices.h"
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

/// "--model ID", "--no-send" and "--force" behind the UID.
Result<std::string> request_text(std::span<const std::string> options) {
    nlohmann::ordered_json request = {{"send", true}};
    for (std::size_t i = 0; i < options.size(); ++i) {
        if (options[i] == "--no-send") {
            request["send"] = false;
        } else if (options[i] == "--force") {
            continue;
        } else if (options[i] == "--model" && i + 1 < options.size()) {
            request["model"] = options[++i];
        } else {
            return fail(Code::kInvalidArgument, "studies reprocess does not know '{}'", options[i]);
        }
    }
    return request.dump();
}

Status check_model(Connection& db, const std::string& request) {
    const std::string id = nlohmann::json::parse(request).value("model", "");
    if (id.empty()) return {};
    SCOPENODE_ASSIGN(const auto models, list_models(db));
    const bool known = std::any_of(models.begin(), models.end(), [&](const auto& m) { return m.id == id; });
    if (!known) return fail(Code::kNotFound, "no model {}: `scopenode models list` names them", id);
    return {};
}

Status note(Connection& db, UtcMs now, const std::string& action, const std::string& subject) {
    return add_audit(db, now, "command line", action, subject);
}

Result<StudyRow> study_named(Connection& db, const std::string& uid) {
    SCOPENODE_ASSIGN(auto study, find_study(db, uid));
    if (!study) return fail(Code::kNotFound, "no study {}: `scopenode studies list` names them", uid);
    return std::move(*study);
}

Result<std::string> complete(Connection& db, UtcMs now, const std::string& uid) {
    SCOPENODE_ASSIGN(const auto study, study_named(db, uid));
    // Intake judges what has arrived so far and then settles the study: only it reads the files.
    SCOPENODE_TRY(set_study_due(db, study.id, now, now));
    SCOPENODE_TRY(set_completed_by(db, study.id, "command"));
    SCOPENODE_TRY(note(db, now, "study completed", uid));
    return fmt::format("study {} is complete with {} object{}", uid, study.instances,
                       study.instances == 1 ? "" : "s");
}

/// The job of a study that ended without a result, again.
Status requeue(Connection& db, UtcMs now, const JobRow& job) {
    SCOPENODE_TRY(retry_job(db, job.id, now));
    SCOPENODE_TRY(forget_deaths(db, job.study_id));
    SCOPENODE_TRY(forget_faults(db, job.study_id));
    return set_study_state(db, job.study_id, "waiting");
}

/// May a new report differ from the current one, although the slices are the same?
Result<bool> other_rules(Connection& db, const ResultRow& current, const std::string& settings_revision) {
    if (current.settings_revision != settings_revision) return true;
    SCOPENODE_ASSIGN(const auto models, list_models(db));
    return std::any_of(models.begin(), models.end(),
                       [&](const auto& m) { return m.champion && m.sha256 != current.model_sha256; });
}

Result<std::string> reprocess(Connection& db, UtcMs now, const std::string& settings_revision,
                              const std::string& uid, std::span<const std::string> options) {
    SCOPENODE_ASSIGN(const auto request, request_text(options));
    SCOPENODE_TRY(check_model(db, request));
    SCOPENODE_ASSIGN(const auto study, study_named(db, uid));
    SCOPENODE_ASSIGN(const auto jobs, jobs_of(db, study.id));
    const auto last = std::max_element(jobs.begin(), jobs.end(),
                                       [](const JobRow& a, const JobRow& b) { return a.id < b.id; });
    const bool ended_without = last != jobs.end() && (last->state == "failed" || last->state == "cancelled");
    if (ended_without && last->revision > study.revision && options.empty()) {
        SCOPENODE_TRY(requeue(db, now, *last));
        SCOPENODE_TRY(note(db, now, "study reprocessed", uid));
        return fmt::format("job {} of study {} is queued again", last->id, uid);
    }
    if (last != jobs.end() && (last->state == "queued" || last->state == "running"))
        return fmt::format("job {} of study {} is {} already", last->id, uid, last->state);
    SCOPENODE_ASSIGN(const auto set, eligible_set(db, study.id));
    SCOPENODE_ASSIGN(const auto current, current_result(db, study.id, "sr"));
    if (current && current->eligible_set == set.digest && options.empty()) {
        SCOPENODE_ASSIGN(const bool other, other_rules(db, *current, settings_revision));
        if (!other && set.slices.empty())
            return fmt::format("nothing done: revision {} says already why no series of study {} is eligible",
                               study.revision, uid);
        if (!other)
            return fmt::format(
                "nothing done: revision {} covers all {} eligible slices of study {}, and the same slices, "
                "settings "
                "and model give the same report (`--force` makes it again)",
                study.revision, set.slices.size(), uid);
    }
    SCOPENODE_TRY(set_study_request(db, study.id, request));
    SCOPENODE_TRY(forget_faults(db, study.id));
    SCOPENODE_TRY(note(db, now, "study reprocessed", uid));
    SCOPENODE_TRY(complete(db, now, uid));
    return fmt::format("study {} is judged again and gets revision {}, if there is one to make", uid,
                       study.revision + 1);
}

Result<std::string> make_stat(Connection& db, UtcMs now, const std::string& uid) {
    SCOPENODE_ASSIGN(const auto study, study_named(db, uid));
    SCOPENODE_TRY(set_study_priority(db, study.id, kPriorityStat, "a person"));
    SCOPENODE_TRY(set_job_priority(db, study.id, kPriorityStat));
    SCOPENODE_TRY(note(db, now, "study made STAT", uid));
    return fmt::format("study {} goes before routine ones", uid);
}

Result<std::string> retry(Connection& db, UtcMs now, std::int64_t id) {
    SCOPENODE_ASSIGN(const auto job, find_job(db, id));
    if (!job) return fail(Code::kNotFound, "no job {}", id);
    SCOPENODE_TRY(requeue(db, now, *job));
    SCOPENODE_TRY(note(db, now, "job retried", std::to_string(id)));
    return fmt::format("job {} is queued again", id);
}

Result<std::string> cancel(Connection& db, UtcMs now, std::int64_t id) {
    SCOPENODE_TRY(cancel_job(db, id, now));
    SCOPENODE_ASSIGN(const auto job, find_job(db, id));
    if (job) {
        SCOPENODE_ASSIGN(const auto study, study_by_id(db, job->study_id));
        if (study && !study->due) {
            SCOPENODE_ASSIGN(const auto state, settled_state(db, study->id));
            SCOPENODE_TRY(set_study_state(db, study->id, study->revision > 0 ? state : "failed"));
        }
    }
    SCOPENODE_TRY(note(db, now, "job cancelled", std::to_string(id)));
    return fmt::format("job {} is cancelled", id);
}

Result<std::string> deliver_again(Connection& db, UtcMs now, std::int64_t id) {
    SCOPENODE_TRY(retry_delivery(db, id, now));
    SCOPENODE_TRY(note(db, now, "delivery retried", std::to_string(id)));
    return fmt::format("delivery {} is due now", id);
}

Result<std::string> carry_out(Connection& db, UtcMs now, const config::Settings& settings,
                              const std::vector<std::string>& words) {
    if (words.size() >= 3 && words[0] == "studies" && words[1] == "reprocess")
        return reprocess(db, now, settings.revision, words[2], std::span(words).subspan(3));
    if (words.size() == 3) {
        const std::string what = words[0] + " " + words[1];
        if (what == "studies complete") return complete(db, now, words[2]);
        if (what == "studies stat") return make_stat(db, now, words[2]);
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

Result<std::string> run_command(Index& index, const config::Settings& settings, const Clock& clock,
                                const std::vector<std::string>& words) {
    std::string text;
    SCOPENODE_TRY(index.write([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(text, carry_out(db, clock.now(), settings, words));
        return {};
    }));
    return text;
}

}  // namespace scopenode::workflows
