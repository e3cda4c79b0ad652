#include "ml/torch/trainer_report.h"

#include <cmath>

namespace scopenode::ml {

using nlohmann::json;

json report_json(const EpochReport& report) {
    return {{"epoch", report.epoch},
            {"train_loss", report.train_loss},
            {"validation_loss", report.validation_loss},
            {"validation_auroc", report.validation_auroc},
            {"slices_per_second", report.slices_per_second},
            {"waiting_share", report.waiting_share},
            {"peak_memory_mb", report.peak_memory_mb},
            {"slices", report.slices}};
}

EpochReport report_of(const json& j) {
    EpochReport report;
    report.epoch = j.at("epoch");
    report.train_loss = j.at("train_loss");
    report.validation_loss = j.at("validation_loss");
    report.slices_per_second = j.at("slices_per_second");
    // Checkpoints from before these were kept still fit.
    report.waiting_share = j.value("waiting_share", 0.0);
    report.peak_memory_mb = j.value("peak_memory_mb", 0.0);
    report.slices = j.value("slices", std::size_t(0));
    for (std::size_t k = 0; k < kLabelCount; ++k) {
        const json& value = j.at("validation_auroc").at(k);
        report.validation_auroc[k] = value.is_null() ? std::nan("") : value.get<double>();
    }
    return report;
}

namespace {

json slice_figures(const MultiLabelFigures& f) {
    return {{"weighted_log_loss", f.weighted_log_loss},
            {"paper_eq3", f.paper_eq3},
            {"weighted_accuracy", f.weighted_accuracy},
            {"mean_brier", f.mean_brier}};
}

}  // namespace

namespace {

json options_json(const TrainOptions& options) {
    return {{"preset", options.preset.name},
            {"epochs", options.epochs},
            {"batch", options.batch},
            {"learning_rate", options.learning_rate},
            {"weight_decay", options.weight_decay},
            {"seed", options.seed},
            {"loss", word(options.loss)},
            {"validation_share", options.validation_share},
            {"depth", word(options.depth)},
            {"cnn_rate", options.cnn_rate},
            {"distillation", options.distillation},
            {"rehearsal_share", options.rehearsal_share},
            {"patience", options.patience},
            {"precision", options.precision},
            {"natural_epochs", options.natural_epochs}};
}

/// How the model was made, in a sentence or two.
std::string training_words(const TrainOptions& options, const Manifest& manifest, const RunFigures& figures) {
    if (options.depth == Depth::kCalibration)
        return fmt::format(
            "Preset `{}`, the weights of model {}; only calibration and thresholds were fitted again, on: "
            "{}.\n\n",
            options.preset.name, manifest.parent, manifest.data_snapshot);
    std::string text = fmt::format(
        "Preset `{}`, trained on {} slices of: {}.\n\n"
        "{} epochs, batch {}, learning rate {}, weight decay {}, seed {}, loss {}.\n\n",
        options.preset.name, figures.training_slices, manifest.data_snapshot, options.epochs, options.batch,
        options.learning_rate, options.weight_decay, options.seed, word(options.loss));
    if (options.from)
        text +=
            fmt::format("Fine-tuned from model {}: depth {}, distillation {}, {} rehearsal slices.\n\n",
                        manifest.parent, word(options.depth), options.distillation, figures.rehearsal_slices);
    if (options.patience > 0)
        text += fmt::format("The average of epoch {} was kept.\n\n", figures.kept_epoch);
    if (!figures.skipped.empty())
        text += fmt::format("{} slices could not be read and were left out.\n\n", figures.skipped.size());
    return text;
}

}  // namespace

std::string metrics_json(const TrainOptions& options, const std::vector<EpochReport>& history,
                         const RunFigures& figures) {
    json epochs = json::array(), auroc = json::object();
    for (const auto& report : history) epochs.push_back(report_json(report));
    for (std::size_t k = 0; k < kLabelCount; ++k)
        auroc[std::string(kLabels[k])] = figures.validation_auroc[k];
    return json{{"options", options_json(options)},
                {"training",
                 {{"slices", figures.training_slices},
                  {"rehearsal_slices", figures.rehearsal_slices},
                  {"kept_epoch", figures.kept_epoch}}},
                {"skipped", figures.skipped},
                {"validation",
                 {{"slices", figures.validation_slices},
                  {"studies", figures.validation_studies},
                  {"study_auroc", auroc},
                  {"slice_figures", slice_figures(figures.validation)},
                  {"of_all_negative", slice_figures(figures.baselines.all_negative)},
                  {"of_prevalence", slice_figures(figures.baselines.constant_prevalence)}}},
                {"epochs", epochs}}
               .dump(2) +
           "\n";
}

std::string plain_card(const TrainOptions& options, const Manifest& manifest, const RunFigures& figures) {
    std::string text = fmt::format(
        "# {}\n\n{}{}| finding | study AUC on {} validation studies | threshold |\n|---|---|---|\n",
        manifest.name, manifest.demonstration ? "**A demonstration: never for patients.**\n\n" : "",
        training_words(options, manifest, figures), figures.validation_studies);
    for (std::size_t k = 0; k < kLabelCount; ++k)
        text += fmt::format("| {} | {:.3f} | {:.3f} |\n", kLabels[k], figures.validation_auroc[k],
                            manifest.thresholds[k]);
    const double loss = figures.validation.weighted_log_loss,
                 guess = figures.baselines.constant_prevalence.weighted_log_loss;
    if (figures.validation_slices > 0)
        text += fmt::format(
            "\nWeighted log loss over {} validation slices {:.4f}; of their prevalence alone {:.4f}{}.\n",
            figures.validation_slices, loss, guess, loss < guess ? "" : ": the model is NO BETTER than that");
    text += options.from ? "\nCalibration was fitted on these validation studies where a finding has 5 with "
                           "it and 5 without, a "
                           "threshold where it has 30 and 30; otherwise those of the parent stay.\n"
                         : "\nThresholds and calibration were fitted on these same validation studies.\n";
    return text;
}

}  // namespace scopenode::ml
