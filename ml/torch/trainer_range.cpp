#include "ml/torch/trainer_range.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

namespace scopenode::ml {
namespace {

using Indices = std::vector<std::size_t>;
constexpr std::size_t kMostSlices = 1024, kFewStudies = 20;
constexpr double kRoom = 1.1, kLeastSpread = 1e-6;

/// Evenly over the whole list.
Indices some_of(const Indices& all) {
    const std::size_t count = std::min(all.size(), kMostSlices);
    Indices some;
    for (std::size_t i = 0; i < count; ++i) some.push_back(all[i * all.size() / count]);
    return some;
}

torch::Tensor summaries_of(Scopeformer& network, const Indices& indices, std::size_t batch,
                           const std::function<torch::Tensor(const Indices&)>& images) {
    std::vector<torch::Tensor> parts;
    for (std::size_t at = 0; at < indices.size(); at += batch) {
        const std::size_t end = std::min(indices.size(), at + batch);
        const Indices some(indices.begin() + std::ptrdiff_t(at), indices.begin() + std::ptrdiff_t(end));
        parts.push_back(network.summary(network.features(images(some))).to(torch::kCPU, torch::kFloat32));
    }
    return torch::cat(parts).contiguous();
}

std::vector<float> values_of(const torch::Tensor& tensor) {
    const torch::Tensor values = tensor.to(torch::kFloat32).contiguous();
    return {values.data_ptr<float>(), values.data_ptr<float>() + values.numel()};
}

double largest_distance(const Manifest::TrainingRange& range, const torch::Tensor& summaries,
                        const std::vector<SliceRecord>& records, const Indices& indices) {
    std::map<std::string, std::vector<std::optional<double>>> studies;
    for (std::size_t i = 0; i < indices.size(); ++i)
        studies[records[indices[i]].study].push_back(
            distance_from(range, summaries.data_ptr<float>() + i * range.mean.size()));
    double largest = 0;
    for (const auto& [uid, slices] : studies) largest = std::max(largest, *study_distance(slices));
    return largest;
}

}  // namespace

Manifest::TrainingRange measure_range(Scopeformer& network, const std::vector<SliceRecord>& records,
                                      const Split& split, std::size_t batch,
                                      const std::function<torch::Tensor(const Indices&)>& images) {
    const torch::NoGradGuard no_grad;
    network.eval();
    Indices learnt = split.training;
    learnt.insert(learnt.end(), split.rehearsal.begin(), split.rehearsal.end());
    learnt = some_of(learnt);
    if (learnt.size() < 2) return {};
    const torch::Tensor summaries = summaries_of(network, learnt, batch, images);
    Manifest::TrainingRange range;
    range.mean = values_of(summaries.mean(0));
    range.spread = values_of(summaries.std(0).clamp_min(kLeastSpread));
    std::map<std::string, int> judging;
    for (const std::size_t i : split.validation) ++judging[records[i].study];
    double largest = 0;
    if (judging.size() < kFewStudies) largest = largest_distance(range, summaries, records, learnt);
    if (!split.validation.empty())
        largest =
            std::max(largest, largest_distance(range, summaries_of(network, split.validation, batch, images),
                                               records, split.validation));
    range.limit = kRoom * std::max(largest, 1.0);
    return range;
}

}  // namespace scopenode::ml
