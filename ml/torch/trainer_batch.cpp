#include "ml/torch/trainer_batch.h"

#include <cmath>

#include "base/core/ids.h"

namespace scopenode::ml {
namespace {

constexpr std::size_t kNegativesLeftOut = 3;  ///< one of so many is taken
constexpr float kAir = -1024;

/// splitmix64: the same numbers with every library, unlike the standard's distributions.
class Draw {
  public:
    Draw(std::uint64_t seed, std::uint64_t stream) : state_(seed * 0xD1342543DE82EF95ULL + stream) { next(); }
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    double between(double low, double high) {
        return low + (high - low) * (static_cast<double>(next() >> 11) * (1.0 / 9007199254740992.0));
    }
    void shuffle(std::vector<std::size_t>& items) {
        for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[next() % i]);
    }

  private:
    std::uint64_t state_;
};

}  // namespace

Split split_by_patient(const std::vector<SliceRecord>& records, double validation_share) {
    Split split;
    for (std::size_t i = 0; i < records.size(); ++i) {
        if (!records[i].labelled()) continue;
        const std::string hash = sha256_hex("split|" + records[i].patient).substr(0, 12);
        const double place = static_cast<double>(std::stoull(hash, nullptr, 16)) / std::pow(2.0, 48);
        (place < validation_share ? split.validation : split.training).push_back(i);
    }
    return split;
}

std::vector<std::size_t> epoch_order(const std::vector<SliceRecord>& records,
                                     const std::vector<std::size_t>& training, std::uint64_t seed,
                                     int epoch) {
    Draw draw(seed, static_cast<std::uint64_t>(epoch) + 1);
    std::vector<std::size_t> order, negatives;
    for (const std::size_t index : training) (records[index].positive() ? order : negatives).push_back(index);
    draw.shuffle(negatives);
    const std::size_t kept = (negatives.size() + kNegativesLeftOut - 1) / kNegativesLeftOut;
    order.insert(order.end(), negatives.begin(), negatives.begin() + static_cast<std::ptrdiff_t>(kept));
    draw.shuffle(order);
    return order;
}

std::size_t epoch_size(const std::vector<SliceRecord>& records, const std::vector<std::size_t>& training) {
    return epoch_order(records, training, 0, 0).size();
}

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
                torch::zeros({count, std::int64_t(kLabelCount)})};
    auto truth = out.truth.accessor<float, 2>(), weight = out.weight.accessor<float, 2>();
    for (std::int64_t n = 0; n < count; ++n) {
        const auto& labels = records[indices[static_cast<std::size_t>(n)]].labels;
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
    const auto sums = (each * known).sum(1) * (double(kLabelCount) / count.clamp_min(1));
    return sums.sum() / (count > 0).sum().clamp_min(1);
}

}  // namespace

torch::Tensor weighted_loss(const torch::Tensor& logits, const Targets& targets) {
    const auto weight = targets.weight.to(logits.device()), truth = targets.truth.to(logits.device());
    return (cross_entropies(logits, truth) * weight).sum() / weight.sum().clamp_min(1e-6);
}

torch::Tensor training_loss(Loss loss, const torch::Tensor& logits, const Targets& targets) {
    return loss == Loss::kPaperEq3 ? eq3_loss(logits, targets) : weighted_loss(logits, targets);
}

}  // namespace scopenode::ml
