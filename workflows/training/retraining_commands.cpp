#include <charconv>
#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "ml/manifest.h"
#include "storage/index/audit.h"
#include "storage/index/labels.h"
#include "storage/index/models.h"
#include "workflows/slice_scorer.h"
#include "workflows/training/gate.h"
#include "workflows/training/options.h"
#include "workflows/training/retraining.h"

namespace scopenode::workflows {
namespace {

using namespace storage;
using nlohmann::json;
using nlohmann::ordered_json;

template <class T>
Result<T> number(const std::string& option, const std::string& text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value > T(0)))
        return fail(Code::kInvalidArgument, "{} needs a number above 0, not '{}'", option, text);
    return value;
}

Result<TrainOrder> order_of(std::span<const std::string> words) {
    TrainOrder order;
    order.reason = "command";
    for (std::size_t i = 0; i < words.size(); i += 2) {
        const std::string& option = words[i];
        if (i + 1 >= words.size()) return fail(Code::kInvalidArgument, "{} needs a value", option);
        const std::string& value = words[i + 1];
        if (option == "--preset") {
            SCOPENODE_ASSIGN(const auto preset, ml::find_preset(value));
            order.preset = preset.name;
        } else if (option == "--from") {
            order.from = value;
        } else if (option == "--depth") {
            order.depth = value;
        } else if (option == "--epochs") {
            SCOPENODE_ASSIGN(order.epochs, number<int>(option, value));
        } else if (option == "--learning-rate") {
            SCOPENODE_ASSIGN(order.learning_rate, number<double>(option, value));
            if (*order.learning_rate > 1)
                return fail(Code::kInvalidArgument, "--learning-rate is at most 1, not {}", value);
        } else if (option == "--seed") {
            SCOPENODE_ASSIGN(order.seed, number<std::uint64_t>(option, value));
        } else {
            return fail(Code::kInvalidArgument, "train start does not know '{}'", option);
        }
    }
    return order;
}

Result<Snapshot> plan(Connection& db, const config::Settings& settings, const std::filesystem::path& node) {
    SCOPENODE_ASSIGN(const auto champion, serving_champion(db, node));
    return plan_snapshot(db, snapshot_parts(settings, champion));
}

Result<std::string> start_job(Connection& db, const config::Settings& settings,
                              const std::filesystem::path& node, UtcMs now, const std::string& by,
                              std::span<const std::string> words) {
    SCOPENODE_ASSIGN(auto order, order_of(words));
    if (!order.from.empty()) {
        SCOPENODE_ASSIGN([[maybe_unused]] const auto there, model_to_build_on(db, node, order.from));
    }
    SCOPENODE_ASSIGN(const auto snapshot, plan(db, settings, node));
    order.studies_then = static_cast<int>(snapshot.studies.size());
    const std::string counts = counts_table(snapshot);
    if (const auto why = too_little(snapshot, settings.training.fewest_studies); !why.empty())
        return fail(Code::kConflict, "too little to learn from: {}\n{}", why, counts);
    SCOPENODE_ASSIGN(const auto id, add_training(db, order_json(order), by, now));
    SCOPENODE_TRY(add_audit(db, now, by, "retraining started", std::to_string(id)));
    return fmt::format("retraining job {} is queued\n{}", id, counts);
}

ordered_json training_json(const TrainingRow& row) {
    const auto time = [](const std::optional<UtcMs>& t) {
        return t ? ordered_json(iso8601(*t)) : ordered_json();
    };
    return {{"id", row.id},
            {"state", row.state},
            {"step", row.step},
            {"paused", row.paused},
            {"requested_by", row.requested_by},
            {"options", json::parse(row.options, nullptr, false)},
            {"created", iso8601(row.created)},
            {"started", time(row.started)},
            {"ended", time(row.ended)},
            {"attempts", row.attempts},
            {"snapshot", row.snapshot},
            {"model", row.model},
            {"last_error", row.last_error}};
}

