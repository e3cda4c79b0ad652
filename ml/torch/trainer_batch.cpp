#include "ml/torch/trainer_batch.h"

#include <cmath>

#include "ml/torch/draw.h"

namespace scopenode::ml {
namespace {

constexpr float kAir = -1024;

}  // namespace

torch::Tensor augment(const torch::Tensor& hu, std::uint64_t seed) {
    Draw draw(seed, 77);
    const auto count = hu.size(0);
    auto transform = torch::empty({count, 2, 3});
    auto gain = torch::empty({count, 1, 1, 1}), offset = torch::empty({count, 1, 1, 1});
    auto rows = transform.accessor<float, 3>();
    for (std::int64_t n = 0; n < count; ++n) {
        const double angle = draw.between(-15, 15) * M_PI / 180, scale = draw.between(0.9, 1.1);
        const double flip = draw.next() >> 63 ? -1 : 1;
        const double c = std::cos(angle) / scale, s = std::sin(angle) / scale;
        const std::array<double, 6> row{c * flip, -s, draw.between(-0.1, 0.1),
                                        s * flip, c,  draw.between(-0.1, 0.1)};
        for (int i = 0; i < 6; ++i)
            rows[n][i / 3][i % 3] = static_cast<float>(row[static_cast<std::size_t>(i)]);
        gain.data_ptr<float>()[n] = static_cast<float>(draw.between(0.97, 1.03));
        offset.data_ptr<float>()[n] = static_cast<float>(draw.between(-5, 5));
    }
    const auto grid = torch::affine_grid_generator(transform, hu.sizes(), false);
    // What comes in from outside the picture is air: zero only after the shift.
    const auto moved = torch::grid_sampler(hu - kAir, grid, 0, 0, false) + kAir;
    return moved * gain + offset;
}

Targets targets_of(const std::vector<SliceRecord>& records, const std::vector<std::size_t>& indices) {
    const auto count = static_cast<std::int64_t>(indices.size());
    Targets out{torch::zeros({count, std::int64_t(kLabelCount)}),
                torch::zeros({count, std::int64_t(kLabelCount)}), torch::ones({count, 1})};
    auto truth = out.truth.accessor<float, 2>(), weight = out.weight.accessor<float, 2>();
    for (std::int64_t n = 0; n < count; ++n) {
        const SliceRecord& record = records[indices[static_cast<std::size_t>(n)]];
        const auto& labels = record.labels;
        out.slice.data_ptr<float>()[n] = static_cast<float>(record.weight);
        for (std::size_t k = 0; k < kLabelCount; ++k) {
            if (!labels[k]) continue;
            const auto column = static_cast<std::int64_t>(k);
            truth[n][column] = *labels[k] ? 1.0F : 0.0F;
            weight[n][column] = k == 0 ? 2.0F : 1.0F;
        }
    }
    return out;
}

std::string_view word(Loss loss) {
    return loss == Loss::kRsna ? "rsna" : "paper_eq3";
}

namespace {

/// N x 6 cross entropies from logits, exact for large ones.
torch::Tensor cross_entropies(const torch::Tensor& logits, const torch::Tensor& truth) {
    return torch::relu(logits) - logits * truth + torch::log1p(torch::exp(-logits.abs()));
}

torch::Tensor eq3_loss(const torch::Tensor& logits, const Targets& targets) {
    const auto known = (targets.weight > 0).to(logits.device()).to(logits.scalar_type());
    const auto each = cross_entropies(logits, targets.truth.to(logits.device()));
    const auto count = known.sum(1);
    const auto slice = targets.slice.to(logits.device()).squeeze(1);
    const auto sums = (each * known).sum(1) * (double(kLabelCount) / count.clamp_min(1)) * slice;
    return sums.sum() / (count > 0).sum().clamp_min(1);
}

torch::Tensor rsna_loss(const torch::Tensor& logits, const Targets& targets, const torch::Tensor& slice) {
    const auto weight = targets.weight.to(logits.device()), truth = targets.truth.to(logits.device());
    return (cross_entropies(logits, truth) * weight * slice).sum() / weight.sum().clamp_min(1e-6);
}

}  // namespace

torch::Tensor weighted_loss(const torch::Tensor& logits, const Targets& targets) {
    return rsna_loss(logits, targets, torch::ones({1}, logits.options()));
}

torch::Tensor training_loss(Loss loss, const torch::Tensor& logits, const Targets& targets) {
    return loss == Loss::kPaperEq3 ? eq3_loss(logits, targets)
                                   : rsna_loss(logits, targets, targets.slice.to(logits.device()));
}

torch::Tensor divergence(const torch::Tensor& logits, const torch::Tensor& before) {
    const auto p = torch::sigmoid(before);
    const auto each = p * (torch::log_sigmoid(before) - torch::log_sigmoid(logits)) +
                      (1 - p) * (torch::log_sigmoid(-before) - torch::log_sigmoid(-logits));
    const auto any = each.select(1, 0);
    return (each.sum(1) + any).mean() / double(kLabelCount + 1);
}

}  // namespace scopenode::ml
