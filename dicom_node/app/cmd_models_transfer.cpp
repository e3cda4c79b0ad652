#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "ml/model.h"
#include "storage/index/audit.h"
#include "storage/index/models.h"
#include "storage/index/results.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string node, id, folder;
};

Result<std::string> export_model(const Options& o) {
    std::error_code ec;
    if (fs::exists(o.folder, ec) && !fs::is_empty(o.folder, ec))
        return fail(Code::kConflict, "{} is there already and not empty: name a new folder", o.folder);
    SCOPENODE_ASSIGN(const auto files, chosen_model(o.node, o.id));
    SCOPENODE_TRY(ml::write_model_folder(o.folder, files));
    return fmt::format("model {} in {}: model.json and weights.safetensors, for Python too", files.id(),
                       o.folder);
}

/// The folder is checked by loading the model as it would serve, then copied; the node records it last.
Result<std::string> import_model(const Options& o) {
    const fs::path node = node_folder(o.node);
    SCOPENODE_ASSIGN(const auto files, ml::read_model_folder(o.folder));
    {
        const auto loaded = ml::Model::load(files, {"cpu", 1, 1});
        if (!loaded) return fail(loaded.error());
        const ml::Manifest& manifest = (*loaded)->manifest();
        SCOPENODE_ASSIGN(const auto built_in, chosen_model("", ""));
        SCOPENODE_ASSIGN(const auto demonstration, ml::parse_manifest(built_in.manifest_json));
        if (manifest.weights_sha256 == demonstration.weights_sha256 && !manifest.demonstration)
            return fail(
                Code::kInvalidArgument,
                "{} holds the demonstration model's weights and does not say so: it is never for patients",
                o.folder);
        if (manifest.trained() && manifest.data_licence.empty())
            return fail(
                Code::kInvalidArgument,
                "{}/model.json does not say under which licence its training data were: write it into "
                "data_licence and import again",
                o.folder);
    }
    std::error_code ec;
    if (!fs::exists(node / "node.json", ec)) return fail(open_reader(node, SystemClock{}).error());
    SCOPENODE_TRY(ml::write_model_folder(node / "models" / files.id(), files));
    return run_writing(node, {"models", "register", files.id()});
}

}  // namespace

Result<std::string> register_model(storage::Index& index, const fs::path& node, const std::string& id) {
    const std::string path = "models/" + id;
    SCOPENODE_ASSIGN(const auto files, ml::read_model_folder(node / path));
    if (files.id() != id)
        return fail(Code::kDamagedModel, "{} holds the model {}", (node / path).string(), files.id());
    SCOPENODE_ASSIGN(const auto manifest, ml::parse_manifest(files.manifest_json));
    const storage::ModelRow row{id, files.manifest_sha256(), manifest.name, path, index.clock().now(), false};
    SCOPENODE_TRY(index.write([&](storage::Connection& db) -> Status {
        SCOPENODE_TRY(storage::add_model(db, row));
        return storage::add_audit(db, row.registered, "command line", "model registered", id);
    }));
    return fmt::format("model {} ({}) is registered; another one may serve: see `scopenode models list`", id,
                       manifest.name);
}

void add_models_transfer_commands(CLI::App& group, int& exit_code) {
    auto out = std::make_shared<Options>();
    CLI::App* give = group.add_subcommand("export", "A model as a folder that Python can read");
    give->add_option("ID", out->id, "Id of a registered model, or of the built-in one")->required();
    give->add_option("DIR", out->folder, "New folder")->required();
    give->add_option("--node", out->node, "The node whose model it is");
    give->callback([out, &exit_code] { exit_code = print(export_model(*out)); });

    auto in = std::make_shared<Options>();
    CLI::App* take = group.add_subcommand("import", "Checks a model folder and registers it with the node");
    take->add_option("DIR", in->folder, "Folder with model.json and weights.safetensors")->required();
    add_node_option(*take, in->node);
    take->callback([in, &exit_code] { exit_code = print(import_model(*in)); });
}

}  // namespace scopenode::dicom_node
