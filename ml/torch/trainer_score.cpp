#include "ml/torch/trainer_score.h"

#include <map>

#include "ml/torch/trainer_batch.h"

namespace scopenode::ml {
namespace {

/// One known positive slice makes a study positive; one unknown among negatives leaves it unknown.
void add_truth(ScoredStudy& study, const SliceRecord& record) {
    const bool first = !study.seen;
    study.seen = true;
    for (std::size_t k = 0; k < kLabelCount; ++k) {
        const auto& label = record.labels[k];
        if (label.value_or(false))
            study.truth[k] = true;
        else if (first)
            study.truth[k] = label;
        else if (!study.truth[k].value_or(false) && !label)
            study.truth[k].reset();
    }
}

}  // namespace

ScoredSet score_set(Scopeformer& network, const std::vector<SliceRecord>& records,
                    const std::vector<std::size_t>& indices, std::size_t batch,
                    const std::function<torch::Tensor(const std::vector<std::size_t>&)>& images) {
    const torch::NoGradGuard no_grad;
    network.eval();
    ScoredSet out;
    std::map<std::string, std::vector<PlacedScores>> slices;
    std::map<std::string, ScoredStudy> studies;
    for (std::size_t at = 0; at < indices.size(); at += batch) {
        const std::size_t end = std::min(indices.size(), at + batch);
        const std::vector<std::size_t> some(indices.begin() + std::ptrdiff_t(at),
                                            indices.begin() + std::ptrdiff_t(end));
        const auto logits = network.forward(images(some));
        out.loss += weighted_loss(logits, targets_of(records, some)).item<double>() * double(some.size());
        const auto probabilities = torch::sigmoid(logits).to(torch::kCPU).contiguous();
        for (std::size_t n = 0; n < some.size(); ++n) {
            const auto& record = records[some[n]];
            PlacedScores placed{record.z_mm, {}};
            std::copy_n(probabilities.data_ptr<float>() + n * kLabelCount, kLabelCount,
                        placed.scores.begin());
            slices[record.study].push_back(placed);
            out.slices.add(placed.scores, record.labels);
            add_truth(studies[record.study], record);
        }
    }
    out.loss /= double(std::max<std::size_t>(indices.size(), 1));
    for (auto& [uid, study] : studies) {
        study.scores = aggregate(slices[uid]);
        out.studies.push_back(study);
    }
    return out;
}

}  // namespace scopenode::ml
