#pragma once
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "config/settings.h"
#include "ml/manifest.h"
#include "storage/archive/archive.h"
#include "storage/index/database.h"

namespace scopenode::dicom_node {

/// Where things stand in a node folder:
///   node.json  node_uid  index.sqlite  models/<id>/  objects/  quarantine/
///   run/{lock,control.sock,ready.json,crash}
std::filesystem::path database_file(const std::filesystem::path& node);
std::filesystem::path ready_file(const std::filesystem::path& node);
std::filesystem::path crash_mark(const std::filesystem::path& node);
/// The UID of this installation, made by init.
Result<std::string> node_uid(const std::filesystem::path& node);

/// `--node DIR`: else SCOPENODE_NODE, else the current folder. Read `value` after parsing, by node_folder().
void add_node_option(CLI::App& command, std::string& value);
std::filesystem::path node_folder(const std::string& value);
/// `--rsna-rescale-quirk` of the commands that read data sets.
void add_rescale_option(CLI::App& command, bool& value);

/// The account of the operating system that runs this.
std::string account_name();

/// The index of a node beside whoever runs it; checks first that it is a node.
Result<std::unique_ptr<storage::Index>> open_reader(const std::filesystem::path& node, const Clock& clock);
/// For the holder of the lock. A node without its database is an error, never a fresh start.
Result<std::unique_ptr<storage::Index>> open_writer(const std::filesystem::path& node, const Clock& clock);

/// A person's writing command: by the running node when there is one, else here under the node's lock.
Result<std::string> run_writing(const std::filesystem::path& node, const std::vector<std::string>& words);
/// What the holder of the lock does with such a command.
Result<std::string> carry_out(storage::Archive& archive, const config::Settings& settings, const Clock& clock,
                              const std::vector<std::string>& words);

/// Records the model in `node`/models/`id`; it does not serve yet. Again is harmless.
Result<std::string> register_model(storage::Index& index, const std::filesystem::path& node,
                                   const std::string& id);

/// The model that is built into the program.
Result<ml::ModelFiles> embedded_model();
/// The model that serves in a node.
Result<ml::ModelFiles> champion_model(storage::Index& index, const std::filesystem::path& node);
Result<ml::ModelFiles> registered_model(storage::Index& index, const std::filesystem::path& node,
                                        const std::string& id);
/// `--model ID|DIR` and `--node DIR` of the offline commands; both empty: the built-in model.
Result<ml::ModelFiles> chosen_model(const std::string& node, const std::string& model);

/// `--preset P`: the name of a built-in preset, or a file that holds one.
Result<ml::Preset> chosen_preset(const std::string& name);

/// Text to stdout with one newline at the end, or the error by report(): the exit code.
int print(const Result<std::string>& text);
const char* program_version();
/// How a storage::PixelReader starts this program to decode pixels.
std::vector<std::string> decoder_command();

}  // namespace scopenode::dicom_node
