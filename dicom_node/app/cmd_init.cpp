#include "base/core/files.h"
#include "base/core/ids.h"
#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "dicom_node/control/control.h"
#include "storage/index/models.h"
#include "storage/index/results.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;

Result<config::Settings> settings_of(config::Settings settings,
                                     const std::vector<std::string>& destinations) {
    for (const std::string& text : destinations) {
        SCOPENODE_ASSIGN(auto one, config::parse_destination(text));
        settings.destinations.push_back(std::move(one));
    }
    const config::Checked checked = config::check_settings(config::settings_json(settings));
    if (checked.faults.empty()) return settings;
    std::string all;
    for (const auto& fault : checked.faults)
        all += (all.empty() ? "" : "; ") + fault.pointer + " " + fault.text;
    return fail(Code::kInvalidArgument, "{}", all);
}

Status refuse_folder_in_use(const fs::path& dir) {
    std::error_code ec;
    if (!fs::exists(dir, ec)) return {};
    if (!fs::is_directory(dir, ec)) return fail(Code::kConflict, "{} is not a folder", dir.string());
    if (fs::exists(dir / "node.json", ec)) return fail(Code::kConflict, "{} is a node already", dir.string());
    const bool empty = fs::is_empty(dir, ec);
    if (ec) return fail(Code::kIo, "cannot look into {}: {}", dir.string(), ec.message());
    if (!empty) return fail(Code::kConflict, "{} is not empty: name a new folder", dir.string());
    return {};
}

Status register_demonstration(storage::Index& index, const fs::path& dir) {
    SCOPENODE_ASSIGN(const auto files, embedded_model());
    SCOPENODE_ASSIGN(const auto manifest, ml::parse_manifest(files.manifest_json));
    const std::string id = files.id();
    SCOPENODE_TRY(ml::write_model_folder(dir / "models" / id, files));
    const storage::ModelRow row{
        id, files.manifest_sha256(), manifest.name, "models/" + id, index.clock().now(), false};
    return index.write([&](storage::Connection& db) -> Status {
        SCOPENODE_TRY(storage::add_model(db, row));
        return storage::set_champion(db, id);
    });
}

Result<std::string> init(const fs::path& dir, const config::Settings& settings) {
    SCOPENODE_TRY(refuse_folder_in_use(dir));
    std::error_code ec;
    fs::create_directories(dir / "run", ec);
    if (ec) return fail(Code::kIo, "cannot make {}: {}", dir.string(), ec.message());
    // What is in it is about patients.
    fs::permissions(dir, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec, ec);
    SCOPENODE_ASSIGN(const auto lock, NodeLock::take(dir));
    SCOPENODE_TRY(write_file(real_files(), dir / "node_uid", random_uid() + "\n"));
    const SystemClock clock;
    {
        SCOPENODE_ASSIGN(const auto index, storage::Index::open(database_file(dir), clock));
        SCOPENODE_ASSIGN(const auto archive, storage::Archive::open(dir, *index, real_files(), 0));
        SCOPENODE_TRY(register_demonstration(*index, dir));
    }
    SCOPENODE_TRY(write_file(real_files(), dir / "node.json", config::settings_json(settings)));
    const fs::path parent = fs::absolute(dir / "").parent_path().parent_path();
    SCOPENODE_TRY(real_files().sync_folder(parent));
    const auto port = [](int number) { return number == 0 ? "a free port" : fmt::format("port {}", number); };
    return fmt::format("node in {}: {} on {}, HTTP on {}; start it by `scopenode serve {}`", dir.string(),
                       settings.dimse.ae_title, port(settings.dimse.port), port(settings.http.port),
                       dir.string());
}

}  // namespace

void add_init_command(CLI::App& app, int& exit_code) {
    struct Options {
        std::string dir;
        config::Settings settings;
        std::vector<std::string> destinations;
    };
    CLI::App* command = app.add_subcommand("init", "Make a new node folder");
    auto o = std::make_shared<Options>();
    command->add_option("DIR", o->dir, "Folder of the node: new or empty")->required();
    command->add_option("--ae-title", o->settings.dimse.ae_title, "AE title of the node")
        ->capture_default_str();
    command->add_option("--dimse-port", o->settings.dimse.port, "Port for DICOM, 0: any free one")
        ->capture_default_str();
    command->add_option("--http-port", o->settings.http.port, "Port for HTTP, 0: any free one")
        ->capture_default_str();
    command
        ->add_option("--quiet", o->settings.intake.quiet_seconds,
                     "Seconds without a new object that complete a study")
        ->capture_default_str();
    command
        ->add_option("--destination", o->destinations,
                     "NAME=AET@HOST:PORT, a peer that gets the results; may be repeated")
        ->allow_extra_args(false);
    command->callback([o, &exit_code] {
        const auto settings = settings_of(o->settings, o->destinations);
        exit_code = settings ? print(init(o->dir, *settings)) : report(settings.error());
    });
}

}  // namespace scopenode::dicom_node
