#pragma once
#include <CLI/CLI.hpp>

#include "base/core/result.h"

namespace scopenode::dicom_node {

/// Each adds its subcommand to the program; its callback sets `exit_code` (0 ok, 1 failed, 2 wrong usage). Errors go to
/// stderr as one line by report(). One file a subcommand: cmd_<name>.cpp.
void add_init_command(CLI::App& app, int& exit_code);
void add_serve_command(CLI::App& app, int& exit_code);
void add_config_command(CLI::App& app, int& exit_code);
void add_send_command(CLI::App& app, int& exit_code);
void add_infer_command(CLI::App& app, int& exit_code);
void add_explain_command(CLI::App& app, int& exit_code);
void add_studies_command(CLI::App& app, int& exit_code);
void add_jobs_command(CLI::App& app, int& exit_code);
void add_outbox_command(CLI::App& app, int& exit_code);
void add_archive_command(CLI::App& app, int& exit_code);
void add_models_command(CLI::App& app, int& exit_code);    ///< list, info, evaluate, export, import
void add_models_transfer_commands(CLI::App& group, int& exit_code);
void add_models_serving_commands(CLI::App& group, int& exit_code);  ///< compare, approve, rollback, shadow
void add_labels_command(CLI::App& app, int& exit_code);    ///< import, add, list, conflicts, export
void add_users_command(CLI::App& app, int& exit_code);     ///< add, list, disable
void add_train_node_commands(CLI::App& group, int& exit_code);  ///< start, list, show, cancel, resume
void add_phantom_command(CLI::App& app, int& exit_code);
void add_train_command(CLI::App& app, int& exit_code);     ///< run
void add_bench_command(CLI::App& app, int& exit_code);     ///< receive, report, infer, train
void add_bench_model_commands(CLI::App& bench, int& exit_code);
void add_weights_command(CLI::App& app, int& exit_code);   ///< import, verify
/// The program's own child: see storage/dicom/pixel_reader.h.
void add_decode_command(CLI::App& app, int& exit_code);
void add_feedback_command(CLI::App& app, int& exit_code);  ///< list, show
void add_report_command(CLI::App& app, int& exit_code);    ///< `report read FILE`: a report in words

/// "scopenode: <message>" on stderr; returns 1 (2 for kInvalidArgument).
int report(const Error& error);

}  // namespace scopenode::dicom_node
