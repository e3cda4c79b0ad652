#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "workflows/node.h"

namespace scopenode::dicom_node {

void add_outbox_command(CLI::App& app, int& exit_code) {
    struct Options {
        std::string node, state;
        std::int64_t id = 0;
        bool json = false;
    };
    CLI::App* group = app.add_subcommand("outbox", "The deliveries of results")->require_subcommand(1);
    auto o = std::make_shared<Options>();
    CLI::App* list = group->add_subcommand("list", "Deliveries, newest first");
    list->add_option("--state", o->state, "Only these")
        ->check(CLI::IsMember({"waiting", "sent", "refused", "superseded"}));
    list->add_flag("--json", o->json, "As JSON");
    add_node_option(*list, o->node);
    list->callback([o, &exit_code] {
        const SystemClock clock;
        const auto index = open_reader(node_folder(o->node), clock);
        exit_code = index ? print(workflows::outbox_list(**index, o->state, o->json)) : report(index.error());
    });
    CLI::App* retry = group->add_subcommand("retry", "Deliver again now");
    retry->add_option("ID", o->id, "Number of the delivery")->required();
    add_node_option(*retry, o->node);
    retry->callback([o, &exit_code] {
        exit_code = print(run_writing(node_folder(o->node), {"outbox", "retry", std::to_string(o->id)}));
    });
}

}  // namespace scopenode::dicom_node
