#include "config/settings.h"
#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "ml/explain.h"
#include "ml/figures/figures.h"
#include "ml/weights/untrained.h"
#include "storage/dicom/rescale.h"
#include "workflows/slice_choice.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string path, out, slice, model, preset, node;
    std::uint64_t seed = 1;
    int threads = 0;
    bool rsna_rescale_quirk = false;
};

/// A new or empty folder, so that no figure of another slice or model stands beside ours.
Status prepare_folder(const fs::path& folder) {
    std::error_code ec;
    fs::create_directories(folder, ec);
    if (ec) return fail(Code::kIo, "cannot make folder {}: {}", folder.string(), ec.message());
    const bool is_empty = fs::is_empty(folder, ec);
    if (ec) return fail(Code::kIo, "cannot read folder {}: {}", folder.string(), ec.message());
    if (!is_empty)
        return fail(Code::kConflict, "{} is not empty: give a new folder, figures of two slices must not mix",
                    folder.string());
    return {};
}

Result<ml::ModelFiles> random_model(const std::string& name, std::uint64_t seed) {
    const auto preset = chosen_preset(name);
    if (!preset) return fail(Code::kInvalidArgument, "{}", preset.error().message);
    return ml::random_model(*preset, seed);
}

std::string summary(const Options& o, const workflows::ChosenSlice& slice, const ml::Explanation& e,
                    const std::vector<ml::Figure>& figures) {
    std::string text = fmt::format("slice {} ({}): {}\n", slice.name(), slice.file.string(), slice.reason);
    text += fmt::format("model {}{}\n", e.model_id,
                        !e.trained        ? ", RANDOM WEIGHTS: the figures show the method, not a finding"
                        : e.demonstration ? ", DEMONSTRATION: not for patients"
                                          : "");
    for (std::size_t i = 0; i < ml::kLabelCount; ++i)
        text += fmt::format("  {:<18}{:.3f}\n", ml::kLabels[i], static_cast<double>(e.scores[i]));
    const auto name = [&](const std::string& file) {
        return "  " + (fs::path(o.out) / file).string() + "\n";
    };
    text += "written:\n" + name("index.html");
    for (const auto& figure : figures) text += name(figure.file);
    return text + name("explain.json") + name("explain.safetensors");
}

Result<std::string> explain(const Options& o) {
    workflows::SliceSearch search{o.path, o.slice, 8, {}, storage::rescale_of(o.rsna_rescale_quirk)};
    search.decoder = decoder_command();
    if (!o.node.empty()) {
        SCOPENODE_ASSIGN(const auto settings, config::load_settings(o.node));
        search.minimum_slices = settings.intake.minimum_slices;
        search.rescale = storage::rescale_of(o.rsna_rescale_quirk || settings.inference.rsna_rescale_quirk);
    }
    SCOPENODE_TRY(prepare_folder(o.out));
    SCOPENODE_ASSIGN(const auto files,
                     o.preset.empty() ? chosen_model(o.node, o.model) : random_model(o.preset, o.seed));
    SCOPENODE_ASSIGN(const auto manifest, ml::parse_manifest(files.manifest_json));
    search.load_model = [&] { return ml::Model::load(files, {"cpu", o.threads, 8}); };
    SCOPENODE_ASSIGN(const auto slice, workflows::choose_slice(search));
    SCOPENODE_ASSIGN(const auto explanation, ml::explain(files, slice.image, o.threads));
    ml::FigureSource source{explanation, slice.image, slice.name(), manifest.name};
    if (const auto& mm = slice.header.pixel_spacing_mm) {
        // What is out of all proportion is an error of the header.
        const double ratio = (*mm)[0] / (*mm)[1];
        if ((*mm)[0] > 0 && (*mm)[1] > 0 && ratio > 0.1 && ratio < 10) {
            source.row_mm = (*mm)[0];
            source.column_mm = (*mm)[1];
        }
    }
    SCOPENODE_ASSIGN(const auto figures, ml::write_figures(source, o.out));
    return summary(o, slice, explanation, figures);
}

}  // namespace

void add_explain_command(CLI::App& app, int& exit_code) {
    CLI::App* command =
        app.add_subcommand("explain", "What the model looked at in a slice: the paper's figures");
    auto o = std::make_shared<Options>();
    command
        ->add_option("PATH", o->path,
                     "A DICOM file, or a folder: then its slice with the highest probability")
        ->required();
    command->add_option("--out", o->out, "New folder for pictures, numbers and index.html")->required();
    command->add_option("--slice", o->slice, "SOP instance UID or file of the slice in the folder");
    auto* model = command->add_option("--model", o->model, "Id of a registered model, or a model folder");
    auto* node = command->add_option("--node", o->node,
                                     "Use this node's model and settings; nothing is written to it");
    auto* preset =
        command->add_option("--preset", o->preset, "A model of this preset with random weights instead");
    preset->excludes(model)->excludes(node);
    command->add_option("--seed", o->seed, "Of the random weights")->needs(preset)->capture_default_str();
    command->add_option("--threads", o->threads, "CPU threads, 0: one per core")->check(CLI::Range(0, 1024));
    add_rescale_option(*command, o->rsna_rescale_quirk);
    command->callback([o, &exit_code] { exit_code = print(explain(*o)); });
}

}  // namespace scopenode::dicom_node
