#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "dicom_node/app/commands.h"
#include "workflows/results/report.h"

namespace scopenode::dicom_node {

void add_report_command(CLI::App& app, int& exit_code) {
    CLI::App* group = app.add_subcommand("report", "Structured reports")->require_subcommand(1);
    CLI::App* command = group->add_subcommand("read", "A report in words");
    auto file = std::make_shared<std::string>();
    command->add_option("FILE", *file, "DICOM Structured Report")->required();
    command->callback([file, &exit_code] {
        const auto read = workflows::read_report(*file);
        if (read) fmt::print("{}", workflows::report_in_words(*read));
        exit_code = read ? 0 : report(read.error());
    });
}

}  // namespace scopenode::dicom_node
