#include <regex>

#include "config/settings.h"
#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "workflows/node.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::vector<std::string> paths;
    std::string out, model, node, device = "auto", precision;
    int threads = 0;
    int batch = 8;
    bool rsna_rescale_quirk = false;
};

Status infer(const Options& o) {
    static const std::regex devices("auto|cpu|cuda:[0-9]{1,2}");
    if (!std::regex_match(o.device, devices))
        return fail(Code::kInvalidArgument, "--device is auto, cpu or cuda:N, not '{}'", o.device);
    workflows::OfflineOptions options;
    for (const std::string& path : o.paths) {
        std::error_code ec;
        if (!fs::exists(path, ec)) return fail(Code::kNotFound, "{} does not exist", path);
        options.inputs.push_back(path);
    }
    options.out = o.out;
    options.program_version = program_version();
    options.decoder = decoder_command();
    options.rsna_rescale_quirk = o.rsna_rescale_quirk;
    std::string precision = o.precision;
    if (!o.node.empty()) {
        SCOPENODE_ASSIGN(const auto settings, config::load_settings(o.node));
        options.minimum_slices = settings.intake.minimum_slices;
        options.time_zone = settings.site.time_zone;
        if (precision.empty()) precision = settings.inference.precision;
        options.rsna_rescale_quirk |= settings.inference.rsna_rescale_quirk;
        options.abstain = settings.inference.abstain_unlike_training;
    }
    SCOPENODE_ASSIGN(const auto files, chosen_model(o.node, o.model));
    SCOPENODE_ASSIGN(options.model,
                     ml::Model::load(files, {o.device, o.threads, o.batch, ml::precision_named(precision)}));
    const SystemClock clock;
    return workflows::infer_offline(options, clock);
}

}  // namespace

void add_infer_command(CLI::App& app, int& exit_code) {
    CLI::App* command =
        app.add_subcommand("infer", "Analyse files without a network: results.json and the reports");
    auto o = std::make_shared<Options>();
    command->add_option("PATH", o->paths, "DICOM files and folders")->required();
    command->add_option("--out", o->out, "Folder for the results")->required();
    command->add_option("--model", o->model, "Id of a registered model, or a model folder");
    command->add_option("--node", o->node, "Use this node's model and settings; nothing is written to it");
    command->add_option("--device", o->device, "auto, cpu or cuda:N")->capture_default_str();
    command->add_option("--threads", o->threads, "CPU threads, 0: one per core")->check(CLI::Range(0, 1024));
    command->add_option("--batch", o->batch, "Slices in one pass")
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    command->add_option("--precision", o->precision, "fp32 (default) or bf16: the CNNs' numbers")
        ->check(CLI::IsMember({"fp32", "bf16"}));
    add_rescale_option(*command, o->rsna_rescale_quirk);
    command->callback([o, &exit_code] {
        const Status done = infer(*o);
        exit_code = done ? 0 : report(done.error());
    });
}

}  // namespace scopenode::dicom_node
