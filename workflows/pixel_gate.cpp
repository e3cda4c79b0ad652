#include "workflows/pixel_gate.h"

#include <algorithm>
#include <vector>

#include "workflows/reasons.h"

namespace scopenode::workflows {
namespace {

constexpr double kLeastBodyMm2 = 1500, kMostHeadMm2 = 40000;
constexpr double kFair = 5000;  // a cross-section that is not all skin or bone
// Without a spacing: a thing that is too small on any image.
constexpr double kLeastBodyShare = 0.005;
constexpr double kLeastWithBody = 0.4;
constexpr double kMostBone = 0.35, kMostBoneWithoutAir = 0.15, kSomeAir = 0.005;
constexpr double kMuchAir = 0.05;  // enough for a peak
constexpr double kHighestAir = -900, kLowestTissue = -60, kHighestTissue = 120;
constexpr double kSolid = 0.3, kNearlySolid = 0.1;
constexpr double kRing = 0.55, kInside = 0.5, kClosedRing = 0.9, kHollow = 0.7;
constexpr double kLeastHeadMm = 20, kLeastHeadShare = 0.2;
constexpr std::size_t kFewSlices = 5;

std::optional<double> body_mm2(const PlacedLook& slice) {
    if (!slice.pixel_spacing_mm) return std::nullopt;
    return slice.look.body_pixels * (*slice.pixel_spacing_mm)[0] * (*slice.pixel_spacing_mm)[1];
}

bool has_body(const PlacedLook& slice) {
    if (const auto area = body_mm2(slice)) return *area >= kLeastBodyMm2;
    return slice.look.body_pixels >= kLeastBodyShare * slice.look.width * slice.look.height;
}

bool is_large(const PlacedLook& slice) {
    return body_mm2(slice).value_or(0) > kMostHeadMm2;
}

/// The median of a number over the slices that `counts` takes; nothing when there are none.
template <class Value, class Counts>
std::optional<double> median(std::span<const PlacedLook> stack, Value value, Counts counts) {
    std::vector<double> all;
    for (const PlacedLook& slice : stack)
        if (counts(slice)) all.push_back(value(slice.look));
    if (all.empty()) return std::nullopt;
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
    std::nth_element(all.begin(), middle, all.end());
    return *middle;
}

/// What is wrong with air and bone; "" when nothing is.
std::string air_fault(std::span<const PlacedLook> stack) {
    const auto with_body = [](const PlacedLook& s) { return has_body(s); };
    const double bone = *median(
        stack, [](const auto& l) { return l.bone_share; }, with_body);
    const double air = *median(
        stack, [](const auto& l) { return l.air_share; }, with_body);
    if (bone > kMostBone || (bone > kMostBoneWithoutAir && air < kSomeAir))
        return fmt::format("{:.0f} % of the image are above 300 HU and {:.0f} % below -900.", 100 * bone,
                           100 * air);
    const auto outside = median(
        stack, [](const auto& l) { return l.air_peak_hu; },
        [](const auto& s) {
            return has_body(s) && s.look.air_share > kMuchAir && s.look.body_hollow < kNearlySolid;
        });
    if (outside && *outside > kHighestAir) return fmt::format("Air stands at {:.0f} HU.", *outside);
    return "";
}

std::string tissue_fault(std::span<const PlacedLook> stack) {
    const auto tissue = median(
        stack, [](const auto& l) { return l.tissue_peak_hu; },
        [](const auto& s) {
            return has_body(s) && s.look.body_hollow < kSolid && body_mm2(s).value_or(kFair) >= kFair;
        });
    if (tissue && (*tissue < kLowestTissue || *tissue > kHighestTissue))
        return fmt::format("Soft tissue stands at {:.0f} HU.", *tissue);
    return "";
}

/// Length and number of the longest row of neighbours that look like a head.
struct Row {
    double mm = 0;
    std::size_t slices = 0;
};

Row longest_head(std::span<const PlacedLook> stack) {
    std::vector<const PlacedLook*> order;
    for (const PlacedLook& slice : stack) order.push_back(&slice);
    std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->z_mm < b->z_mm; });
    const double step = (order.back()->z_mm - order.front()->z_mm) /
                        static_cast<double>(std::max<std::size_t>(order.size() - 1, 1));
    Row best;
    for (std::size_t begin = 0; begin < order.size();) {
        std::size_t end = begin;
        while (end < order.size() && looks_like_head(*order[end])) ++end;
        if (end - begin > best.slices) best = {order[end - 1]->z_mm - order[begin]->z_mm + step, end - begin};
        begin = std::max(end, begin + 1);
    }
    return best;
}

}  // namespace

bool looks_like_head(const PlacedLook& slice) {
    const SliceLook& look = slice.look;
    if (!has_body(slice) || is_large(slice)) return false;
    if (look.ring_share >= kRing && look.inside_brain >= kInside) return true;
    return look.ring_share >= kClosedRing && look.body_hollow >= kHollow;
}

std::optional<Reason> judge_looks(std::span<const PlacedLook> stack) {
    if (stack.empty()) return std::nullopt;
    const auto count = [&](auto what) {
        return static_cast<std::size_t>(std::count_if(stack.begin(), stack.end(), what));
    };
    const std::size_t bodies = count(has_body);
    if (bodies == 0 || static_cast<double>(bodies) < kLeastWithBody * static_cast<double>(stack.size()))
        return reason(reasons::kAlmostEmpty,
                      fmt::format("{} of {} slices show something.", bodies, stack.size()));
    if (const std::string fault = air_fault(stack); !fault.empty())
        return reason(reasons::kHuImplausible, fault);
    if (const auto large = count(is_large); 2 * large > stack.size())
        return reason(
            reasons::kNotAHeadByPixels,
            fmt::format("In {} of {} slices the cross-section is larger than 400 cm2.", large, stack.size()));
    if (stack.size() < kFewSlices) return std::nullopt;
    if (const std::string fault = tissue_fault(stack); !fault.empty())
        return reason(reasons::kHuImplausible, fault);
    const Row head = longest_head(stack);
    if (head.mm >= kLeastHeadMm &&
        static_cast<double>(head.slices) >= kLeastHeadShare * static_cast<double>(bodies))
        return std::nullopt;
    return reason(reasons::kNotAHeadByPixels,
                  fmt::format("{} neighbouring slices of {} show a skull with brain in it.", head.slices,
                              stack.size()));
}

}  // namespace scopenode::workflows
