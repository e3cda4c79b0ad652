#include "workflows/training/evaluate.h"

#include <chrono>
#include <cmath>

#include "base/core/progress.h"
#include "ml/aggregate.h"
#include "ml/phantom/phantom.h"

namespace scopenode::workflows {
namespace {

using ml::Probabilities;

/// Rows of studies or of slices.
struct Rows {
    std::vector<Probabilities> raw, probabilities;
    std::vector<ml::Truth> truth;
};

Probabilities as_doubles(const ml::Scores& scores) {
    Probabilities out{};
    std::copy(scores.begin(), scores.end(), out.begin());
    return out;
}

/// One known positive slice makes a study positive; one unknown among negatives leaves it unknown.
SliceLabels study_truth(std::span<const FolderSlice> slices) {
    SliceLabels truth;
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        bool known = true, positive = false;
        for (const auto& slice : slices) {
            known = known && slice.labels[k].has_value();
            positive = positive || slice.labels[k].value_or(false);
        }
        if (known || positive) truth[k] = positive;
    }
    return truth;
}

LevelFigures figures_of(const Rows& rows, const PerLabel& thresholds) {
    LevelFigures out;
    out.thresholds = thresholds;
    out.model = ml::figures_of(rows.probabilities, rows.truth, thresholds);
    out.baselines = ml::baselines_of(rows.truth);
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        const auto raw = ml::column_of(rows.raw, rows.truth, k);
        const auto said = ml::column_of(rows.probabilities, rows.truth, k);
        out.auroc[k] = ml::auroc(raw.scores, raw.truth);
        out.auprc[k] = ml::auprc(raw.scores, raw.truth);
        out.calibration_error[k] = ml::calibration_error(said.scores, said.truth);
        out.line[k] = ml::calibration_line(said.scores, said.truth);
        out.positives[k] = static_cast<int>(raw.positives);
        out.unknown[k] = static_cast<int>(rows.truth.size() - raw.truth.size());
    }
    return out;
}

/// What is measured while the studies go by.
struct Measured {
    Rows studies, slices;
    std::vector<Probabilities> highest_hu, dense_volume;  ///< the same for every finding
    double seconds = 0;
};

Status measure_study(const ml::Model& model, const FolderDataset& data, std::size_t begin, std::size_t end,
                     Measured& out) {
    const auto slices = std::span(data.slices()).subspan(begin, end - begin);
    std::vector<HuImage> images;
    for (std::size_t i = begin; i < end; ++i) {
        SCOPENODE_ASSIGN(auto slice, data.load(i));
        images.push_back(std::move(slice.image));
    }
    const auto start = std::chrono::steady_clock::now();
    SCOPENODE_ASSIGN(const auto scores, model.infer(images));
    out.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::vector<ml::PlacedScores> placed;
    for (std::size_t i = 0; i < slices.size(); ++i) {
        placed.push_back({slices[i].z_mm, scores[i].scores});
        out.slices.probabilities.push_back(as_doubles(scores[i].scores));
        out.slices.truth.push_back(slices[i].labels);
    }
    const auto study = ml::aggregate(placed);
    out.studies.raw.push_back(as_doubles(study));
    out.studies.probabilities.push_back(as_doubles(ml::calibrate(model.manifest(), study)));
    out.studies.truth.push_back(study_truth(slices));
    const double thickness =
        slices.size() > 1 ? std::abs(slices[1].z_mm - slices[0].z_mm) : slices[0].slice_mm;
    const auto guess = ml::baseline_scores(images, slices[0].pixel_mm, thickness);
    Probabilities hu{}, volume{};
    hu.fill(guess.highest_hu);
    volume.fill(guess.dense_volume_ml);
    out.highest_hu.push_back(hu);
    out.dense_volume.push_back(volume);
    return {};
}

PerLabel auroc_of(const std::vector<Probabilities>& scores, const std::vector<ml::Truth>& truth) {
    PerLabel out{};
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        const auto column = ml::column_of(scores, truth, k);
        out[k] = ml::auroc(column.scores, column.truth);
    }
    return out;
}

}  // namespace

Result<Evaluation> evaluate(const ml::Model& model, const FolderDataset& data) {
    Evaluation out;
    out.model = model.id();
    out.data = data.description();
    out.slices = static_cast<int>(data.size());
    Progress progress("evaluating", data.size());
    Measured measured;
    const auto& slices = data.slices();
    for (std::size_t at = 0; at < slices.size();) {
        std::size_t end = at;
        while (end < slices.size() && slices[end].study == slices[at].study) ++end;
        SCOPENODE_TRY(measure_study(model, data, at, end, measured));
        at = end;
        progress.advance(at);
    }
    measured.slices.raw = measured.slices.probabilities;
    out.studies = static_cast<int>(measured.studies.truth.size());
    out.slices_per_second = out.slices / std::max(measured.seconds, 1e-9);
    PerLabel half{};
    half.fill(0.5);
    out.study = figures_of(measured.studies, model.manifest().thresholds);
    out.slice = figures_of(measured.slices, half);
    out.highest_hu_auroc = auroc_of(measured.highest_hu, measured.studies.truth);
    out.dense_volume_auroc = auroc_of(measured.dense_volume, measured.studies.truth);
    return out;
}

}  // namespace scopenode::workflows
