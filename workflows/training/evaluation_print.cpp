#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "workflows/training/evaluate.h"

namespace scopenode::workflows {
namespace {

using nlohmann::ordered_json;

constexpr int kFew = 10;                 ///< positives or negatives
constexpr int kFewForCalibration = 150;  ///< ten in each of the bins

ordered_json number(double value) {
    return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json by_label(const std::function<ordered_json(std::size_t)>& value) {
    ordered_json out;
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) out[std::string(ml::kLabels[k])] = value(k);
    return out;
}
ordered_json by_label(const PerLabel& values) {
    return by_label([&](std::size_t k) { return number(values[k]); });
}

ordered_json share_json(const ml::Share& share) {
    return {{"value", number(share.value())},
            {"low", number(share.low())},
            {"high", number(share.high())},
            {"hits", share.hits},
            {"of", share.of}};
}

ordered_json predictor_json(const ml::MultiLabelFigures& f) {
    return {{"weighted_log_loss", number(f.weighted_log_loss)},
            {"mean_log_loss", number(f.mean_log_loss)},
            {"paper_eq3", number(f.paper_eq3)},
            {"weighted_accuracy", number(f.weighted_accuracy)},
            {"mean_accuracy", number(f.mean_accuracy)},
            {"mean_brier", number(f.mean_brier)},
            {"recall", share_json(f.recall())},
            {"log_loss", by_label(f.log_loss)},
            {"brier", by_label(f.brier)}};
}

ordered_json level_json(const LevelFigures& level) {
    ordered_json out;
    out["findings"] = by_label([&](std::size_t k) -> ordered_json {
        const auto& counts = level.model.at_threshold[k];
        return {{"positives", level.positives[k]},
                {"negatives", counts.specificity().of},
                {"unknown", level.unknown[k]},
                {"prevalence", number(level.baselines.prevalence[k])},
                {"auroc", number(level.auroc[k])},
                {"auprc", number(level.auprc[k])},
                {"threshold", level.thresholds[k]},
                {"sensitivity", share_json(counts.sensitivity())},
                {"specificity", share_json(counts.specificity())},
                {"ece", number(level.calibration_error[k])},
                {"brier", number(level.model.brier[k])},
                {"brier_of_prevalence", number(level.baselines.constant_prevalence.brier[k])},
                {"log_loss", number(level.model.log_loss[k])},
                {"log_loss_of_prevalence", number(level.baselines.constant_prevalence.log_loss[k])},
                {"calibration_slope", number(level.line[k].slope)},
                {"calibration_intercept", number(level.line[k].intercept)}};
    });
    out["model"] = predictor_json(level.model);
    out["all_negative"] = predictor_json(level.baselines.all_negative);
    out["constant_prevalence"] = predictor_json(level.baselines.constant_prevalence);
    return out;
}

std::string text_of(double value, int digits = 3) {
    return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

std::string text_of(const ml::Share& share) {
    if (share.of == 0) return "-";
    return fmt::format("{:.2f} ({:.2f} to {:.2f})", share.value(), share.low(), share.high());
}

/// Rows of cells, each column as wide as its widest cell.
class Table {
  public:
    explicit Table(std::vector<std::string> head) { add(std::move(head)); }
    void add(std::vector<std::string> row) {
        widths_.resize(std::max(widths_.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], row[i].size());
        rows_.push_back(std::move(row));
    }
    std::string text() const {
        std::string out;
        for (const auto& row : rows_) {
            std::string line = " ";
            for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format(" {:<{}} ", row[i], widths_[i]);
            out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
        }
        return out;
    }

  private:
    std::vector<std::vector<std::string>> rows_;
    std::vector<std::size_t> widths_;
};

std::string name(std::size_t label) {
    return std::string(ml::kLabels[label]);
}

std::string counts_text(const LevelFigures& level, std::size_t label) {
    return fmt::format("{} of {}", level.positives[label], level.model.at_threshold[label].accuracy().of);
}

std::string predictors_table(const LevelFigures& level, const char* thresholds) {
    const auto &m = level.model, &n = level.baselines.all_negative, &p = level.baselines.constant_prevalence;
    Table table({"", "model", "all negative", "prevalence alone"});
    const auto row = [&](const std::string& what, double ml::MultiLabelFigures::*figure) {
        table.add({what, text_of(m.*figure, 4), text_of(n.*figure, 4), text_of(p.*figure, 4)});
    };
    using F = ml::MultiLabelFigures;
    row("weighted log loss (RSNA)", &F::weighted_log_loss);
    row("mean log loss", &F::mean_log_loss);
    row("Eq. 3 of the paper (sum)", &F::paper_eq3);
    row("mean Brier score", &F::mean_brier);
    row(std::string("weighted accuracy at ") + thresholds, &F::weighted_accuracy);
    row(std::string("mean accuracy at ") + thresholds, &F::mean_accuracy);
    return table.text();
}

std::string studies_text(const Evaluation& e) {
    const auto& s = e.study;
    Table ranking(
        {"finding", "positive", "AUC", "AUC of highest HU", "of dense volume", "AUPRC", "prevalence"});
    Table judging({"finding", "threshold", "sensitivity (95 %)", "specificity (95 %)", "ECE", "Brier",
                   "of prevalence"});
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        ranking.add({name(k), counts_text(s, k), text_of(s.auroc[k]), text_of(e.highest_hu_auroc[k]),
                     text_of(e.dense_volume_auroc[k]), text_of(s.auprc[k]),
                     text_of(s.baselines.prevalence[k])});
        const auto& counts = s.model.at_threshold[k];
        judging.add({name(k), text_of(s.thresholds[k]), text_of(counts.sensitivity()),
                     text_of(counts.specificity()), text_of(s.calibration_error[k]),
                     text_of(s.model.brier[k]), text_of(s.baselines.constant_prevalence.brier[k])});
    }
    const ml::CalibrationLine& line = s.line[0];
    const std::string fitted =
        std::isfinite(line.slope)
            ? fmt::format("slope {:.2f}, intercept {:.2f} (1 and 0 are right)", line.slope, line.intercept)
            : "no line can be fitted (one class, or parted without overlap)";
    return fmt::format("Studies: {}, calibrated probabilities\n\n{}\n{}\n{}\n  calibration of any: {}\n",
                       e.studies, ranking.text(), judging.text(), predictors_table(s, "thresholds"), fitted);
}

std::string slices_text(const Evaluation& e) {
    const auto& s = e.slice;
    Table table(
        {"finding", "positive", "AUC", "AUPRC", "prevalence", "recall (95 %)", "log loss", "of prevalence"});
    for (std::size_t k = 0; k < ml::kLabelCount; ++k)
        table.add({name(k), counts_text(s, k), text_of(s.auroc[k]), text_of(s.auprc[k]),
                   text_of(s.baselines.prevalence[k]), text_of(s.model.at_threshold[k].sensitivity()),
                   text_of(s.model.log_loss[k], 4), text_of(s.baselines.constant_prevalence.log_loss[k], 4)});
    return fmt::format("Slices: {}, raw probabilities, threshold 0.5\n\n{}\n{}", e.slices, table.text(),
                       predictors_table(s, "0.5"));
}

/// "any, epidural and subdural" of the labels that something holds for; "" for none.
std::string labels_where(const std::function<bool(std::size_t)>& holds) {
    std::vector<std::string> names;
    for (std::size_t k = 0; k < ml::kLabelCount; ++k)
        if (holds(k)) names.push_back(name(k));
    if (names.size() == ml::kLabelCount) return "every finding";
    std::string out;
    for (std::size_t i = 0; i < names.size(); ++i)
        out += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
    return out;
}

void level_remarks(const LevelFigures& level, int count, const char* what, std::vector<std::string>& out) {
    const auto& b = level.baselines;
    // The prevalence of so few is nearly their truth: nothing could be better.
    if (count < kFew)
        return out.push_back(
            fmt::format("{}: only {} of them, too few to compare with a guess.", what, count));
    // Written so that a figure that does not exist counts as no better.
    if (!(level.model.weighted_log_loss < b.constant_prevalence.weighted_log_loss))
        out.push_back(fmt::format(
            "{}: the weighted log loss is NO BETTER than that of the prevalence alone ({} against {}).", what,
            text_of(level.model.weighted_log_loss, 4), text_of(b.constant_prevalence.weighted_log_loss, 4)));
    const double guess = std::max(b.all_negative.weighted_accuracy, b.constant_prevalence.weighted_accuracy);
    if (!(level.model.weighted_accuracy > guess))
        out.push_back(fmt::format(
            "{}: the accuracy is NO BETTER than giving the commoner answer for everything ({} against {}).",
            what, text_of(level.model.weighted_accuracy, 4), text_of(guess, 4)));
    const std::string weak = labels_where([&](std::size_t k) {
        return std::isfinite(b.prevalence[k]) && !(level.model.brier[k] < b.constant_prevalence.brier[k]);
    });
    if (!weak.empty())
        out.push_back(fmt::format(
            "{}: the probabilities say NO MORE than the prevalence for {} (Brier score).", what, weak));
    const std::string unknown = labels_where([&](std::size_t k) { return level.unknown[k] > 0; });
    if (!unknown.empty())
        out.push_back(fmt::format("{}: some labels of {} are unknown and do not count.", what, unknown));
}

}  // namespace

std::vector<std::string> evaluation_remarks(const Evaluation& e) {
    std::vector<std::string> out;
    level_remarks(e.study, e.studies, "Studies", out);
    const std::string beaten = labels_where([&](std::size_t k) {
        return e.study.auroc[k] <= std::max(e.highest_hu_auroc[k], e.dense_volume_auroc[k]);
    });
    if (!beaten.empty())
        out.push_back(fmt::format(
            "Studies: the highest HU or the volume of dense voxels alone ranks them at least as well for {}.",
            beaten));
    const std::string few = labels_where([&](std::size_t k) {
        return e.study.positives[k] < kFew || e.study.model.at_threshold[k].specificity().of < kFew;
    });
    if (!few.empty())
        out.push_back(fmt::format(
            "Studies: fewer than {} positive or negative ones for {}: read the intervals.", kFew, few));
    if (e.studies < kFewForCalibration)
        out.push_back(fmt::format("Studies: the ECE of fewer than {} is mostly chance.", kFewForCalibration));
    level_remarks(e.slice, e.slices, "Slices", out);
    return out;
}

std::string evaluation_json(const Evaluation& e) {
    ordered_json out{{"model", e.model}, {"data", e.data}, {"studies", e.studies}, {"slices", e.slices}};
    out["positive_studies"] = by_label([&](std::size_t k) { return ordered_json(e.study.positives[k]); });
    out["study_auroc"] = by_label(e.study.auroc);
    out["sensitivity"] =
        by_label([&](std::size_t k) { return number(e.study.model.at_threshold[k].sensitivity().value()); });
    out["specificity"] =
        by_label([&](std::size_t k) { return number(e.study.model.at_threshold[k].specificity().value()); });
    out["slice_log_loss"] = number(e.slice.model.weighted_log_loss);
    out["baselines"] = {{"highest_hu", by_label(e.highest_hu_auroc)},
                        {"dense_volume", by_label(e.dense_volume_auroc)}};
    out["study_level"] = level_json(e.study);
    out["slice_level"] = level_json(e.slice);
    out["remarks"] = evaluation_remarks(e);
    out["slices_per_second"] = e.slices_per_second;
    return out.dump(2);
}

std::string evaluation_table(const Evaluation& e) {
    std::string text =
        fmt::format("model {} on {}\n\n{}\n{}\n", e.model, e.data, studies_text(e), slices_text(e));
    for (const std::string& remark : evaluation_remarks(e)) text += remark + "\n";
    return text + fmt::format("{:.1f} slices a second\n", e.slices_per_second);
}

}  // namespace scopenode::workflows
