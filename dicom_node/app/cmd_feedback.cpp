#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "workflows/feedback/feedback.h"

namespace scopenode::dicom_node {

void add_feedback_command(CLI::App& app, int& exit_code) {
    struct Options {
        std::string node, what;
        storage::FeedbackFilter filter;
        bool json = false;
    };
    CLI::App* group =
        app.add_subcommand("feedback", "Reports by which people answer results")->require_subcommand(1);
    auto o = std::make_shared<Options>();
    CLI::App* list = group->add_subcommand("list", "Answers, newest first");
    list->add_option("--state", o->filter.state, "Only these")
        ->check(CLI::IsMember({"complete", "pending", "unmatched", "superseded"}));
    list->add_option("--study", o->filter.study_uid, "Only those about this Study Instance UID");
    list->add_flag("--json", o->json, "As JSON");
    add_node_option(*list, o->node);
    list->callback([o, &exit_code] {
        const SystemClock clock;
        const auto index = open_reader(node_folder(o->node), clock);
        exit_code =
            index ? print(workflows::feedback_list(**index, o->filter, o->json)) : report(index.error());
    });
    CLI::App* show = group->add_subcommand("show", "All that an answer says");
    show->add_option("ID", o->what, "Its number or SOP Instance UID")->required();
    show->add_flag("--json", o->json, "As JSON");
    add_node_option(*show, o->node);
    show->callback([o, &exit_code] {
        const SystemClock clock;
        const auto index = open_reader(node_folder(o->node), clock);
        exit_code =
            index ? print(workflows::feedback_show(**index, o->what, o->json)) : report(index.error());
    });
}

}  // namespace scopenode::dicom_node
