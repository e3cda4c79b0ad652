#include "dicom_node/app/node_folder.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "dicom_node/app/commands.h"
#include "dicom_node/control/control.h"
#include "scopenode_demo_model.h"
#include "storage/index/models.h"
#include "storage/index/results.h"
#include "workflows/node.h"
#include "workflows/training/commands.h"

namespace scopenode::dicom_node {

namespace fs = std::filesystem;

fs::path database_file(const fs::path& node) {
    return node / "index.sqlite";
}
fs::path crash_mark(const fs::path& node) {
    return node / "run" / "crash";
}
fs::path ready_file(const fs::path& node) {
    return node / "run" / "ready.json";
}
const char* program_version() {
    return SCOPENODE_VERSION;
}

Result<std::string> node_uid(const fs::path& node) {
    SCOPENODE_ASSIGN(auto text, read_file(node / "node_uid"));
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    if (!is_legal_uid(text))
        return fail(Code::kInvalidSettings, "{} does not hold a UID", (node / "node_uid").string());
    return text;
}

void add_node_option(CLI::App& command, std::string& value) {
    command.add_option("--node", value,
                       "Folder of the node (default: SCOPENODE_NODE, else the current folder)");
}

void add_rescale_option(CLI::App& command, bool& value) {
    command.add_flag(
        "--rsna-rescale-quirk", value,
        "Turn 12-bit unsigned values with an intercept above -100 round, as RSNA 2019 needs it; never "
        "for a scanner's own images");
}

std::string account_name() {
    const passwd* entry = ::getpwuid(::getuid());
    return entry && entry->pw_name ? entry->pw_name : std::to_string(::getuid());
}

fs::path node_folder(const std::string& value) {
    if (!value.empty()) return value;
    const char* set = std::getenv("SCOPENODE_NODE");
    return set && *set ? set : ".";
}

namespace {

Result<std::unique_ptr<storage::Index>> open_index(const fs::path& node, const Clock& clock, bool read_only) {
    std::error_code ec;
    if (!fs::exists(node / "node.json", ec))
        return fail(
            Code::kNotFound,
            "{} is not a node folder: name one with --node or SCOPENODE_NODE, `scopenode init` makes one",
            node.string());
    if (!fs::exists(database_file(node), ec))
        return fail(Code::kNotFound, "{} is missing: restore it from a backup", database_file(node).string());
    return storage::Index::open(database_file(node), clock, read_only);
}

Result<std::string> run_here(const fs::path& node, const std::vector<std::string>& words) {
    const SystemClock clock;
    SCOPENODE_ASSIGN(const auto settings, config::load_settings(node));
    SCOPENODE_ASSIGN(const auto index, open_writer(node, clock));
    SCOPENODE_ASSIGN(const auto archive, storage::Archive::open(node, *index, real_files(), 0));
    return carry_out(*archive, settings, clock, words);
}

}  // namespace

Result<std::unique_ptr<storage::Index>> open_reader(const fs::path& node, const Clock& clock) {
    return open_index(node, clock, true);
}

Result<std::unique_ptr<storage::Index>> open_writer(const fs::path& node, const Clock& clock) {
    return open_index(node, clock, false);
}

Result<std::string> run_writing(const fs::path& node, const std::vector<std::string>& words) {
    std::error_code ec;
    if (!fs::exists(node / "node.json", ec)) return fail(open_reader(node, SystemClock{}).error());
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    // The lock may be held by another command, or by a node that does not listen yet: both pass.
    while (true) {
        {
            const auto lock = NodeLock::take(node);
            if (lock) return run_here(node, words);
            if (lock.error().code != Code::kInUse) return fail(lock.error());
        }
        auto answer = ask_node(node, words);
        if (answer || answer.error().code != Code::kPeerUnavailable) return answer;
        if (std::chrono::steady_clock::now() > deadline) return answer;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

Result<std::string> carry_out(storage::Archive& archive, const config::Settings& settings, const Clock& clock,
                              const std::vector<std::string>& words) {
    if (words.size() == 2 && words[0] == "archive" && words[1] == "verify") {
        SCOPENODE_ASSIGN(const auto problems, archive.verify());
        if (problems.empty()) return std::string("every object is as it was received");
        std::string all;
        for (const std::string& problem : problems) all += (all.empty() ? "" : "\n") + problem;
        return fail(Code::kConflict, "{} problem{} in the archive:\n{}", problems.size(),
                    problems.size() == 1 ? "" : "s", all);
    }
    if (words.size() == 3 && words[0] == "archive" && words[1] == "backup") {
        std::error_code ec;
        if (fs::exists(words[2], ec)) return fail(Code::kInvalidArgument, "{} exists already", words[2]);
        SCOPENODE_TRY(archive.index().backup(words[2]));
        return "index copied to " + words[2];
    }
    if (words.size() == 3 && words[0] == "models" && words[1] == "register")
        return register_model(archive.index(), archive.absolute(""), words[2]);
    if (workflows::is_learning_command(words))
        return workflows::run_learning_command(archive.index(), settings, archive.absolute(""), clock, words);
    return workflows::run_command(archive.index(), settings, clock, words);
}

Result<ml::ModelFiles> embedded_model() {
    ml::ModelFiles files;
    for (const EmbeddedFile& file : config::scopenode_demo_model_files()) {
        if (file.path.ends_with("/model.json")) files.manifest_json = file.bytes;
        if (file.path.ends_with("/weights.safetensors")) files.weights = file.bytes;
        if (file.path.ends_with("/metrics.json")) files.metrics_json = file.bytes;
        if (file.path.ends_with("/card.md")) files.card = file.bytes;
    }
    files.where = "the built-in demonstration model";
    if (files.manifest_json.empty() || files.weights.empty())
        return fail(Code::kDamagedModel, "this program was built without the demonstration model");
    return files;
}

Result<ml::ModelFiles> champion_model(storage::Index& index, const fs::path& node) {
    SCOPENODE_ASSIGN(const auto rows,
                     index.read([](storage::Connection& c) { return storage::list_models(c); }));
    for (const storage::ModelRow& row : rows) {
        if (!row.champion) continue;
        SCOPENODE_ASSIGN(auto files, ml::read_model_folder(node / row.path));
        if (files.manifest_sha256() != row.sha256)
            return fail(Code::kDamagedModel, "{} is not the file that was registered (its sha256 differs)",
                        (node / row.path / "model.json").string());
        return files;
    }
    return fail(Code::kNotFound, "no model serves in {}", node.string());
}

Result<ml::ModelFiles> registered_model(storage::Index& index, const fs::path& node, const std::string& id) {
    SCOPENODE_ASSIGN(const auto rows,
                     index.read([](storage::Connection& db) { return storage::list_models(db); }));
    for (const auto& row : rows)
        if (row.id == id) return ml::read_model_folder(node / row.path);
    return fail(Code::kNotFound, "no model {} in {}: `scopenode models list` names them", id, node.string());
}

namespace {

Result<ml::ModelFiles> model_of_node(const fs::path& node, const std::string& id) {
    const SystemClock clock;
    SCOPENODE_ASSIGN(const auto index, open_reader(node, clock));
    if (id.empty()) return champion_model(*index, node);
    return registered_model(*index, node, id);
}

}  // namespace

Result<ml::ModelFiles> chosen_model(const std::string& node, const std::string& model) {
    std::error_code ec;
    if (!model.empty() && fs::is_directory(model, ec)) return ml::read_model_folder(model);
    if (!node.empty()) return model_of_node(node, model);
    if (model.empty()) return embedded_model();
    if (auto built_in = embedded_model(); built_in && built_in->id() == model) return built_in;
    if (std::error_code none; !fs::exists(node_folder("") / "node.json", none))
        return fail(Code::kNotFound, "no model '{}': it is no folder, and no node's; the built-in one is {}",
                    model, embedded_model() ? embedded_model()->id() : "damaged");
    return model_of_node(node_folder(""), model);
}

Result<ml::Preset> chosen_preset(const std::string& name) {
    std::error_code ec;
    if (!fs::is_regular_file(name, ec)) return ml::find_preset(name);
    SCOPENODE_ASSIGN(const auto text, read_file(name));
    return ml::parse_preset(text);
}

int report(const Error& error) {
    std::string line = error.message;
    while (!line.empty() && line.back() == '\n') line.pop_back();
    // One line, except for a list that a person asked for (archive verify).
    fmt::print(stderr, "scopenode: {}\n", line);
    return error.code == Code::kInvalidArgument ? 2 : 1;
}

int print(const Result<std::string>& text) {
    if (!text) return report(text.error());
    const bool ended = !text->empty() && text->back() == '\n';
    fmt::print("{}{}", *text, ended || text->empty() ? "" : "\n");
    return 0;
}

}  // namespace scopenode::dicom_node
