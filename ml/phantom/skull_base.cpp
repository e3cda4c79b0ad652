#include <algorithm>
#include <cmath>

#include "ml/phantom/tissue.h"

namespace scopenode::ml {
namespace {
// The cavities of the skull below the vault, in mm of a middling head.
constexpr Ellipsoid kTemporalRight{38, -6, -25, 27, 36, 22};
constexpr Ellipsoid kTemporalLeft{-38, -6, -25, 27, 36, 22};
constexpr Ellipsoid kPosterior{0, 38, -34, 52, 45, 37};
constexpr Ellipsoid kSella{0, -2, -20, 34, 28, 14};
constexpr Ellipsoid kSphenoid{0, -22, -38, 13, 12, 9};
constexpr Ellipsoid kEthmoid{0, -52, -36, 12, 22, 15};
constexpr Ellipsoid kFrontalSinus{2, -86, -16, 16, 6, 10};

float mix(float a, float b, float share) {
    return a + (b - a) * share;
}

float cavity(float x, float y, float z) {
    float depth = z - kFloor;
    depth = std::max(depth, (x > 0 ? kTemporalRight : kTemporalLeft).depth(x, y, z));
    depth = std::max(depth, kPosterior.depth(x, y, z));
    depth = std::max(depth, kSella.depth(x, y, z));
    if (z < -55) depth = std::max(depth, 15 - std::hypot(x, y - 24));
    return depth;
}
}  // namespace

/// Orbits, sinuses, petrous bones, muscle and fat.
float Tissue::face(const Place& p) const {
    static const Ellipsoid kPetrous = turned({30, 14, -38, 25, 8, 8}, -35);
    const float side = std::fabs(p.x);
    const float cells = head_.folds(p.x, p.y, p.z);
    if (kPetrous.radius2(side, p.y, p.z) < 1) return cells > 1.0F ? -300.0F : head_.bone_hu + 100 * cells;
    const Ellipsoid mastoid{52, 32, -44, 13, 15, 17};
    if (mastoid.radius2(side, p.y, p.z) < 1) return cells > 0.1F ? -650.0F : 550.0F;
    const Ellipsoid orbit{31, -58, -36, 18, 27, 16};
    const float q = orbit.radius2(side, p.y, p.z);
    if (q < 1) {
        const float globe = std::hypot(side - 31, p.y + 68, p.z + 35);
        if (globe < 12) return globe < 10.8F ? 12.0F : 45.0F;
        const float nerve = std::hypot(side - 31 + 0.45F * (p.y + 60), p.z + 36);
        return nerve < 2.2F ? 38.0F : -80.0F;
    }
    if (q < 1.32F && p.y > -80) return 700;
    if (kSphenoid.radius2(p.x, p.y, p.z) < 1) return -950;
    if (kEthmoid.radius2(p.x, p.y, p.z) < 1) return cells > -0.35F ? -800.0F : 250.0F;
    if (p.z < -48 && std::hypot(side - 28, p.y + 48) < 15) return -980;
    if (p.z < -48 && side < 7 && p.y < -35) return -900;
    const Ellipsoid clivus{0, -2, -46, 13, 9, 24};
    if (clivus.radius2(p.x, p.y, p.z) < 1) return 520 + 90 * cells;
    if (p.z > -50 && std::hypot(side - 62, p.y + 38) < 4) return 700;
    const float strand = head_.texture(p.x, p.y, 0.5F * p.z);
    return strand > -0.25F ? head_.muscle + 4 * cells : head_.fat;
}

Sample Tissue::base(Place p) const {
    const float low = cavity(p.x, p.y, p.z);
    p.depth = std::min(p.vault, low);
    const float share = soft(p.depth, edge_ + 0.3F * layer_);
    Sample sample;
    sample.matter = Matter::kSkullAndSkin;
    if (share < 1) {
        const float rout =
            head_.r_out[static_cast<std::size_t>(p.angle)] * head_.s_out[static_cast<std::size_t>(p.height)];
        const bool vault_wall = low > 0 || p.vault < low;
        const float shell = vault_wall ? rout - p.r : std::min(3.2F + p.depth, rout - p.r);
        const bool sinus = kFrontalSinus.radius2(p.x, p.y, p.z) < 1 && p.depth < -1.5F && rout - p.r > 1.5F;
        const float beyond = rout - p.r < 0 ? scalp(p) : face(p);
        sample.hu = sinus ? -900.0F : mix(beyond, bone(p), soft(shell, edge_));
        if (share <= 0) return sample;
    }
    const Sample brain = inside(p);
    sample.hu = mix(sample.hu, brain.hu, share);
    if (share > 0.6F) {
        sample.kind = brain.kind;
        sample.matter = brain.matter;
    }
    return sample;
}

}  // namespace scopenode::ml
