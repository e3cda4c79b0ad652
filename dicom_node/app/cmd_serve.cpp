#include "dicom_node/app/commands.h"
#include "dicom_node/app/composition.h"

namespace scopenode::dicom_node {

void add_serve_command(CLI::App& app, int& exit_code) {
    CLI::App* command = app.add_subcommand("serve", "Run the node of a folder until SIGTERM");
    auto dir = std::make_shared<std::string>();
    command->add_option("DIR", *dir, "Folder of the node")->required();
    command->callback([dir, &exit_code] {
        const Status done = serve(*dir);
        exit_code = done ? 0 : report(done.error());
    });
}

}  // namespace scopenode::dicom_node
