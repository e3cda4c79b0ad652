#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "workflows/node.h"

namespace scopenode::dicom_node {
namespace {

struct Options {
    std::string node, uid;
    bool json = false;
};

using Reader = Result<std::string> (*)(storage::Index&, const std::string&, bool);

int read(const Options& o, Reader reader) {
    const SystemClock clock;
    const auto index = open_reader(node_folder(o.node), clock);
    return index ? print(reader(**index, o.uid, o.json)) : report(index.error());
}

void add_reprocess(CLI::App& group, int& exit_code) {
    struct Wish {
        std::string node, uid, model;
        bool keep = false, force = false;
    };
    auto o = std::make_shared<Wish>();
    CLI::App* command = group.add_subcommand("reprocess", "Analyse again, as a new revision");
    command->add_option("UID", o->uid, "Study Instance UID")->required();
    command->add_option("--model", o->model, "By this registered model instead of the one that serves");
    command->add_flag("--no-send", o->keep, "Keep the result here");
    command->add_flag("--force", o->force, "Although slices, settings and model are the same");
    add_node_option(*command, o->node);
    command->callback([o, &exit_code] {
        std::vector<std::string> words{"studies", "reprocess", o->uid};
        if (!o->model.empty()) words.insert(words.end(), {"--model", o->model});
        if (o->keep) words.push_back("--no-send");
        if (o->force) words.push_back("--force");
        exit_code = print(run_writing(node_folder(o->node), words));
    });
}

}  // namespace

void add_studies_command(CLI::App& app, int& exit_code) {
    CLI::App* group = app.add_subcommand("studies", "Worklist, results and reasons")->require_subcommand(1);
    auto o = std::make_shared<Options>();
    const auto reading = [&](const char* name, const char* what, bool with_uid, Reader reader) {
        CLI::App* command = group->add_subcommand(name, what);
        if (with_uid) command->add_option("UID", o->uid, "Study Instance UID")->required();
        command->add_flag("--json", o->json, "As JSON");
        add_node_option(*command, o->node);
        command->callback([o, reader, &exit_code] { exit_code = read(*o, reader); });
    };
    const auto writing = [&](const std::string& name, const char* what) {
        CLI::App* command = group->add_subcommand(name, what);
        command->add_option("UID", o->uid, "Study Instance UID")->required();
        add_node_option(*command, o->node);
        command->callback([o, name, &exit_code] {
            exit_code = print(run_writing(node_folder(o->node), {"studies", name, o->uid}));
        });
    };
    reading("list", "All studies, newest first", false,
            [](storage::Index& index, const std::string&, bool json) {
                return workflows::studies_list(index, json);
            });
    reading("show", "A study's results and deliveries", true, workflows::studies_show);
    reading("why", "Which series was read, why others were not, what failed", true, workflows::studies_why);
    writing("complete", "Do not wait for the quiet time");
    writing("stat", "Before routine studies");
    add_reprocess(*group, exit_code);
}

}  // namespace scopenode::dicom_node
