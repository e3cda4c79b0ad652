#include <unistd.h>

#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "storage/dicom/decode_child.h"

namespace scopenode::dicom_node {

std::vector<std::string> decoder_command() {
    // Also right when the file was replaced by a newer one since.
    return {"/proc/self/exe", "decode-slices"};
}

void add_decode_command(CLI::App& app, int& exit_code) {
    CLI::App* command = app.add_subcommand("decode-slices", "")->group("");
    auto limits = std::make_shared<storage::DecodeLimits>();
    command->add_option("--memory-mib", limits->memory_mib);
    command->add_option("--cpu-seconds", limits->cpu_seconds);
    command->callback([limits, &exit_code] {
        const Status done = storage::serve_decoding(STDIN_FILENO, STDOUT_FILENO, *limits);
        exit_code = done ? 0 : report(done.error());
    });
}

}  // namespace scopenode::dicom_node
