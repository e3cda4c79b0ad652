#include "workflows/training/evaluate.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/core/progress.h"
#include "ml/aggregate.h"
#include "ml/metrics.h"
#include "ml/phantom/phantom.h"

namespace scopenode::workflows {
namespace {

using nlohmann::ordered_json;

/// One study's scores and truth.
struct Judged {
    ml::Scores scores{};
    SliceLabels truth;
    ml::BaselineScores baseline;
};

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

class Losses {
  public:
    void add(const ml::Scores& scores, const SliceLabels& labels) {
        for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
            if (!labels[k]) continue;
            const double p = std::clamp(static_cast<double>(scores[k]), 1e-15, 1 - 1e-15),
                         weight = k == 0 ? 2 : 1;
            sum_ -= weight * std::log(*labels[k] ? p : 1 - p);
            weights_ += weight;
        }
    }
    double mean() const { return weights_ > 0 ? sum_ / weights_ : 0; }

  private:
    double sum_ = 0, weights_ = 0;
};

double auroc_of(const std::vector<Judged>& studies, std::size_t label,
                double (*score)(const Judged&, std::size_t)) {
    std::vector<double> scores;
    std::vector<char> truth;
    for (const auto& study : studies) {
        if (!study.truth[label]) continue;
        scores.push_back(score(study, label));
        truth.push_back(*study.truth[label] ? 1 : 0);
    }
    return ml::auroc(scores, truth);
}

void sum_up(const std::vector<Judged>& studies, const ml::Manifest& manifest, Evaluation& out) {
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        out.auroc[k] =
            auroc_of(studies, k, [](const Judged& s, std::size_t l) -> double { return s.scores[l]; });
        out.highest_hu_auroc[k] =
            auroc_of(studies, k, [](const Judged& s, std::size_t) { return s.baseline.highest_hu; });
        out.dense_volume_auroc[k] =
            auroc_of(studies, k, [](const Judged& s, std::size_t) { return s.baseline.dense_volume_ml; });
        double hits = 0, rejections = 0, negatives = 0;
        for (const auto& study : studies) {
            if (!study.truth[k]) continue;
            const bool said = ml::calibrate(manifest, study.scores)[k] >= manifest.thresholds[k];
            if (*study.truth[k]) {
                ++out.positives[k];
                hits += said ? 1 : 0;
            } else {
                ++negatives;
                rejections += said ? 0 : 1;
            }
        }
        const double nothing = std::numeric_limits<double>::quiet_NaN();
        out.sensitivity[k] = out.positives[k] > 0 ? hits / out.positives[k] : nothing;
        out.specificity[k] = negatives > 0 ? rejections / negatives : nothing;
    }
}

ordered_json by_label(const std::array<double, ml::kLabelCount>& values) {
    ordered_json out;
    for (std::size_t k = 0; k < ml::kLabelCount; ++k)
        out[std::string(ml::kLabels[k])] =
            std::isfinite(values[k]) ? ordered_json(values[k]) : ordered_json(nullptr);
    return out;
}

}  // namespace

Result<Evaluation> evaluate(const ml::Model& model, const FolderDataset& data) {
    Evaluation out;
    out.model = model.id();
    out.data = data.description();
    out.slices = static_cast<int>(data.size());
    Progress progress("evaluating", data.size());
    std::vector<Judged> studies;
    Losses losses;
    double seconds = 0;
    const auto& slices = data.slices();
    for (std::size_t at = 0; at < slices.size();) {
        std::size_t end = at;
        while (end < slices.size() && slices[end].study == slices[at].study) ++end;
        std::vector<HuImage> images;
        for (std::size_t i = at; i < end; ++i) {
            SCOPENODE_ASSIGN(auto slice, data.load(i));
            images.push_back(std::move(slice.image));
        }
        const auto start = std::chrono::steady_clock::now();
        SCOPENODE_ASSIGN(const auto scores, model.infer(images));
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        std::vector<ml::PlacedScores> placed;
        for (std::size_t i = at; i < end; ++i) {
            placed.push_back({slices[i].z_mm, scores[i - at]});
            losses.add(scores[i - at], slices[i].labels);
        }
        const double thickness =
            end - at > 1 ? std::abs(slices[at + 1].z_mm - slices[at].z_mm) : slices[at].slice_mm;
        studies.push_back({ml::aggregate(placed), study_truth(std::span(slices).subspan(at, end - at)),
                           ml::baseline_scores(images, slices[at].pixel_mm, thickness)});
        at = end;
        progress.advance(at);
    }
    out.studies = static_cast<int>(studies.size());
    out.log_loss = losses.mean();
    out.slices_per_second = out.slices / std::max(seconds, 1e-9);
    sum_up(studies, model.manifest(), out);
    return out;
}

std::string evaluation_json(const Evaluation& e) {
    ordered_json positives;
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) positives[std::string(ml::kLabels[k])] = e.positives[k];
    return ordered_json{
        {"model", e.model},
        {"data", e.data},
        {"studies", e.studies},
        {"slices", e.slices},
        {"positive_studies", positives},
        {"study_auroc", by_label(e.auroc)},
        {"sensitivity", by_label(e.sensitivity)},
        {"specificity", by_label(e.specificity)},
        {"slice_log_loss", e.log_loss},
        {"baselines",
         {{"highest_hu", by_label(e.highest_hu_auroc)}, {"dense_volume", by_label(e.dense_volume_auroc)}}},
        {"slices_per_second", e.slices_per_second}}
        .dump(2);
}

std::string evaluation_table(const Evaluation& e) {
    std::string text = fmt::format("model {} on {}\n\n", e.model, e.data);
    text +=
        "| finding | positive studies | study AUC | sensitivity | specificity | AUC of highest HU | AUC of "
        "dense volume |\n"
        "|---|---|---|---|---|---|---|\n";
    for (std::size_t k = 0; k < ml::kLabelCount; ++k)
        text += fmt::format("| {} | {} of {} | {:.3f} | {:.2f} | {:.2f} | {:.3f} | {:.3f} |\n",
                            ml::kLabels[k], e.positives[k], e.studies, e.auroc[k], e.sensitivity[k],
                            e.specificity[k], e.highest_hu_auroc[k], e.dense_volume_auroc[k]);
    return text + fmt::format("\nweighted log loss over slices {:.4f}; {:.1f} slices a second\n", e.log_loss,
                              e.slices_per_second);
}

}  // namespace scopenode::workflows
