#include <nlohmann/json.hpp>

#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "storage/index/catalog.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;

Result<std::string> stats(const fs::path& node, bool json) {
    const SystemClock clock;
    SCOPENODE_ASSIGN(const auto index, open_reader(node, clock));
    SCOPENODE_ASSIGN(const auto t, index->read([](storage::Connection& db) { return storage::totals(db); }));
    if (json)
        return nlohmann::ordered_json{{"studies", t.studies},
                                      {"series", t.series},
                                      {"instances", t.instances},
                                      {"bytes", t.bytes},
                                      {"quarantined", t.quarantined}}
            .dump(2);
    return fmt::format("{} studies, {} series, {} instances, {:.1f} MB, {} in quarantine", t.studies,
                       t.series, t.instances, static_cast<double>(t.bytes) / 1e6, t.quarantined);
}

}  // namespace

void add_archive_command(CLI::App& app, int& exit_code) {
    struct Options {
        std::string node, file;
        bool json = false;
    };
    CLI::App* group = app.add_subcommand("archive", "The objects and their index")->require_subcommand(1);
    auto o = std::make_shared<Options>();
    CLI::App* verify =
        group->add_subcommand("verify", "Every object on disk against the index: size and sha256");
    add_node_option(*verify, o->node);
    verify->callback([o, &exit_code] {
        exit_code = print(run_writing(node_folder(o->node), {"archive", "verify"}));
    });
    CLI::App* backup = group->add_subcommand("backup", "Copy the index while it is in use");
    backup->add_option("FILE", o->file, "A new file")->required();
    add_node_option(*backup, o->node);
    backup->callback([o, &exit_code] {
        // The node that copies may run in another folder.
        exit_code =
            print(run_writing(node_folder(o->node), {"archive", "backup", fs::absolute(o->file).string()}));
    });
    CLI::App* numbers = group->add_subcommand("stats", "How much there is");
    numbers->add_flag("--json", o->json, "As JSON");
    add_node_option(*numbers, o->node);
    numbers->callback([o, &exit_code] { exit_code = print(stats(node_folder(o->node), o->json)); });
}

}  // namespace scopenode::dicom_node
