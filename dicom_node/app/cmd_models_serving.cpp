#include <nlohmann/json.hpp>

#include "base/core/ids.h"
#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "ml/model.h"
#include "storage/index/models.h"
#include "workflows/training/judge.h"
#include "workflows/training/promotion.h"
#include "workflows/training/retraining.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string node, id, other, by, device = "auto";
    bool json = false, record = false;
};

Result<std::string> switch_model(const Options& o, std::vector<std::string> words) {
    if (!o.by.empty()) words.insert(words.end(), {"--by", o.by});
    words.insert(words.end(), {"--account", account_name()});
    return run_writing(node_folder(o.node), words);
}

/// Both models on what the node holds out, by the rules of its gate.
Result<std::string> compare(const Options& o) {
    const SystemClock clock;
    const fs::path node = node_folder(o.node);
    SCOPENODE_ASSIGN(const auto settings, config::load_settings(node));
    workflows::Verdict verdict;
    {
        SCOPENODE_ASSIGN(const auto index, open_reader(node, clock));
        SCOPENODE_ASSIGN(const auto a, registered_model(*index, node, o.id));
        SCOPENODE_ASSIGN(const auto b, registered_model(*index, node, o.other));
        SCOPENODE_ASSIGN(
            auto snapshot, index->read([&](storage::Connection& db) -> Result<workflows::Snapshot> {
                SCOPENODE_ASSIGN(const auto champion, workflows::serving_champion(db, node));
                return workflows::plan_snapshot(db, workflows::snapshot_parts(settings, champion));
            }));
        SCOPENODE_TRY(
            workflows::complete_snapshot(snapshot, [&](const std::string& path) { return node / path; }));
        SCOPENODE_ASSIGN(const auto champion, ml::Model::load(a, {o.device, settings.training.threads, 8}));
        SCOPENODE_ASSIGN(const auto candidate, ml::Model::load(b, {o.device, settings.training.threads, 8}));
        SCOPENODE_ASSIGN(const auto input, workflows::score_both(snapshot, node, *champion, *candidate));
        verdict = workflows::judge_candidate(input, workflows::gate_rules(settings.training));
    }
    const std::string json = workflows::verdict_json(verdict);
    if (o.record) {
        const TemporaryFolder folder;
        const fs::path file = folder.path() / "verdict.json";
        SCOPENODE_TRY(write_file(real_files(), file, json));
        SCOPENODE_ASSIGN([[maybe_unused]] const auto kept,
                         run_writing(node, {"models", "verdict", o.other, o.id, file.string()}));
    }
    return o.json ? json : workflows::verdict_table(verdict);
}

void add_shadow(CLI::App& group, const std::shared_ptr<Options>& o, int& exit_code) {
    CLI::App* shadow = group.add_subcommand("shadow", "A candidate beside the champion, sending nothing")
                           ->require_subcommand(1);
    CLI::App* start = shadow->add_subcommand("start", "From the next study on");
    start->add_option("ID", o->id, "Id of a registered model")->required();
    CLI::App* stop = shadow->add_subcommand("stop", "No model in the shadow");
    CLI::App* list = shadow->add_subcommand("list", "What it would have said, disagreements first");
    list->add_option("ID", o->id, "Id of the model")->required();
    list->add_flag("--json", o->json, "As JSON");
    for (CLI::App* command : {start, stop, list}) add_node_option(*command, o->node);
    start->callback([o, &exit_code] { exit_code = print(switch_model(*o, {"models", "shadow", o->id})); });
    stop->callback([o, &exit_code] { exit_code = print(switch_model(*o, {"models", "shadow", "off"})); });
    list->callback([o, &exit_code] {
        const SystemClock clock;
        const auto index = open_reader(node_folder(o->node), clock);
        exit_code = index ? print(workflows::shadow_list(**index, o->id, o->json)) : report(index.error());
    });
}

}  // namespace

void add_models_serving_commands(CLI::App& group, int& exit_code) {
    auto o = std::make_shared<Options>();
    CLI::App* judge = group.add_subcommand("compare", "Two models on the studies that no training sees");
    judge->add_option("A", o->id, "Id of a registered model, as the champion's")->required();
    judge->add_option("B", o->other, "Id of another: is it better?")->required();
    judge->add_option("--device", o->device, "auto, cpu or cuda:N")->capture_default_str();
    judge->add_flag("--record", o->record, "Keep it as the gate's verdict on B");
    judge->add_flag("--json", o->json, "As JSON");
    add_node_option(*judge, o->node);
    judge->callback([o, &exit_code] { exit_code = print(compare(*o)); });

    CLI::App* approve = group.add_subcommand("approve", "Lets a model serve that has passed the gate");
    approve->add_option("ID", o->id, "Id of the candidate")->required();
    approve->add_option("--by", o->by, "Name of an active administrator (`scopenode users`)")->required();
    add_node_option(*approve, o->node);
    approve->callback([o, &exit_code] { exit_code = print(switch_model(*o, {"models", "approve", o->id})); });

    CLI::App* rollback = group.add_subcommand("rollback", "Takes the newest approval back");
    rollback->add_option("--by", o->by, "Name of an active administrator");
    add_node_option(*rollback, o->node);
    rollback->callback([o, &exit_code] { exit_code = print(switch_model(*o, {"models", "rollback"})); });
    add_shadow(group, o, exit_code);
}

}  // namespace scopenode::dicom_node
