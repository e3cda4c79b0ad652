#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "workflows/node.h"

namespace scopenode::dicom_node {
namespace {

struct Options {
    std::string node, state;
    std::int64_t id = 0;
    bool json = false;
};

}  // namespace

void add_jobs_command(CLI::App& app, int& exit_code) {
    CLI::App* group = app.add_subcommand("jobs", "The queue of work")->require_subcommand(1);
    auto o = std::make_shared<Options>();
    CLI::App* list = group->add_subcommand("list", "Jobs, newest first");
    list->add_option("--state", o->state, "Only these")
        ->check(CLI::IsMember({"queued", "running", "done", "failed", "cancelled"}));
    list->add_flag("--json", o->json, "As JSON");
    add_node_option(*list, o->node);
    list->callback([o, &exit_code] {
        const SystemClock clock;
        const auto index = open_reader(node_folder(o->node), clock);
        exit_code = index ? print(workflows::jobs_list(**index, o->state, o->json)) : report(index.error());
    });
    CLI::App* show = group->add_subcommand("show", "One job");
    show->add_option("ID", o->id, "Number of the job")->required();
    show->add_flag("--json", o->json, "As JSON");
    add_node_option(*show, o->node);
    show->callback([o, &exit_code] {
        const SystemClock clock;
        const auto index = open_reader(node_folder(o->node), clock);
        exit_code = index ? print(workflows::jobs_show(**index, o->id, o->json)) : report(index.error());
    });
    for (const std::string name : {"retry", "cancel"}) {
        CLI::App* command = group->add_subcommand(
            name, name == "retry" ? "Queue a failed job (a dead letter) or a cancelled one again"
                                  : "Take a queued job out, or end a running one");
        command->add_option("ID", o->id, "Number of the job")->required();
        add_node_option(*command, o->node);
        command->callback([o, name, &exit_code] {
            exit_code = print(run_writing(node_folder(o->node), {"jobs", name, std::to_string(o->id)}));
        });
    }
}

}  // namespace scopenode::dicom_node
