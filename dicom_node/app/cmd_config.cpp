#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "config/settings.h"
#include "dicom_node/app/commands.h"

namespace scopenode::dicom_node {
namespace {

int check(const std::filesystem::path& dir, bool json) {
    const auto file = dir / "node.json";
    const auto text = read_file(file);
    if (!text)
        return report({text.error().code, text.error().message + ": `scopenode init` makes a node folder"});
    const config::Checked checked = config::check_settings(*text);
    if (json) {
        nlohmann::ordered_json list = nlohmann::ordered_json::array();
        for (const auto& fault : checked.faults)
            list.push_back({{"pointer", fault.pointer}, {"text", fault.text}});
        fmt::print("{}\n", nlohmann::ordered_json{{"faults", list}}.dump(2));
        return checked.faults.empty() ? 0 : 1;
    }
    for (const auto& fault : checked.faults)
        fmt::print("{} {}\n", fault.pointer.empty() ? "(the file)" : fault.pointer, fault.text);
    if (checked.faults.empty()) {
        fmt::print("{}: no faults\n", file.string());
        return 0;
    }
    return report(
        {Code::kInvalidSettings, fmt::format("{} has {} fault{}: mend what is listed", file.string(),
                                             checked.faults.size(), checked.faults.size() == 1 ? "" : "s")});
}

}  // namespace

void add_config_command(CLI::App& app, int& exit_code) {
    CLI::App* group = app.add_subcommand("config", "The settings of a node")->require_subcommand(1);
    CLI::App* command =
        group->add_subcommand("check", "All faults of DIR/node.json at once, with JSON pointers");
    auto dir = std::make_shared<std::string>();
    auto json = std::make_shared<bool>(false);
    command->add_option("DIR", *dir, "Folder of the node")->required();
    command->add_flag("--json", *json, "As JSON");
    command->callback([=, &exit_code] { exit_code = check(*dir, *json); });
    CLI::App* schema = group->add_subcommand("schema", "The JSON schema of node.json");
    schema->callback([&exit_code] {
        fmt::print("{}", config::settings_schema());
        exit_code = 0;
    });
}

}  // namespace scopenode::dicom_node
