#include <nlohmann/json.hpp>
#include <regex>

#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "dicom_node/app/stdin_watch.h"
#include "ml/shards.h"
#include "ml/trainer.h"
#include "storage/dicom/rescale.h"
#include "workflows/training/folder_dataset.h"
#include "workflows/training/rehearsal_set.h"
#include "workflows/training/snapshot_dataset.h"

namespace scopenode::dicom_node {
namespace {

struct Options {
    std::string data, objects, rehearsal, preset, from, windows, loss = "rsna", depth = "all",
                                                                 progress = "text";
    ml::TrainOptions train;
    std::string out;
    bool rsna_rescale_quirk = false, watch_stdin = false;

    bool json() const { return progress == "json"; }
};

/// One object a line, for a program that reads them as they come.
void print_event(const nlohmann::json& event) {
    fmt::print("{}\n", event.dump());
    std::fflush(stdout);
}

nlohmann::json epoch_event(const ml::EpochReport& r, int epochs) {
    nlohmann::json auroc = nlohmann::json::object();
    for (std::size_t k = 0; k < ml::kLabelCount; ++k)
        auroc[std::string(ml::kLabels[k])] = r.validation_auroc[k];
    return {{"event", "epoch"},
            {"epoch", r.epoch},
            {"epochs", epochs},
            {"train_loss", r.train_loss},
            {"validation_loss", r.validation_loss},
            {"validation_auroc", auroc},
            {"slices", r.slices},
            {"slices_per_second", r.slices_per_second},
            {"waiting_share", r.waiting_share},
            {"peak_memory_mb", r.peak_memory_mb}};
}

void print_epoch(const ml::EpochReport& r) {
    const bool judged = r.validation_loss > 0;  // a mean of logarithms of probabilities under 1
    fmt::print("epoch {}: loss {:.4f}, {}, {} slices, {:.1f} slices/s, {:.0f} % waiting, {:.0f} MB", r.epoch,
               r.train_loss,
               judged ? fmt::format("validation loss {:.4f}", r.validation_loss) : "nothing to validate on",
               r.slices, r.slices_per_second, 100 * r.waiting_share, r.peak_memory_mb);
    if (judged) fmt::print(", study AUC");
    for (std::size_t k = 0; judged && k < ml::kLabelCount; ++k)
        fmt::print(" {} {:.3f}", ml::kLabels[k], r.validation_auroc[k]);
    fmt::print("\n");
    std::fflush(stdout);
}

/// The words of the command line as the trainer's options.
Status read_options(Options& o) {
    static const std::regex devices("auto|cpu|cuda:[0-9]{1,2}");
    if (!std::regex_match(o.train.device, devices))
        return fail(Code::kInvalidArgument, "--device is auto, cpu or cuda:N, not '{}'", o.train.device);
    auto preset = chosen_preset(o.preset);
    if (!preset) return fail(Code::kInvalidArgument, "{}", preset.error().message);
    o.train.preset = std::move(*preset);
    if (!o.windows.empty()) {
        SCOPENODE_ASSIGN(o.train.preset.windows, ml::parse_windows(o.windows));
    }
    o.train.loss = o.loss == "paper_eq3" ? ml::Loss::kPaperEq3 : ml::Loss::kRsna;
    SCOPENODE_ASSIGN(o.train.depth, ml::depth_named(o.depth));
    o.train.out = o.out;
    if (!o.from.empty()) {
        SCOPENODE_ASSIGN(o.train.from, chosen_model("", o.from));
    }
    return {};
}

void print_data(const ml::TrainingSet& data, bool json) {
    if (json)
        return print_event({{"event", "data"},
                            {"description", data.description()},
                            {"slices", data.size()},
                            {"skipped", data.skipped()}});
    fmt::print("{}\n", data.description());
    for (const auto& skipped : data.skipped()) fmt::print("left out: {}\n", skipped);
    std::fflush(stdout);
}

/// Shards, or DICOM files with their labels.
Result<std::unique_ptr<ml::TrainingSet>> folder_of(const std::string& path, bool rsna_rescale_quirk) {
    auto shards = ml::ShardSet::open(path);
    if (shards && rsna_rescale_quirk)
        return fail(Code::kInvalidArgument,
                    "{} holds HU as they were converted: --rsna-rescale-quirk is for `train convert`", path);
    if (shards) return std::unique_ptr<ml::TrainingSet>(std::move(*shards));
    if (shards.error().code != Code::kNotFound) return fail(shards.error());
    SCOPENODE_ASSIGN(auto files,
                     workflows::FolderDataset::open(path, storage::rescale_of(rsna_rescale_quirk)));
    return std::unique_ptr<ml::TrainingSet>(std::move(files));
}

/// A folder, with what is to be rehearsed; or the snapshot of a node.
Result<std::unique_ptr<ml::TrainingSet>> data_of(const Options& o) {
    std::error_code ec;
    if (std::filesystem::is_regular_file(o.data, ec)) {
        SCOPENODE_ASSIGN(auto snapshot, workflows::SnapshotDataset::open(o.data, o.objects));
        return std::unique_ptr<ml::TrainingSet>(std::move(snapshot));
    }
    SCOPENODE_ASSIGN(auto data, folder_of(o.data, o.rsna_rescale_quirk));
    if (o.rehearsal.empty()) return data;
    SCOPENODE_ASSIGN(auto earlier, folder_of(o.rehearsal, o.rsna_rescale_quirk));
    return workflows::with_rehearsal(std::move(data), std::move(earlier));
}

Status train(Options& o) {
    if (o.watch_stdin) end_with_stdin();
    SCOPENODE_TRY(read_options(o));
    SCOPENODE_ASSIGN(const auto data, data_of(o));
    if (const auto* stored = data->stored(); stored && stored->side() < o.train.preset.input_size)
        return fail(Code::kInvalidArgument,
                    "{} holds slices of {} x {} pixels and {} takes {}: convert with --size {}", o.data,
                    stored->side(), stored->side(), o.train.preset.name, o.train.preset.input_size,
                    o.train.preset.input_size);
    print_data(*data, o.json());
    int epochs = 0;
    std::size_t seen = 0;
    SCOPENODE_TRY(ml::train(o.train, *data, [&](const ml::EpochReport& report) {
        ++epochs;
        seen += report.slices;
        if (o.json())
            print_event(epoch_event(report, o.train.epochs));
        else
            print_epoch(report);
    }));
    SCOPENODE_ASSIGN(const auto made, ml::read_model_folder(o.out));
    SCOPENODE_ASSIGN(const auto manifest, ml::parse_manifest(made.manifest_json));
    if (!manifest.range.known())
        fmt::print(
            stderr,
            "scopenode: too few studies for a training range: the model cannot tell what is unlike them\n");
    if (manifest.data_licence.empty() && !o.json())
        fmt::print(stderr, "scopenode: no --data-licence was given: `models import` will ask for it\n");
    if (o.json())
        print_event({{"event", "done"},
                     {"model", made.id()},
                     {"out", o.out},
                     {"epochs", epochs},
                     {"slices_seen", seen},
                     {"frozen_features_cached", false}});
    else
        fmt::print("{} epochs here, {} slices seen, features of frozen parts not cached\nmodel {} in {}\n",
                   epochs, seen, made.id(), o.out);
    return {};
}

/// What matters when a trained model goes on learning.
void add_tuning_options(CLI::App& run, Options& o) {
    auto& t = o.train;
    run.add_option("--depth", o.depth,
                   "What learns: calibration (nothing, thresholds are fitted again), head, encoder or all")
        ->check(CLI::IsMember({"calibration", "head", "encoder", "all"}))
        ->capture_default_str();
    run.add_option("--cnn-rate", t.cnn_rate, "Factor on the learning rate of the CNNs")
        ->capture_default_str();
    run.add_option("--distillation", t.distillation, "Weight of staying near what --from says")
        ->capture_default_str();
    run.add_option("--rehearsal", o.rehearsal, "Folder of earlier data, so that they are not forgotten");
    run.add_option("--rehearsal-share", t.rehearsal_share,
                   "Share of earlier data in each epoch, where there are some")
        ->check(CLI::Range(0.0, 0.99))
        ->capture_default_str();
    run.add_option("--patience", t.patience,
                   "Stop after so many epochs that were not better and keep the best; 0: never")
        ->check(CLI::Range(0, 10000))
        ->capture_default_str();
    run.add_option("--natural-epochs", t.natural_epochs,
                   "Last epochs that draw negatives as often as they are; before, one of three")
        ->check(CLI::Range(0, 10000))
        ->capture_default_str();
    run.add_option("--precision", t.precision,
                   "Of the arithmetic: fp32, or bf16 (weights stay 32-bit floats)")
        ->check(CLI::IsMember({"fp32", "bf16"}))
        ->capture_default_str();
    run.add_option("--version", t.version, "Version of the model in its manifest")->capture_default_str();
    run.add_option("--progress", o.progress, "text, or json: one object a line and nothing else on stdout")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    run.add_flag("--watch-stdin", o.watch_stdin, "End with status 1 when standard input closes");
}

struct ConvertOptions {
    std::string data;
    ml::ShardOptions shards;
    bool rsna_rescale_quirk = false;
};

std::string counted(std::size_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

Result<std::string> convert(const ConvertOptions& o) {
    SCOPENODE_ASSIGN(const auto data,
                     workflows::FolderDataset::open(o.data, storage::rescale_of(o.rsna_rescale_quirk)));
    const auto before = ml::read_shard_list(o.shards.out);
    SCOPENODE_TRY(ml::write_shards(*data, o.shards, real_files()));
    SCOPENODE_ASSIGN(const auto list, ml::read_shard_list(o.shards.out));
    // What was there may have been damaged since.
    SCOPENODE_ASSIGN([[maybe_unused]] const auto checked, ml::ShardSet::open(o.shards.out));
    std::string text;
    for (const auto& skipped : list.all_skipped()) text += fmt::format("left out: {}\n", skipped);
    const std::size_t there = before ? before->shards.size() : 0;
    return text +
           fmt::format("{}: {} of {} x {} pixels ({} were there already), {} files left out; all checked: {}",
                       list.description, counted(list.shards.size(), "shard"), list.side, list.side, there,
                       list.all_skipped().size(), o.shards.out.string());
}

void add_convert_command(CLI::App& group, int& exit_code) {
    CLI::App* command = group.add_subcommand(
        "convert",
        "Make shards of a large folder: read once, trained from without DICOM; goes on after a break");
    auto o = std::make_shared<ConvertOptions>();
    command
        ->add_option("DATA", o->data, "Folder of DICOM files with labels.csv or Kaggle's stage_2_train.csv")
        ->required();
    command->add_option("--out", o->shards.out, "Folder for the shards")->required();
    command->add_option("--size", o->shards.side, "Pixels, the input size of the model to be trained")
        ->check(CLI::Range(32, 2048))
        ->capture_default_str();
    command->add_option("--per-shard", o->shards.per_shard, "Slices a file")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    add_rescale_option(*command, o->rsna_rescale_quirk);
    command->callback([o, &exit_code] {
        const auto done = convert(*o);
        exit_code = done ? print(done) : report(done.error());
    });
}

}  // namespace

void add_train_command(CLI::App& app, int& exit_code) {
    CLI::App* group = app.add_subcommand("train", "Training")->require_subcommand(1);
    add_train_node_commands(*group, exit_code);
    add_convert_command(*group, exit_code);
    CLI::App* run =
        group->add_subcommand("run", "Train on a folder of DICOM files with a labels.csv; can be resumed");
    auto o = std::make_shared<Options>();
    auto& t = o->train;
    run->add_option("DATA", o->data,
                    "Folder with labels.csv or stage_2_train.csv, as `scopenode phantom` or the RSNA set has "
                    "it; shards of "
                    "`train convert`; or a node's snapshot")
        ->required();
    run->add_option("--objects", o->objects, "Folder of the node whose snapshot DATA is");
    run->add_option("--preset", o->preset, "Name of a preset, or a file that holds one")->required();
    run->add_option("--out", o->out, "Folder of the model; checkpoints while it trains")->required();
    run->add_option("--from", o->from, "Fine-tune this model: a folder or an id");
    run->add_option("--windows", o->windows,
                    "Instead of the preset's: default, paper_literal, or LEVEL/WIDTH of each channel as "
                    "40/80,80/200,40/380");
    run->add_option("--loss", o->loss,
                    "rsna: weighted mean, any twice; paper_eq3: plain sum over the six labels")
        ->check(CLI::IsMember({"rsna", "paper_eq3"}))
        ->capture_default_str();
    run->add_flag("--resume", t.resume, "Go on from the checkpoint in --out");
    run->add_option("--epochs", t.epochs, "Passes over the data")
        ->check(CLI::Range(1, 10000))
        ->capture_default_str();
    run->add_option("--batch", t.batch, "Slices a step")->check(CLI::Range(1, 4096))->capture_default_str();
    run->add_option("--learning-rate", t.learning_rate, "Highest, after warm-up")->capture_default_str();
    run->add_option("--weight-decay", t.weight_decay, "Of matrices and kernels")->capture_default_str();
    run->add_option("--validation-share", t.validation_share, "Share of patients kept aside")
        ->check(CLI::Range(0.0, 0.9))
        ->capture_default_str();
    run->add_option("--seed", t.seed, "Of weights, order and augmentation")->capture_default_str();
    run->add_option("--threads", t.threads,
                    "CPU threads of LibTorch, 0: one, which is the fastest for small models")
        ->check(CLI::Range(0, 1024));
    run->add_option("--device", t.device, "auto, cpu or cuda:N")->capture_default_str();
    run->add_option("--name", t.name, "Name of the model in reports");
    run->add_option("--data-licence", t.data_licence, "Licence of the training data");
    add_tuning_options(*run, *o);
    add_rescale_option(*run, o->rsna_rescale_quirk);
    run->add_flag("--demonstration", t.demonstration, "Mark the model as never for patients");
    run->callback([o, &exit_code] {
        const Status done = train(*o);
        exit_code = done ? 0 : report(done.error());
    });
}

}  // namespace scopenode::dicom_node
