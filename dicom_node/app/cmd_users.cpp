#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "workflows/training/promotion.h"

namespace scopenode::dicom_node {

void add_users_command(CLI::App& app, int& exit_code) {
    struct Options {
        std::string node, name, role;
        bool json = false;
    };
    CLI::App* group = app.add_subcommand("users", "People and what they may do")->require_subcommand(1);
    auto o = std::make_shared<Options>();
    CLI::App* add = group->add_subcommand("add", "A person");
    add->add_option("NAME", o->name, "The name that stands in records")->required();
    add->add_option("--role", o->role, "admin approves models; radiologist reads and corrects")
        ->required()
        ->check(CLI::IsMember({"radiologist", "admin"}));
    add_node_option(*add, o->node);
    add->callback([o, &exit_code] {
        exit_code = print(run_writing(
            node_folder(o->node), {"users", "add", o->name, "--role", o->role, "--account", account_name()}));
    });
    CLI::App* disable =
        group->add_subcommand("disable", "Takes a person's rights; what the person did stays");
    disable->add_option("NAME", o->name, "The person")->required();
    add_node_option(*disable, o->node);
    disable->callback([o, &exit_code] {
        exit_code = print(
            run_writing(node_folder(o->node), {"users", "disable", o->name, "--account", account_name()}));
    });
    CLI::App* list = group->add_subcommand("list", "All of them");
    list->add_flag("--json", o->json, "As JSON");
    add_node_option(*list, o->node);
    list->callback([o, &exit_code] {
        const SystemClock clock;
        const auto index = open_reader(node_folder(o->node), clock);
        exit_code = index ? print(workflows::users_list(**index, o->json)) : report(index.error());
    });
}

}  // namespace scopenode::dicom_node
