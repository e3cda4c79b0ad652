#include <nlohmann/json.hpp>

#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "ml/preset.h"
#include "storage/dicom/rescale.h"
#include "storage/index/models.h"
#include "storage/index/results.h"
#include "workflows/training/evaluate.h"

namespace scopenode::dicom_node {
namespace {

using nlohmann::ordered_json;

struct Options {
    std::string node, id, preset, data, model, device = "auto", precision = "fp32";
    int threads = 0;
    bool json = false, rsna_rescale_quirk = false;
};

Result<ordered_json> figures_json(const ml::Preset& preset) {
    SCOPENODE_ASSIGN(const auto f, ml::preset_figures(preset));
    ordered_json cnns = ordered_json::array();
    for (const auto& cnn : f.backbones)
        cnns.push_back({{"name", cnn.name},
                        {"parameters",
                         {{"trainable", cnn.trainable},
                          {"non_trainable", cnn.non_trainable},
                          {"total", cnn.trainable + cnn.non_trainable}}},
                        {"learns", cnn.learns},
                        {"channels", cnn.channels}});
    return ordered_json{{"preset", preset.name},
                        {"parameters",
                         {{"paper", f.paper_parameters},
                          {"trainable", f.trainable_parameters},
                          {"stored", f.stored_parameters}}},
                        {"gmac_per_slice", f.gmac_per_slice},
                        {"input_shape", f.input_shape},
                        {"token_shape", f.token_shape},
                        {"backbones", cnns}};
}

std::string shape(const ordered_json& numbers) {
    std::string text;
    for (const auto& n : numbers) text += (text.empty() ? "" : " x ") + n.dump();
    return text;
}

std::string figures_text(const ordered_json& f) {
    const auto& p = f["parameters"];
    std::string text = fmt::format(
        "{}\n  parameters      {} as the paper counts, {} trainable, {} stored\n"
        "  GMAC a slice    {:.3f}\n  input           {}\n  tokens          {}\n",
        f["preset"].get<std::string>(), p["paper"].dump(), p["trainable"].dump(), p["stored"].dump(),
        f["gmac_per_slice"].get<double>(), shape(f["input_shape"]), shape(f["token_shape"]));
    for (const auto& cnn : f["backbones"])
        text += fmt::format("  {:<15} {} parameters ({} learn here), {} statistics, {} channels\n",
                            cnn["name"].get<std::string>(), cnn["parameters"]["trainable"].dump(),
                            cnn["learns"].dump(), cnn["parameters"]["non_trainable"].dump(),
                            cnn["channels"].dump());
    return text;
}

Result<std::string> preset_info(const Options& o) {
    const auto preset = ml::find_preset(o.preset);
    if (!preset) return fail(Code::kInvalidArgument, "{}", preset.error().message);
    SCOPENODE_ASSIGN(const auto figures, figures_json(*preset));
    return o.json ? figures.dump(2) : figures_text(figures);
}

Result<std::vector<storage::ModelRow>> rows_of(const Options& o) {
    const SystemClock clock;
    SCOPENODE_ASSIGN(const auto index, open_reader(node_folder(o.node), clock));
    return index->read([](storage::Connection& db) { return storage::list_models(db); });
}

Result<ordered_json> model_json(const ml::ModelFiles& files, bool champion) {
    SCOPENODE_ASSIGN(const auto m, ml::parse_manifest(files.manifest_json));
    SCOPENODE_ASSIGN(auto out, figures_json(m.preset));
    out["id"] = files.id();
    out["sha256"] = files.manifest_sha256();
    out["name"] = m.name;
    out["version"] = m.version;
    out["champion"] = champion;
    out["demonstration"] = m.demonstration;
    for (std::size_t i = 0; i < ml::kLabelCount; ++i)
        out["thresholds"][std::string(ml::kLabels[i])] = m.thresholds[i];
    out["calibration"] = {{"method", m.calibration.method}, {"data", m.calibration.data}};
    out["data_snapshot"] = m.data_snapshot;
    out["data_licence"] = m.data_licence;
    out["parent"] = m.parent;
    out["weights_sha256"] = m.weights_sha256;
    if (!files.metrics_json.empty()) out["metrics"] = ordered_json::parse(files.metrics_json, nullptr, false);
    return out;
}

Result<std::string> model_info(const Options& o) {
    ml::ModelFiles files;
    bool champion = false;
    if (const auto built_in = embedded_model(); built_in && built_in->id() == o.id) files = *built_in;
    const auto rows = rows_of(o);
    if (rows) {
        for (const auto& row : *rows) {
            if (row.id != o.id) continue;
            SCOPENODE_ASSIGN(files, ml::read_model_folder(node_folder(o.node) / row.path));
            champion = row.champion;
        }
    }
    if (files.manifest_json.empty()) {
        if (!rows) return fail(rows.error());
        return fail(Code::kNotFound, "no model {}: `scopenode models list` names them", o.id);
    }
    SCOPENODE_ASSIGN(const auto out, model_json(files, champion));
    if (o.json) return out.dump(2);
    std::string text =
        fmt::format("{}  {} version {}{}{}\n", files.id(), out["name"].get<std::string>(),
                    out["version"].get<std::string>(), champion ? ", serves" : "",
                    out["demonstration"].get<bool>() ? ", DEMONSTRATION: not for patients" : "");
    text += figures_text(out);
    return text + (files.card.empty() ? "" : "\n" + files.card);
}

std::string judged(const storage::ModelRow& row) {
    if (row.verdict.empty()) return "";
    return fmt::format("  {} the gate against {}", row.passed ? "passed" : "refused by", row.judged_against);
}

Result<std::string> list(const Options& o) {
    SCOPENODE_ASSIGN(const auto rows, rows_of(o));
    ordered_json out = ordered_json::array();
    std::string text;
    for (const auto& row : rows) {
        out.push_back({{"id", row.id},
                       {"name", row.name},
                       {"champion", row.champion},
                       {"registered", iso8601(row.registered)},
                       {"sha256", row.sha256},
                       {"path", row.path},
                       {"training", row.training ? ordered_json(*row.training) : ordered_json()},
                       {"judged_against", row.judged_against},
                       {"passed", row.verdict.empty() ? ordered_json() : ordered_json(row.passed)},
                       {"shadow_since", row.shadow ? ordered_json(iso8601(*row.shadow)) : ordered_json()}});
        text += fmt::format("{}  {}  {}{}{}{}\n", row.id, iso8601(row.registered), row.name,
                            row.champion ? "  serves" : "", row.shadow ? "  in the shadow" : "", judged(row));
    }
    return o.json ? out.dump(2) : text;
}

Result<std::string> evaluate(const Options& o) {
    SCOPENODE_ASSIGN(const auto files, chosen_model(o.node, o.model));
    SCOPENODE_ASSIGN(const auto model,
                     ml::Model::load(files, {o.device, o.threads, 8, ml::precision_named(o.precision)}));
    SCOPENODE_ASSIGN(const auto data,
                     workflows::FolderDataset::open(o.data, storage::rescale_of(o.rsna_rescale_quirk)));
    SCOPENODE_ASSIGN(const auto measured, workflows::evaluate(*model, *data));
    return o.json ? workflows::evaluation_json(measured) : workflows::evaluation_table(measured);
}

void add_evaluate(CLI::App& group, const std::shared_ptr<Options>& o, int& exit_code) {
    CLI::App* command = group.add_subcommand("evaluate", "How well a model tells labelled studies apart");
    command->add_option("DATA", o->data, "Folder with DICOM files and labels.csv")->required();
    command->add_option("--model", o->model,
                        "Id of a registered model, or a model folder (default: the built-in one)");
    command->add_option("--node", o->node, "Use this node's models");
    command->add_option("--device", o->device, "auto, cpu or cuda:N")->capture_default_str();
    command->add_option("--threads", o->threads, "CPU threads, 0: one per core")->check(CLI::Range(0, 1024));
    command->add_option("--precision", o->precision, "The CNNs' numbers")
        ->check(CLI::IsMember({"fp32", "bf16"}))
        ->capture_default_str();
    add_rescale_option(*command, o->rsna_rescale_quirk);
    command->add_flag("--json", o->json, "As JSON");
    command->callback([o, &exit_code] { exit_code = print(evaluate(*o)); });
}

}  // namespace

void add_models_command(CLI::App& app, int& exit_code) {
    CLI::App* group = app.add_subcommand("models", "Models and presets")->require_subcommand(1);
    auto o = std::make_shared<Options>();
    CLI::App* all = group->add_subcommand("list", "The node's models");
    all->add_flag("--json", o->json, "As JSON");
    add_node_option(*all, o->node);
    all->callback([o, &exit_code] { exit_code = print(list(*o)); });
    CLI::App* info = group->add_subcommand("info", "A model of the node, or a preset");
    auto* id = info->add_option("ID", o->id, "Id of a model");
    auto* preset = info->add_option("--preset", o->preset, "Name of a preset instead");
    id->excludes(preset);
    info->add_flag("--json", o->json, "As JSON");
    add_node_option(*info, o->node);
    info->callback([o, &exit_code] {
        if (o->id.empty() && o->preset.empty())
            exit_code = report({Code::kInvalidArgument, "models info needs an ID or --preset"});
        else
            exit_code = print(o->preset.empty() ? model_info(*o) : preset_info(*o));
    });
    add_evaluate(*group, o, exit_code);
    add_models_transfer_commands(*group, exit_code);
    add_models_serving_commands(*group, exit_code);
}

}  // namespace scopenode::dicom_node
