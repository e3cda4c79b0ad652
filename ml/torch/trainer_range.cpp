#include "ml/torch/trainer_range.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

namespace scopenode::ml {
namespace {

using Indices = std::vector<std::size_t>;
using Inputs = std::function<torch::Tensor(const Indices&)>;
constexpr std::size_t kEnoughSlices = 1024, kFewJudging = 20, kFewestStudies = 4;
constexpr double kRoom = 1.1, kLeastSpread = 0.01;  // of the median spread

/// Whole studies, evenly over the list, until there are enough slices.
Indices some_studies(const std::vector<SliceRecord>& records, const Indices& all) {
    std::map<std::string, Indices> studies;
    for (const std::size_t i : all) studies[records[i].study].push_back(i);
    const std::size_t step = std::max<std::size_t>(1, all.size() / kEnoughSlices);
    Indices some;
    std::size_t number = 0;
    for (const auto& [uid, slices] : studies)
        if (number++ % step == 0) some.insert(some.end(), slices.begin(), slices.end());
    return some;
}

std::size_t studies_in(const std::vector<SliceRecord>& records, const Indices& indices) {
    std::map<std::string, int> studies;
    for (const std::size_t i : indices) ++studies[records[i].study];
    return studies.size();
}

/// What `take` gets: some indices and their summaries, N x 2d.
template <class Take>
void each_batch(Scopeformer& network, const Indices& indices, std::size_t batch, const Inputs& images,
                const Take& take) {
    for (std::size_t at = 0; at < indices.size(); at += batch) {
        const std::size_t end = std::min(indices.size(), at + batch);
        const Indices some(indices.begin() + std::ptrdiff_t(at), indices.begin() + std::ptrdiff_t(end));
        take(some,
             network.summary(network.features(images(some))).to(torch::kCPU, torch::kFloat32).contiguous());
    }
}

std::vector<float> values_of(const torch::Tensor& tensor) {
    const torch::Tensor values = tensor.to(torch::kFloat32).contiguous();
    return {values.data_ptr<float>(), values.data_ptr<float>() + values.numel()};
}

/// Mean and spread; a number that hardly ever moves gets a spread by which it cannot decide alone.
void fit(Manifest::TrainingRange& range, const torch::Tensor& summaries) {
    const torch::Tensor spread = summaries.std(0);
    range.mean = values_of(summaries.mean(0));
    range.spread = values_of(spread.clamp_min(std::max(1e-6, kLeastSpread * spread.median().item<double>())));
}

}  // namespace

Manifest::TrainingRange measure_range(Scopeformer& network, const std::vector<SliceRecord>& records,
                                      const Split& split, std::size_t batch, const Inputs& images) {
    const torch::NoGradGuard no_grad;
    network.eval();
    Indices learnt = split.training;
    learnt.insert(learnt.end(), split.rehearsal.begin(), split.rehearsal.end());
    learnt = some_studies(records, learnt);
    Manifest::TrainingRange range;
    if (studies_in(records, learnt) < kFewestStudies) return range;
    std::vector<torch::Tensor> summaries;
    each_batch(network, learnt, batch, images,
               [&](const Indices&, const torch::Tensor& some) { summaries.push_back(some); });
    fit(range, torch::cat(summaries));
    Indices judging = split.validation;
    if (studies_in(records, judging) < kFewJudging)
        judging.insert(judging.end(), learnt.begin(), learnt.end());
    std::map<std::string, std::vector<std::optional<double>>> distances;
    each_batch(network, judging, batch, images, [&](const Indices& some, const torch::Tensor& summary) {
        for (std::size_t i = 0; i < some.size(); ++i)
            distances[records[some[i]].study].push_back(
                distance_from(range, summary.data_ptr<float>() + i * range.mean.size()));
    });
    double largest = 1;
    for (const auto& [uid, slices] : distances) largest = std::max(largest, *study_distance(slices));
    range.limit = kRoom * largest;
    return range;
}

}  // namespace scopenode::ml
