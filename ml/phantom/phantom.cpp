#include "ml/phantom/phantom.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ml/phantom/plan.h"
#include "ml/phantom/tissue.h"

namespace scopenode::ml {
namespace {
enum Stream : std::uint64_t {
    kScannerStream = 1,
    kLabelStream,
    kAnatomy,
    kConfounding,
    kPoseStream,
    kNoise,
    kHygroma,
    kBlock,
    kBleed
};

Pose draw_pose(const Head& head, const Scanner& scanner, int slices, Rng rng) {
    const auto radians = [](float degrees) { return degrees * std::numbers::pi_v<float> / 180; };
    const float roll = radians(rng.uniform(-8, 8)), pitch = radians(rng.uniform(-9, 9)),
                yaw = radians(rng.uniform(-4, 4));
    const float cr = std::cos(roll), sr = std::sin(roll), cp = std::cos(pitch), sp = std::sin(pitch);
    const float cy = std::cos(yaw), sy = std::sin(yaw);
    Pose pose;
    // About y (yaw), then x (pitch), then z (roll in the image).
    pose.rotation = {cy * cr + sy * sp * sr,  -cy * sr + sy * sp * cr, sy * cp, cp * sr, cp * cr, -sp,
                     -sy * cr + cy * sp * sr, sy * sr + cy * sp * cr,  cy * cp};
    pose.offset_x = rng.uniform(-5, 5);
    pose.offset_y = rng.uniform(-5, 5);
    const auto length = static_cast<float>(scanner.slice_mm) * static_cast<float>(slices - 1);
    const float top = rng.uniform(-9, 3);
    pose.first_z = length > 100 ? head.height + head.bone + top - length : 24 + 0.3F * top - length / 2;
    return pose;
}

void draw_scanner(const PhantomOptions& options, Rng& rng, Plan& plan) {
    const auto& all = phantom_scanners();
    const auto mixed = std::count_if(all.begin(), all.end(), [](const Scanner& s) { return s.in_mix; });
    auto which = static_cast<std::size_t>(rng.below(static_cast<int>(mixed)));
    for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i].name == options.scanner) which = i;
    plan.scanner = all[which];
    plan.scanner.pixel_mm =
        std::round(1000 * plan.scanner.pixel_mm * static_cast<double>(rng.uniform(0.99F, 1.06F))) / 1000;
    const float tilt =
        std::round(2 * rng.uniform(0.3F, 1.5F) * static_cast<float>(plan.scanner.tilt_degrees)) / 2;
    plan.scanner.tilt_degrees = rng.chance(0.6) ? static_cast<double>(tilt) : 0.0;
    const float shrink = std::pow(static_cast<float>(options.size) / 512, 0.7F);
    plan.noise_hu = plan.scanner.noise_hu * rng.uniform(0.7F, 1.45F) * std::min(1.0F, shrink) *
                    std::sqrt(5 / static_cast<float>(plan.scanner.slice_mm));
}

std::vector<std::uint8_t> shuffled_kinds(Rng& rng) {
    std::vector<std::uint8_t> kinds{kEpidural, kIntraparenchymal, kIntraventricular, kSubarachnoid,
                                    kSubdural};
    for (int i = 4; i > 0; --i)
        std::swap(kinds[static_cast<std::size_t>(i)], kinds[static_cast<std::size_t>(rng.below(i + 1))]);
    return kinds;
}

void draw_kinds(const PhantomOptions& options, std::uint64_t number, Rng& rng, Plan& plan) {
    auto kinds = shuffled_kinds(rng);
    // Every five numbers in a row share out the five kinds as first kind, which keeps their frequencies
    // close.
    Rng block(options.seed, number / 5, kBlock);
    const auto first = std::find(kinds.begin(), kinds.end(), shuffled_kinds(block)[number % 5]);
    std::iter_swap(kinds.begin(), first);
    const float u = rng.uniform();
    kinds.resize(u < 0.6F ? 1 : (u < 0.85F ? 2 : 3));
    plan.kinds = std::move(kinds);
    const float v = rng.uniform();
    plan.visibility =
        v < 2.0F / 3 ? Visibility::kClear : (v < 5.0F / 6 ? Visibility::kSmall : Visibility::kFaint);
}

/// Changes the scale of the kinds whose volume is out of bounds; true when none was.
bool adjust(const Plan& plan, const std::array<float, kLabelCount>& ml,
            std::array<float, kLabelCount>& scale) {
    const bool small = plan.visibility == Visibility::kSmall;
    const float low = small ? 0.5F : 6.5F;
    const float high = small ? 4.2F / static_cast<float>(plan.kinds.size()) : 55.0F;
    bool good = true;
    for (const std::uint8_t kind : plan.kinds) {
        if (ml[kind] >= low && ml[kind] <= high) continue;
        good = false;
        const float aim = small ? 0.5F * (low + high) : std::clamp(ml[kind], 1.3F * low, 0.9F * high);
        scale[kind] *= std::clamp(aim / std::max(ml[kind], 0.05F), 0.6F, 1.7F);
        scale[kind] = std::clamp(scale[kind], 0.3F, 2.2F);
    }
    return good;
}

