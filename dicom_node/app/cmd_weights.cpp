#include "base/core/files.h"
#include "base/core/process_limits.h"
#include "dicom_node/app/commands.h"
#include "dicom_node/app/flatten_child.h"
#include "dicom_node/app/node_folder.h"
#include "ml/weights/image_file.h"
#include "ml/weights/keras_h5.h"
#include "ml/weights/untrained.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string preset, backbone, file, out, licence, input, output;
    int copy = 0;
    std::uint64_t seed = 1;
};

Status check_name(const std::string& backbone) {
    for (const char* known : {"xception", "efficientnet_b5", "resnet152v2", "densenet201"})
        if (backbone == known) return {};
    return fail(Code::kInvalidArgument,
                "there is no backbone '{}'; there are xception, efficientnet_b5, resnet152v2, densenet201",
                backbone);
}

Result<ml::ImportedWeights> read_weights(const Options& o) {
    SCOPENODE_ASSIGN(const auto targets, ml::backbone_tensors({o.backbone, 1, 1}));
    return ml::import_weights(o.file, o.backbone, targets,
                              [](const fs::path& h5) { return flatten_in_child(h5); });
}

std::string list_of(const std::vector<std::string>& names) {
    constexpr std::size_t kShown = 20;
    std::string text;
    for (std::size_t i = 0; i < names.size() && i < kShown; ++i) text += "\n  " + ml::printable(names[i]);
    if (names.size() > kShown) text += fmt::format("\n  and {} more", names.size() - kShown);
    return text;
}

std::string described(const ml::ImportedWeights& w) {
    std::size_t values = 0;
    for (const auto& tensor : w.tensors) values += tensor.values.size();
    std::string text = fmt::format("{} ({}, sha256 {})\nfilled: {} tensors, {} values\n", w.file, w.format,
                                   w.sha256, w.tensors.size(), values);
    for (const std::string& note : w.notes) text += "note: " + note + "\n";
    if (!w.ignored.empty()) text += fmt::format("left out by design: {} tensors\n", w.ignored.size());
    text += w.unused.empty() ? "left unused: none\n"
                             : fmt::format("left unused: {}{}\n", w.unused.size(), list_of(w.unused));
    return text;
}

/// The model that is in the folder already, if there is one.
Result<std::optional<ml::ModelFiles>> model_in(const std::string& folder) {
    using Found = std::optional<ml::ModelFiles>;
    std::error_code ec;
    if (fs::exists(fs::path(folder) / "model.json", ec)) {
        SCOPENODE_ASSIGN(auto files, ml::read_model_folder(folder));
        return Found(std::move(files));
    }
    if (fs::exists(folder, ec) && !fs::is_empty(folder, ec))
        return fail(Code::kInUse, "{} holds something that is not a model: give a new folder", folder);
    return Found();
}

Result<std::string> import(const Options& o) {
    SCOPENODE_TRY(check_name(o.backbone));
    ml::UntrainedOptions options{{}, o.backbone, o.copy, o.licence, o.seed};
    auto preset = chosen_preset(o.preset);
    if (!preset) return fail(Code::kInvalidArgument, "{}", preset.error().message);
    options.preset = std::move(*preset);
    SCOPENODE_ASSIGN(const auto places, ml::places_of(options.preset, o.backbone, o.copy));
    SCOPENODE_ASSIGN(const auto before, model_in(o.out));
    if (before) SCOPENODE_TRY(ml::check_before(options, *before));
    SCOPENODE_ASSIGN(const auto imported, read_weights(o));
    SCOPENODE_ASSIGN(auto files, ml::untrained_model(options, imported, before));
    files.where = o.out;
    SCOPENODE_TRY(ml::write_model_folder(o.out, files));
    std::string text = described(imported);
    for (const std::size_t place : places)
        text += fmt::format("into: backbone {} of {}\n", place + 1, options.preset.name);
    if (o.copy == 0 && places.size() > 1)
        text += fmt::format("{} has {} copies of {}: all were filled (--copy N fills one)\n",
                            options.preset.name, places.size(), o.backbone);
    return text + fmt::format("model {} in {}, not trained: encoder and head have random weights\n",
                              files.id(), o.out);
}

Result<std::string> verify(const Options& o) {
    SCOPENODE_TRY(check_name(o.backbone));
    SCOPENODE_ASSIGN(const std::string bytes, read_file(o.input));
    SCOPENODE_ASSIGN(const auto image, ml::read_image(bytes, o.input));
    SCOPENODE_ASSIGN(const auto imported, read_weights(o));
    SCOPENODE_ASSIGN(const auto features, ml::run_backbone({o.backbone, 1, 1}, imported.tensors, image));
    SCOPENODE_TRY(write_file(real_files(), o.output, ml::tensor_file(std::span(&features, 1))));
    return described(imported) +
           fmt::format("features: {} in {}\n", fmt::join(features.shape, " x "), o.output);
}

Result<std::string> flatten(const Options& o) {
    SCOPENODE_TRY(limit_this_process(
        {.memory = std::uint64_t{3} << 30, .cpu_seconds = 120, .file = std::uint64_t{3} << 29}));
    const auto flat = guard(Code::kDamagedModel, [&] { return ml::flatten_h5(o.file); });
    if (!flat) return fail(flat.error());
    SCOPENODE_TRY(write_file(real_files(), o.out, *flat));
    return std::string();
}

void add_source(CLI::App& command, Options& o) {
    command.add_option("--backbone", o.backbone, "xception, efficientnet_b5, resnet152v2 or densenet201")
        ->required();
    command.add_option("FILE", o.file, "Keras Applications .h5, or .safetensors of timm or torchvision")
        ->required();
}

}  // namespace

void add_weights_command(CLI::App& app, int& exit_code) {
    CLI::App* group = app.add_subcommand("weights", "Published weights of the four CNNs into a model")
                          ->require_subcommand(1);
    auto o = std::make_shared<Options>();
    CLI::App* in = group->add_subcommand(
        "import", "Make a model folder that is not trained, or exchange a backbone in one: once per CNN");
    in->add_option("--preset", o->preset, "Name of a preset, or a file that holds one")->required();
    add_source(*in, *o);
    in->add_option("--out", o->out, "Folder of the model: new, or an untrained model of the same preset")
        ->required();
    in->add_option("--copy", o->copy, "Fill only this one of several copies of the backbone, from 1")
        ->check(CLI::Range(1, 8));
    in->add_option("--licence", o->licence, "Licence of the weights, kept with the model");
    in->add_option("--seed", o->seed, "Of the random weights of a new folder")->capture_default_str();
    in->callback([o, &exit_code] { exit_code = print(import(*o)); });
    CLI::App* check =
        group->add_subcommand("verify", "Run the imported backbone alone, to compare with Python");
    add_source(*check, *o);
    check->add_option("--input", o->input, "safetensors with `image`: N x 3 x H x W, float32 in [0,1]")
        ->required();
    check->add_option("--output", o->output, "safetensors to write `features` to")->required();
    check->callback([o, &exit_code] { exit_code = print(verify(*o)); });
    // The program's own child: see flatten_child.h.
    CLI::App* child = group->add_subcommand("flatten-h5", "")->group("");
    child->add_option("FILE", o->file)->required();
    child->add_option("OUT", o->out)->required();
    child->callback([o, &exit_code] { exit_code = print(flatten(*o)); });
}

}  // namespace scopenode::dicom_node