std::string outcome(const TrainingRow& row) {
    if (row.state != "done") return row.last_error;
    const auto verdict = parse_verdict(row.verdict);
    if (!verdict) return "";
    return verdict->passed ? "passed the gate" : "refused by the gate: " + verdict->reasons.front();
}

std::string line_of(const TrainingRow& row) {
    return fmt::format("{}  {}{}{}  {}  {}  {}", row.id, row.state,
                       row.state == "running" ? " (" + row.step + ")" : "",
                       row.paused ? ", waits for studies" : "", iso8601(row.created),
                       row.model.empty() ? "-" : row.model, outcome(row));
}

std::string epoch_line(const TrainingEpochRow& row) {
    const json said = json::parse(row.report, nullptr, false);
    const auto value = [&](const char* key) {
        return said.contains(key) && said[key].is_number() ? fmt::format("{:.4f}", said[key].get<double>())
                                                           : std::string("-");
    };
    return fmt::format("  epoch {}: loss {}, validation loss {}", row.epoch, value("train_loss"),
                       value("validation_loss"));
}

}  // namespace

Result<Champion> serving_champion(Connection& db, const std::filesystem::path& node) {
    SCOPENODE_ASSIGN(const auto row, champion(db));
    if (!row) return fail(Code::kNotFound, "no model serves in {}", node.string());
    return model_to_build_on(db, node, row->id);
}

Result<Champion> model_to_build_on(Connection& db, const std::filesystem::path& node, const std::string& id) {
    SCOPENODE_ASSIGN(const auto row, find_model(db, id));
    if (!row) return fail(Code::kNotFound, "no model {}: `scopenode models list` names them", id);
    SCOPENODE_ASSIGN(const auto text, read_file(node / row->path / "model.json"));
    SCOPENODE_ASSIGN(const auto manifest, ml::parse_manifest(text));
    Champion out{row->id,       row->sha256,      row->path, manifest.demonstration, manifest.preset.name,
                 manifest.name, manifest.version, {}};
    out.preset_json = ml::preset_json(manifest.preset);
    if (!row->training) return out;
    SCOPENODE_ASSIGN(const auto job, find_training(db, *row->training));
    if (!job) return out;
    SCOPENODE_ASSIGN(const auto kept, find_snapshot(db, job->snapshot));
    if (!kept) return out;
    SCOPENODE_ASSIGN(const auto snapshot, read_snapshot(node / kept->path));
    for (const SnapshotStudy& study : snapshot.studies)
        if (study.use == Use::kLearn) out.learnt_before.push_back(study.study_uid);
    return out;
}

SnapshotParts snapshot_parts(const config::Settings& settings, const Champion& champion) {
    return {settings.training,
            champion.id,
            score_key(champion.sha256, settings),
            champion.demonstration,
            settings.inference.rsna_rescale_quirk,
            champion.learnt_before};
}

Result<std::string> run_train_command(Connection& db, const config::Settings& settings,
                                      const std::filesystem::path& node, UtcMs now, const std::string& by,
                                      std::span<const std::string> words) {
    if (!words.empty() && words[0] == "start")
        return start_job(db, settings, node, now, by, words.subspan(1));
    if (words.size() != 2 || (words[0] != "cancel" && words[0] != "resume"))
        return fail(Code::kInvalidArgument, "no such command: train {}", fmt::join(words, " "));
    SCOPENODE_ASSIGN(const auto id, number<std::int64_t>("train " + words[0], words[1]));
    const bool cancels = words[0] == "cancel";
    SCOPENODE_TRY(cancels ? cancel_training(db, id, now) : resume_training(db, id, now));
    SCOPENODE_TRY(add_training_line(db, id, now, cancels ? "cancelled" : "resumed"));
    SCOPENODE_TRY(add_audit(db, now, by, cancels ? "retraining cancelled" : "retraining resumed", words[1]));
    return fmt::format("retraining job {} is {}", id,
                       cancels ? "cancelled; `scopenode train resume` goes on" : "queued");
}