void draw_blood(const PhantomOptions& options, std::uint64_t number, Plan& plan) {
    std::array<float, kLabelCount> scale{};
    float worst = -1;
    Bleeding best;
    for (std::uint64_t attempt = 0; attempt < 12; ++attempt) {
        if (attempt % 4 == 0) scale.fill(1);
        plan.bleeding = draw_bleeding(plan.head, plan.kinds, plan.visibility, scale,
                                      Rng(options.seed, number, kBleed + attempt / 4));
        add_hygroma(plan.head, plan.bleeding, Rng(options.seed, number, kHygroma));
        const auto ml = rough_volumes(plan, options.slices);
        if (adjust(plan, ml, scale)) return;
        float least = 1e9F, total = 0;
        for (const std::uint8_t kind : plan.kinds) {
            least = std::min(least, ml[kind]);
            total += ml[kind];
        }
        // A small bleeding that is too large is worse than one that is a little smaller than wanted.
        const float merit = plan.visibility == Visibility::kSmall && total > 4.7F ? 0.0F : least;
        if (merit > worst) {
            worst = merit;
            best = plan.bleeding;
        }
    }
    plan.bleeding = best;
}
}  // namespace

Result<Plan> plan_phantom(const PhantomOptions& options, std::uint64_t number) {
    const auto& all = phantom_scanners();
    if (options.slices < 1 || options.slices > 400 || options.size < 32 || options.size > 2048)
        return fail(Code::kInvalidArgument,
                    "a phantom has 1 to 400 slices of 32 to 2048 pixels, not {} of {}", options.slices,
                    options.size);
    if (!(options.positive_rate >= 0 && options.positive_rate <= 1))
        return fail(Code::kInvalidArgument, "the rate of positive phantoms lies between 0 and 1, not {}",
                    options.positive_rate);
    if (!options.scanner.empty() &&
        std::none_of(all.begin(), all.end(), [&](const Scanner& s) { return s.name == options.scanner; }))
        return fail(Code::kInvalidArgument, "there is no phantom scanner called {}", options.scanner);
    Plan plan;
    Rng scanning(options.seed, number, kScannerStream), label(options.seed, number, kLabelStream);
    draw_scanner(options, scanning, plan);
    plan.pixel_mm = plan.scanner.pixel_mm * 512 / options.size;
    plan.head = Head::draw(Rng(options.seed, number, kAnatomy), Rng(options.seed, number, kConfounding));
    plan.pose = draw_pose(plan.head, plan.scanner, options.slices, Rng(options.seed, number, kPoseStream));
    if (label.chance(options.positive_rate)) {
        draw_kinds(options, number, label, plan);
        draw_blood(options, number, plan);
    } else {
        add_hygroma(plan.head, plan.bleeding, Rng(options.seed, number, kHygroma));
    }
    return plan;
}

std::array<float, kLabelCount> rough_volumes(const Plan& plan, int slices) {
    constexpr float kStep = 3;
    const auto thick = static_cast<float>(plan.scanner.slice_mm);
    const Tissue tissue(plan.head, plan.bleeding, 1, thick / 2);
    std::array<float, kLabelCount> ml{};
    for (int k = 0; k < slices; ++k)
        for (float y = -99; y < 100; y += kStep)
            for (float x = -84; x < 85; x += kStep) {
                // Each row and slice is shifted, so that thin layers are not missed by the grid.
                const float jitter = 0.7F * static_cast<float>((k * 7 + static_cast<int>(y)) % 4);
                const auto p = plan.pose.to_head(x + jitter, y + 0.37F * static_cast<float>(k % 8),
                                                 plan.pose.first_z + thick * static_cast<float>(k));
                ml[tissue.at(p[0], p[1], p[2]).kind] += kStep * kStep * thick / 1000;
            }
    ml[0] = 0;
    for (std::size_t i = 1; i < kLabelCount; ++i) ml[0] += ml[i];
    return ml;
}

Result<PhantomStudy> make_phantom(const PhantomOptions& options, std::uint64_t number) {
    SCOPENODE_ASSIGN(const Plan plan, plan_phantom(options, number));
    PhantomStudy study;
    study.scanner = plan.scanner;
    study.confounders = plan.head.confounders.names();
    render(plan, options, Rng(options.seed, number, kNoise), study);
    return study;
}

}  // namespace scopenode::ml
