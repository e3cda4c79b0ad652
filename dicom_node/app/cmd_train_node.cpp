#include <charconv>
#include <chrono>
#include <thread>

#include "base/core/files.h"
#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "dicom_node/app/stdin_watch.h"
#include "dicom_node/control/control.h"
#include "ml/model.h"
#include "workflows/training/judge.h"
#include "workflows/training/retraining.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string node, preset, from, depth;
    std::string epochs, learning_rate, seed;
    std::int64_t id = 0;
    bool wait = false, json = false;
    std::string snapshot, objects, champion, candidate, out, device = "auto";
    bool watch_stdin = false;
};

Result<storage::TrainingRow> row_of(const fs::path& node, std::int64_t id) {
    const SystemClock clock;
    SCOPENODE_ASSIGN(const auto index, open_reader(node, clock));
    SCOPENODE_ASSIGN(const auto row,
                     index->read([&](storage::Connection& db) { return storage::find_training(db, id); }));
    if (!row) return fail(Code::kNotFound, "no retraining job {}", id);
    return *row;
}

/// Whether a node serves this folder: it holds the lock all the time, other commands for a moment. What a
/// killed node has left says nothing.
bool is_served(const fs::path& node) {
    for (int i = 0; i < 10; ++i) {
        const auto lock = NodeLock::take(node);
        if (lock || lock.error().code != Code::kInUse) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
}

/// Follows a job to its end.
Result<std::string> wait_for(const fs::path& node, std::int64_t id) {
    std::string said;
    int looks = 0;
    while (true) {
        SCOPENODE_ASSIGN(const auto row, row_of(node, id));
        if (++looks % 10 == 0 && !is_served(node))
            return fail(Code::kPeerUnavailable, "the node has ended: job {} goes on when it serves again",
                        id);
        if (row.state != "queued" && row.state != "running") {
            const SystemClock clock;
            SCOPENODE_ASSIGN(const auto index, open_reader(node, clock));
            SCOPENODE_ASSIGN(const auto text, workflows::training_show(*index, id, false));
            if (row.state == "done") return text;
            return fail(Code::kInternal, "retraining job {} {}: {}", id, row.state, row.last_error);
        }
        const std::string now = row.paused              ? "waits for studies"
                                : row.state == "queued" ? "queued"
                                                        : row.step;
        if (now != said) fmt::print(stderr, "retraining job {}: {}\n", id, now);
        said = now;
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
}

Result<std::string> start(const Options& o) {
    const fs::path node = node_folder(o.node);
    std::vector<std::string> words{"train", "start"};
    for (const auto& [option, value] : {std::pair{"--preset", o.preset},
                                        {"--from", o.from},
                                        {"--depth", o.depth},
                                        {"--epochs", o.epochs},
                                        {"--learning-rate", o.learning_rate},
                                        {"--seed", o.seed}})
        if (!value.empty()) words.insert(words.end(), {option, value});
    const bool served = is_served(node);
    if (o.wait && !served)
        return fail(Code::kNotFound, "no node runs in {}: jobs are done by `scopenode serve`", node.string());
    SCOPENODE_ASSIGN(const auto text, run_writing(node, words));
    if (!o.wait) return served ? text : text + "\nno node runs: the job begins when one serves";
    fmt::print("{}\n", text);
    std::fflush(stdout);
    std::int64_t id = 0;
    const std::string digits = text.substr(text.find("job ") + 4);
    std::from_chars(digits.data(), digits.data() + digits.size(), id);
    return wait_for(node, id);
}

/// The judging step of a retraining job: scores held out and golden studies by both models.
Result<std::string> judge(const Options& o) {
    if (o.watch_stdin) end_with_stdin();
    SCOPENODE_ASSIGN(const auto snapshot, workflows::read_snapshot(o.snapshot));
    SCOPENODE_ASSIGN(const auto a, ml::read_model_folder(o.champion));
    SCOPENODE_ASSIGN(const auto b, ml::read_model_folder(o.candidate));
    SCOPENODE_ASSIGN(const auto champion, ml::Model::load(a, {o.device, 1, 8}));
    SCOPENODE_ASSIGN(const auto candidate, ml::Model::load(b, {o.device, 1, 8}));
    SCOPENODE_ASSIGN(const auto input, workflows::score_both(snapshot, o.objects, *champion, *candidate));
    SCOPENODE_TRY(write_file(real_files(), o.out, workflows::gate_input_json(input)));
    return fmt::format("{} held out and {} golden studies judged", input.newest.size(), input.golden.size());
}

template <class Reader>
int read(const std::string& node, const Reader& reader) {
    const SystemClock clock;
    const auto index = open_reader(node_folder(node), clock);
    return index ? print(reader(**index)) : report(index.error());
}

void add_start(CLI::App& group, const std::shared_ptr<Options>& o, int& exit_code) {
    CLI::App* command =
        group.add_subcommand("start", "A retraining job of the node: snapshot, training, gate");
    command->add_option("--preset", o->preset, "Another than the champion's: trained from nothing");
    command->add_option("--from", o->from,
                        "Id of the registered model to fine-tune (default: the one that serves)");
    command->add_option("--depth", o->depth, "What learns (default: training.depth of node.json)")
        ->check(CLI::IsMember({"auto", "calibration", "head", "encoder", "all"}));
    command->add_option("--epochs", o->epochs, "Passes over the data")->check(CLI::Range(1, 1000));
    command->add_option("--learning-rate", o->learning_rate, "Highest, after warm-up, at most 1");
    command->add_option("--seed", o->seed, "Of order and augmentation");
    command->add_flag("--wait", o->wait, "Return when the job has ended");
    add_node_option(*command, o->node);
    command->callback([o, &exit_code] { exit_code = print(start(*o)); });
}

void add_judge(CLI::App& group, const std::shared_ptr<Options>& o, int& exit_code) {
    CLI::App* command = group.add_subcommand("judge", "A step of a retraining job");
    command->group("");  // the node starts it
    command->add_option("SNAPSHOT", o->snapshot)->required();
    command->add_option("--objects", o->objects)->required();
    command->add_option("--champion", o->champion)->required();
    command->add_option("--candidate", o->candidate)->required();
    command->add_option("--out", o->out)->required();
    command->add_option("--device", o->device);
    command->add_flag("--watch-stdin", o->watch_stdin);
    command->callback([o, &exit_code] { exit_code = print(judge(*o)); });
}

}  // namespace

void add_train_node_commands(CLI::App& group, int& exit_code) {
    auto o = std::make_shared<Options>();
    add_start(group, o, exit_code);
    CLI::App* list = group.add_subcommand("list", "Retraining jobs, newest first");
    list->add_flag("--json", o->json, "As JSON");
    CLI::App* show = group.add_subcommand("show", "A job: counts, epochs, log, verdict");
    show->add_flag("--json", o->json, "As JSON");
    CLI::App* cancel = group.add_subcommand("cancel", "Ends a job; the champion serves on");
    CLI::App* resume = group.add_subcommand("resume", "Goes on with a cancelled or failed job");
    for (CLI::App* command : {show, cancel, resume})
        command->add_option("ID", o->id, "Number of the job")
            ->required()
            ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40));
    for (CLI::App* command : {list, show, cancel, resume}) add_node_option(*command, o->node);
    list->callback([o, &exit_code] {
        exit_code = read(o->node, [&](auto& index) { return workflows::trainings_list(index, o->json); });
    });
    show->callback([o, &exit_code] {
        exit_code =
            read(o->node, [&](auto& index) { return workflows::training_show(index, o->id, o->json); });
    });
    for (CLI::App* command : {cancel, resume})
        command->callback([o, command, &exit_code] {
            exit_code = print(
                run_writing(node_folder(o->node), {"train", command->get_name(), std::to_string(o->id)}));
        });
    add_judge(group, o, exit_code);
}

}  // namespace scopenode::dicom_node