Status start_by_rule(Connection& db, const config::Settings& settings, const std::filesystem::path& node,
                     UtcMs now) {
    const auto& rules = settings.training;
    if (!has_start_rule(rules)) return {};
    SCOPENODE_ASSIGN(const auto jobs, list_trainings(db));
    for (const TrainingRow& job : jobs)
        if (job.state == "queued" || job.state == "running") return {};
    // Cheap questions first: nothing was labelled, or not enough days are over.
    SCOPENODE_ASSIGN(const UtcMs newest, newest_label(db));
    if (newest == 0 || (!jobs.empty() && newest <= jobs.front().created)) return {};
    const UtcMs pause = UtcMs(rules.start_every_days) * 24 * 60 * 60 * 1000;
    const bool time = pause > 0 && (jobs.empty() || now - jobs.front().created >= pause);
    if (!time && rules.start_after_labels <= 0) return {};
    SCOPENODE_ASSIGN(const auto snapshot, plan(db, settings, node));
    int known = 0;
    if (!jobs.empty()) {
        SCOPENODE_ASSIGN(const auto order, parse_order(jobs.front().options));
        known = order.studies_then;
    }
    const int all = static_cast<int>(snapshot.studies.size()), fresh = all - known;
    const bool enough = rules.start_after_labels > 0 && fresh >= rules.start_after_labels;
    if ((!enough && !time) || !too_little(snapshot, rules.fewest_studies).empty()) return {};
    TrainOrder order;
    order.reason = enough         ? fmt::format("{} studies labelled since the last job", fresh)
                   : jobs.empty() ? "labels and no job yet"
                                  : fmt::format("labels since the last job, {} days ago",
                                                (now - jobs.front().created) / (24LL * 60 * 60 * 1000));
    order.studies_then = all;
    SCOPENODE_ASSIGN(const auto id, add_training(db, order_json(order), "rule", now));
    return add_audit(db, now, "rule", "retraining started", std::to_string(id), order.reason);
}

Result<std::string> trainings_list(Index& index, bool as_json) {
    SCOPENODE_ASSIGN(const auto rows, index.read(list_trainings));
    ordered_json all = ordered_json::array();
    std::string text;
    for (const TrainingRow& row : rows) {
        all.push_back(training_json(row));
        all.back()["outcome"] = outcome(row);
        text += (text.empty() ? "" : "\n") + line_of(row);
    }
    if (as_json) return ordered_json{{"trainings", all}}.dump(2);
    return text.empty() ? "no retraining job yet" : text;
}

Result<std::string> training_show(Index& index, std::int64_t id, bool as_json) {
    return index.read([&](Connection& db) -> Result<std::string> {
        SCOPENODE_ASSIGN(const auto row, find_training(db, id));
        if (!row) return fail(Code::kNotFound, "no retraining job {}: `scopenode train list` names them", id);
        SCOPENODE_ASSIGN(const auto epochs, training_epochs(db, id));
        SCOPENODE_ASSIGN(const auto lines, training_lines(db, id, 1000));
        SCOPENODE_ASSIGN(const auto snapshot, find_snapshot(db, row->snapshot));
        if (as_json) {
            ordered_json out = training_json(*row);
            out["verdict"] = row->verdict.empty() ? json() : json::parse(row->verdict, nullptr, false);
            out["counts"] = snapshot ? snapshot->summary : "";
            out["epochs"] = ordered_json::array();
            for (const auto& epoch : epochs)
                out["epochs"].push_back(ordered_json::parse(epoch.report, nullptr, false));
            out["log"] = ordered_json::array();
            for (const auto& [time, line] : lines)
                out["log"].push_back({{"time", iso8601(time)}, {"line", line}});
            return out.dump(2);
        }
        std::string text = line_of(*row) + "\n";
        if (snapshot) text += snapshot->summary + "\n";
        for (const auto& epoch : epochs) text += epoch_line(epoch) + "\n";
        for (const auto& [time, line] : lines) text += fmt::format("{}  {}\n", iso8601(time), line);
        if (const auto verdict = parse_verdict(row->verdict)) text += verdict_table(*verdict);
        return text;
    });
}

}  // namespace scopenode::workflows
