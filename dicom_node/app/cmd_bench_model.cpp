#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "ml/bench.h"
#include "ml/weights/untrained.h"
#include "storage/dicom/pixels.h"

namespace scopenode::dicom_node {
namespace {

struct Options {
    std::string preset, model, device = "auto";
    std::vector<std::string> slices;
    int input_size = 0, batch = 8, count = 8, rounds = 5, steps = 20, threads = 0;
    double learning_rate = 1e-4;
    std::uint64_t seed = 1;
};

Result<ml::Preset> preset_of(const Options& o) {
    SCOPENODE_ASSIGN(auto preset, chosen_preset(o.preset));
    if (o.input_size > 0) preset = ml::resized(preset, o.input_size);
    SCOPENODE_TRY(ml::check_preset(preset));
    return preset;
}

/// The files given, or phantoms.
Result<ml::BenchSlices> slices_of(const Options& o) {
    if (o.slices.empty()) return ml::bench_slices(o.count);
    ml::BenchSlices out;
    for (const std::string& file : o.slices) {
        SCOPENODE_ASSIGN(auto image, storage::read_hu(file));
        out.images.push_back(std::move(image));
        // What a file shows is not known: made-up labels, different for each, are enough to be learnt by
        // heart.
        ml::Scores labels{};
        labels[0] = out.images.size() % 2 == 1 ? 1.0F : 0.0F;
        labels[1 + out.images.size() % (ml::kLabelCount - 1)] = labels[0];
        out.labels.push_back(labels);
    }
    return out;
}

Result<std::string> bench_infer(const Options& o) {
    SCOPENODE_ASSIGN(const auto slices, slices_of(o));
    ml::ModelFiles files;
    if (o.preset.empty()) {
        SCOPENODE_ASSIGN(files, chosen_model("", o.model));
    } else {
        SCOPENODE_ASSIGN(const auto preset, preset_of(o));
        SCOPENODE_ASSIGN(files, ml::random_model(preset, o.seed));
    }
    return ml::inference_report(files, {o.device, o.threads, o.batch}, slices.images, o.rounds);
}

Result<std::string> bench_train(const Options& o) {
    SCOPENODE_ASSIGN(const auto slices, slices_of(o));
    ml::FineTuneOptions options;
    SCOPENODE_ASSIGN(options.preset, preset_of(o));
    options.seed = o.seed;
    options.steps = o.steps;
    options.learning_rate = o.learning_rate;
    options.device = o.device;
    options.threads = o.threads;
    return ml::fine_tuning_report(options, slices.images, slices.labels);
}

void add_common(CLI::App& command, const std::shared_ptr<Options>& o) {
    command.add_option("--input-size", o->input_size,
                       "Pixels instead of the preset's: a smaller network to try out");
    command.add_option("--slices", o->slices, "DICOM files instead of phantoms");
    command.add_option("--count", o->count, "Phantom slices")
        ->check(CLI::Range(2, 4096))
        ->capture_default_str();
    command.add_option("--seed", o->seed, "Of the random weights")->capture_default_str();
    command.add_option("--device", o->device, "auto, cpu or cuda:N")->capture_default_str();
    command.add_option("--threads", o->threads, "CPU threads, 0: one per core")->check(CLI::Range(0, 1024));
}

}  // namespace

void add_bench_model_commands(CLI::App& bench, int& exit_code) {
    auto o = std::make_shared<Options>();
    CLI::App* infer = bench.add_subcommand("infer", "Scoring in 32-bit floats and in bfloat16, as JSON");
    auto* preset = infer->add_option("--preset", o->preset, "A preset with random weights");
    infer->add_option("--model", o->model, "A model folder or id (default: the built-in model)")
        ->excludes(preset);
    infer->add_option("--batch", o->batch, "Slices in one pass")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    infer->add_option("--rounds", o->rounds)->check(CLI::Range(1, 1000))->capture_default_str();
    add_common(*infer, o);
    infer->callback([o, &exit_code] { exit_code = print(bench_infer(*o)); });

    auto t = std::make_shared<Options>();
    t->count = 4;
    CLI::App* train = bench.add_subcommand(
        "train",
        "Fine-tunes a preset's random weights on one fixed batch: losses, what moved, time, as JSON");
    train->add_option("--preset", t->preset, "Name of a preset")->required();
    train->add_option("--steps", t->steps)->check(CLI::Range(1, 10000))->capture_default_str();
    train->add_option("--learning-rate", t->learning_rate)->capture_default_str();
    add_common(*train, t);
    train->callback([t, &exit_code] { exit_code = print(bench_train(*t)); });
}

}  // namespace scopenode::dicom_node
