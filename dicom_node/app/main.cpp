#include <dcmtk/config/osconfig.h>
#include <dcmtk/oflog/oflog.h>

#include <cstdio>

#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "storage/dicom/header.h"

namespace {

using namespace scopenode::dicom_node;

void add_commands(CLI::App& app, int& exit_code) {
    add_init_command(app, exit_code);
    add_serve_command(app, exit_code);
    add_config_command(app, exit_code);
    add_send_command(app, exit_code);
    add_infer_command(app, exit_code);
    add_explain_command(app, exit_code);
    add_phantom_command(app, exit_code);
    add_train_command(app, exit_code);
    add_studies_command(app, exit_code);
    add_jobs_command(app, exit_code);
    add_outbox_command(app, exit_code);
    add_archive_command(app, exit_code);
    add_models_command(app, exit_code);
    add_weights_command(app, exit_code);
    add_bench_command(app, exit_code);
    add_report_command(app, exit_code);
    add_decode_command(app, exit_code);
    add_feedback_command(app, exit_code);
    add_labels_command(app, exit_code);
    add_users_command(app, exit_code);
}

/// "scopenode studies show" of what was typed, for the hint.
std::string typed(const CLI::App& app) {
    std::string words = app.get_name();
    for (const CLI::App* below = &app; !below->get_subcommands().empty();) {
        below = below->get_subcommands().front();
        words += " " + below->get_name();
    }
    return words;
}

int wrong_usage(const CLI::App& app, const CLI::ParseError& error) {
    std::string what = error.what();
    for (char& c : what)
        if (c == '\n') c = ' ';
    // The library asks for a subcommand before it looks at what was typed in its place.
    if (const auto rest = app.remaining(true); !rest.empty())
        what = fmt::format("there is no {} '{}'", rest.front().starts_with('-') ? "option" : "command",
                           rest.front());
    fmt::print(stderr, "scopenode: {}; see `{} --help`\n", what, typed(app));
    return 2;
}

int run(int argc, char** argv) {
    CLI::App app("A DICOM node that reads head CTs for hemorrhage. Not a medical device.", "scopenode");
    app.set_version_flag("--version", std::string("scopenode ") + program_version());
    app.require_subcommand(1);
    int exit_code = 0;
    add_commands(app, exit_code);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& wanted) {
        return app.exit(wanted);
    } catch (const CLI::ParseError& error) {
        return wrong_usage(app, error);
    }
    return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
    // DCMTK's own lines name elements of the data set; the node says what a person has to know.
    OFLog::configure(OFLogger::FATAL_LOG_LEVEL);
    const scopenode::storage::Codecs codecs;
    int exit_code = 1;
    const auto ran = scopenode::guard(scopenode::Code::kInternal, [&] { exit_code = run(argc, argv); });
    if (!ran) exit_code = report(ran.error());
    if (std::fflush(stdout) != 0 && exit_code == 0)
        exit_code = report({scopenode::Code::kIo, "cannot write to standard output"});
    return exit_code;
}
