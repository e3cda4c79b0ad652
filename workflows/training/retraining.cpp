#include "workflows/training/retraining.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "base/log.h"
#include "ml/manifest.h"
#include "storage/index/audit.h"
#include "storage/index/labels.h"
#include "storage/index/models.h"
#include "workflows/retry.h"
#include "workflows/training/child.h"
#include "workflows/training/job_page.h"
#include "workflows/training/judge.h"
#include "workflows/training/options.h"

namespace scopenode::workflows {
namespace {

using namespace storage;
namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kRoom = "training";
constexpr int kMostAttempts = 3;
constexpr UtcMs kFirstPauseMs = 10000, kLongestPauseMs = 600000;
constexpr UtcMs kRulePauseMs = 60000;
constexpr UtcMs kAskPauseMs = 1000;  // between two looks at the queue of studies

/// Epochs whose line was lost with the process that should have kept it: the model's own metrics have them
/// all.
Status make_up_epochs(Connection& db, std::int64_t id, const std::string& metrics, UtcMs now) {
    const json said = json::parse(metrics, nullptr, false);
    SCOPENODE_ASSIGN(const auto known, training_epochs(db, id));
    const json epochs = said.is_object() ? said.value("epochs", json::array()) : json::array();
    for (const json& epoch : epochs) {
        const int number = epoch.value("epoch", 0);
        const bool kept =
            std::any_of(known.begin(), known.end(), [&](const auto& row) { return row.epoch == number; });
        if (!kept) SCOPENODE_TRY(put_training_epoch(db, id, {number, now, epoch.dump()}));
    }
    return {};
}

}  // namespace

struct Retraining::Job {
    TrainingRow row;
    TrainOrder order;
    Champion champion;
    UtcMs asked = 0;  ///< when the queue of studies was looked at
};

fs::path Retraining::folder(const Job& job) const {
    return p_.node / "training" / std::to_string(job.row.id);
}

Status Retraining::start() {
    return p_.index.write([](Connection& db) -> Status {
        SCOPENODE_ASSIGN(const int count, requeue_trainings(db));
        if (count > 0) log::info(kRoom, "an interrupted retraining job is taken up again");
        return {};
    });
}

Result<bool> Retraining::turn(const std::atomic<bool>& stopping) {
    const UtcMs now = p_.clock.now();
    if (has_start_rule(p_.settings.training) && std::abs(now - rule_asked_) >= kRulePauseMs) {
        rule_asked_ = now;
        SCOPENODE_TRY(
            p_.index.write([&](Connection& db) { return start_by_rule(db, p_.settings, p_.node, now); }));
    }
    SCOPENODE_ASSIGN(const auto rows, p_.index.read(list_trainings));
    const bool due = std::any_of(rows.begin(), rows.end(), [&](const TrainingRow& row) {
        return row.state == "queued" && row.next <= now;
    });
    if (!due) return false;
    std::optional<TrainingRow> claimed;
    SCOPENODE_TRY(p_.index.write([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(claimed, claim_training(db, now));
        return {};
    }));
    if (!claimed) return false;
    Job job;
    job.row = std::move(*claimed);
    log::info(kRoom, "retraining job {}, attempt {}", job.row.id, job.row.attempts);
    const Status done = guard(Code::kInternal, [&] { return work(job, stopping); });
    if (!done && stopping) return false;  // requeued at the next start
    SCOPENODE_TRY(end(job, done));
    return true;
}

Status Retraining::work(Job& job, const std::atomic<bool>& stopping) {
    SCOPENODE_ASSIGN(job.order, parse_order(job.row.options));
    SCOPENODE_ASSIGN(job.champion,
                     p_.index.read([&](Connection& db) { return serving_champion(db, p_.node); }));
    std::error_code ec;
    fs::create_directories(folder(job), ec);
    if (ec) return fail(Code::kIo, "cannot make {}: {}", folder(job).string(), ec.message());
    if (job.row.snapshot.empty()) SCOPENODE_TRY(make_snapshot(job));
    if (job.row.model.empty()) {
        SCOPENODE_TRY(train(job, stopping));
        SCOPENODE_TRY(take_candidate(job));
    }
    return judge(job, stopping);
}

Status Retraining::make_snapshot(Job& job) {
    job.row.step = "snapshot";
    SCOPENODE_TRY(note(job, "snapshot of the labels"));
    SCOPENODE_ASSIGN(auto snapshot, p_.index.read([&](Connection& db) {
        return plan_snapshot(db, snapshot_parts(p_.settings, job.champion));
    }));
    SCOPENODE_TRY(
        complete_snapshot(snapshot, [&](const std::string& path) { return p_.archive.absolute(path); }));
    if (const auto why = too_little(snapshot, p_.settings.training.fewest_studies); !why.empty())
        return fail(Code::kInvalidArgument, "{}", why);
    const std::string text = snapshot_json(snapshot), sha256 = sha256_hex(text);
    const fs::path place = fs::path("training") / "snapshots" / (sha256.substr(0, 16) + ".json");
    std::error_code ec;
    fs::create_directories((p_.node / place).parent_path(), ec);
    SCOPENODE_TRY(write_file(real_files(), p_.node / place, text));
    job.row.snapshot = sha256;
    return p_.index.write([&](Connection& db) -> Status {
        for (const SnapshotStudy& study : snapshot.studies)
            SCOPENODE_TRY(
                keep_side(db, study.patient,
                          std::string(study.use == Use::kGolden ? word(Use::kHeldOut) : word(study.use))));
        SCOPENODE_TRY(add_snapshot(db, {sha256, p_.clock.now(), place.string(), counts_table(snapshot)}));
        SCOPENODE_TRY(add_training_line(db, job.row.id, p_.clock.now(), "snapshot " + sha256.substr(0, 16)));
        return note_training(db, job.row);
    });
}

Status Retraining::run_step(Job& job, std::vector<std::string> command, const std::atomic<bool>& stopping) {
    ChildStep step{std::move(command), folder(job) / "log.txt", p_.settings.training,
                   [&](const std::string& line) { take_line(job, line); }, [&] { return should_wait(job); }};
    return run_child(step, stopping);
}

Status Retraining::train(Job& job, const std::atomic<bool>& stopping) {
    const fs::path out = folder(job) / "model";
    std::error_code ec;
    if (fs::exists(out / "model.json", ec)) return {};  // an earlier attempt got through
    job.row.step = "training";
    SCOPENODE_ASSIGN(const auto row,
                     p_.index.read([&](Connection& db) { return find_snapshot(db, job.row.snapshot); }));
    if (!row) return fail(Code::kInternal, "snapshot {} is not known", job.row.snapshot);
    SCOPENODE_ASSIGN(const auto snapshot, read_snapshot(p_.node / row->path));
    auto counts = count_classes(snapshot);
    Champion base = job.champion;
    if (!job.order.from.empty()) {
        SCOPENODE_ASSIGN(base, p_.index.read([&](Connection& db) {
            return model_to_build_on(db, p_.node, job.order.from);
        }));
    }
    const TrainOrder order = decided(job.order, p_.settings.training, base, counts[Use::kLearn].studies);
    SCOPENODE_TRY(note(job, fmt::format("training: {}", in_words(order))));
    std::vector<std::string> command{p_.program, "train", "run", (p_.node / row->path).string()};
    // The model's own preset with its windows, which need not be one of the program's.
    const fs::path preset = folder(job) / "preset.json";
    if (order.preset == base.preset) {
        SCOPENODE_TRY(write_file(real_files(), preset, base.preset_json));
        command.insert(command.end(), {"--preset", preset.string()});
    } else {
        command.insert(command.end(), {"--preset", order.preset});
    }
    for (const std::string& word : arguments(order, p_.settings.training, base, p_.node))
        command.push_back(word);
    command.insert(command.end(), {"--objects", p_.node.string(), "--out", out.string(), "--resume",
                                   "--progress", "json", "--watch-stdin"});
    return run_step(job, std::move(command), stopping);
}

Status Retraining::take_candidate(Job& job) {
    SCOPENODE_ASSIGN(const auto files, ml::read_model_folder(folder(job) / "model"));
    SCOPENODE_ASSIGN(const auto manifest, ml::parse_manifest(files.manifest_json));
    const std::string id = files.id(), path = "models/" + id;
    std::error_code ec;
    if (!fs::exists(p_.node / path / "model.json", ec))
        SCOPENODE_TRY(ml::write_model_folder(p_.node / path, files));
    job.row.model = id;
    return p_.index.write([&](Connection& db) -> Status {
        const UtcMs now = p_.clock.now();
        SCOPENODE_TRY(add_model(db, {id, files.manifest_sha256(), manifest.name, path, now, false}));
        SCOPENODE_TRY(set_model_training(db, id, job.row.id));
        SCOPENODE_TRY(make_up_epochs(db, job.row.id, files.metrics_json, now));
        SCOPENODE_TRY(add_audit(db, now, "node", "candidate trained", id,
                                fmt::format("retraining job {}", job.row.id)));
        SCOPENODE_TRY(add_training_line(db, job.row.id, now, "candidate " + id));
        return note_training(db, job.row);
    });
}

Status Retraining::judge(Job& job, const std::atomic<bool>& stopping) {
    job.row.step = "judging";
    SCOPENODE_TRY(
        note(job, fmt::format("judging candidate {} against champion {}", job.row.model, job.champion.id)));
    SCOPENODE_ASSIGN(const auto row,
                     p_.index.read([&](Connection& db) { return find_snapshot(db, job.row.snapshot); }));
    if (!row) return fail(Code::kInternal, "snapshot {} is not known", job.row.snapshot);
    const fs::path scores = folder(job) / "scores.json";
    SCOPENODE_TRY(run_step(job,
                           {p_.program, "train", "judge", (p_.node / row->path).string(), "--objects",
                            p_.node.string(), "--champion", (p_.node / job.champion.folder).string(),
                            "--candidate", (p_.node / "models" / job.row.model).string(), "--out",
                            scores.string(), "--device", p_.settings.training.device, "--watch-stdin"},
                           stopping));
    SCOPENODE_ASSIGN(const auto text, read_file(scores));
    SCOPENODE_ASSIGN(const auto input, parse_gate_input(text));
    const Verdict verdict = judge_candidate(input, gate_rules(p_.settings.training));
    SCOPENODE_ASSIGN(const auto snapshot, read_snapshot(p_.node / row->path));
    SCOPENODE_TRY(write_page(job, snapshot, input, verdict));
    job.row.verdict = verdict_json(verdict);
    return p_.index.write([&](Connection& db) -> Status {
        const UtcMs now = p_.clock.now();
        SCOPENODE_TRY(set_model_verdict(db, job.row.model, job.champion.id, verdict.passed, job.row.verdict));
        SCOPENODE_TRY(add_audit(
            db, now, "node", verdict.passed ? "candidate passed the gate" : "candidate refused by the gate",
            job.row.model, verdict.reasons.empty() ? "" : verdict.reasons.front()));
        return note_training(db, job.row);
    });
}

Status Retraining::write_page(const Job& job, const Snapshot& snapshot, const GateInput& input,
                              const Verdict& verdict) {
    SCOPENODE_ASSIGN(const auto text, read_file(p_.node / "models" / job.row.model / "model.json"));
    SCOPENODE_ASSIGN(const auto candidate, ml::parse_manifest(text));
    SCOPENODE_ASSIGN(const auto epochs,
                     p_.index.read([&](Connection& db) { return training_epochs(db, job.row.id); }));
    const TrainingPage page =
        page_of({job.row, job.champion, candidate, snapshot, epochs}, input, verdict, p_.clock.now());
    SCOPENODE_TRY(write_file(real_files(), folder(job) / "report.json", training_page_json(page)));
    return write_file(real_files(), folder(job) / "report.html", training_page(page));
}

Result<bool> Retraining::should_wait(Job& job) {
    const UtcMs now = p_.clock.now();
    if (now >= job.asked && now - job.asked < kAskPauseMs) return job.row.paused;
    job.asked = now;
    bool wait = false;
    SCOPENODE_TRY(p_.index.read([&](Connection& db) -> Result<bool> {
        SCOPENODE_ASSIGN(const auto row, find_training(db, job.row.id));
        if (!row || row->state != "running")
            return fail(Code::kCancelled, "retraining job {} was cancelled", job.row.id);
        SCOPENODE_ASSIGN(wait, studies_wait(db, now));
        return wait;
    }));
    if (wait == job.row.paused) return wait;
    job.row.paused = wait;
    SCOPENODE_TRY(p_.index.write([&](Connection& db) { return note_training(db, job.row); }));
    return wait;
}

void Retraining::take_line(const Job& job, const std::string& line) {
    const json said = json::parse(line, nullptr, false);
    const Status kept = p_.index.write([&](Connection& db) -> Status {
        const UtcMs now = p_.clock.now();
        if (said.is_object() && said.value("event", "") == "epoch" && said.contains("epoch"))
            return put_training_epoch(db, job.row.id, {said["epoch"].get<int>(), now, line});
        return add_training_line(db, job.row.id, now, line);
    });
    if (!kept)
        log::warning(kRoom, "a line of retraining job {} is lost: {}", job.row.id, kept.error().message);
}

Status Retraining::note(const Job& job, const std::string& line) {
    log::info(kRoom, "retraining job {}: {}", job.row.id, line);
    return p_.index.write([&](Connection& db) -> Status {
        SCOPENODE_TRY(add_training_line(db, job.row.id, p_.clock.now(), line));
        return note_training(db, job.row);
    });
}

Status Retraining::end(Job& job, const Status& done) {
    const UtcMs now = p_.clock.now();
    TrainingRow& row = job.row;
    row.ended = now;
    row.next = now;
    row.state = done ? "done" : "failed";
    if (!done) {
        row.last_error = done.error().message;
        const bool passing = done.error().retryable() && row.attempts < kMostAttempts;
        if (passing) {
            row.state = "queued";
            row.ended.reset();
            row.next = now + pause_before(row.attempts, kFirstPauseMs, kLongestPauseMs);
        }
        if (done.error().code == Code::kCancelled)
            log::info(kRoom, "{}", row.last_error);
        else
            log::error(kRoom, "retraining job {}: {}{}", row.id, row.last_error,
                       passing ? "; tried again later" : "");
    }
    return p_.index.write([&](Connection& db) -> Status {
        const Status ended = end_training(db, row);
        if (!ended && ended.error().code == Code::kCancelled) return {};  // a person was faster
        SCOPENODE_TRY(ended);
        return add_training_line(db, row.id, now, done ? "done" : row.last_error);
    });
}

}  // namespace scopenode::workflows
