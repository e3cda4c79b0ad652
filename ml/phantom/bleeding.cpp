#include "ml/phantom/bleeding.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace scopenode::ml {
namespace {
constexpr float kPi = std::numbers::pi_v<float>;

struct Draw {
    const Head& head;
    Visibility visibility;
    Rng& rng;

    bool small() const { return visibility == Visibility::kSmall; }
    float hu() const {
        if (visibility == Visibility::kFaint) return head.grey + rng.uniform(6.5F, 11.5F);
        return rng.uniform(66, 82);
    }
    /// For the ordinary and for the small bleeding.
    float pick(float low, float high, float small_low, float small_high) const {
        return small() ? rng.uniform(small_low, small_high) : rng.uniform(low, high);
    }
};

Layer layer(const Head& head, float centre_degrees, float half_mm) {
    Layer l;
    const float centre = centre_degrees * kPi / 180;
    for (std::size_t i = 0; i < kAngles; ++i) {
        float away = std::fabs(head.theta[i] - centre);
        if (away > kPi) away = 2 * kPi - away;
        const float u = away * head.r_in[i] / half_mm;
        l.u2[i] = u * u;
    }
    return l;
}

void add_epidural(const Draw& d, float scale, Bleeding& out) {
    static constexpr std::array<float, 4> kPlaces{62, 85, 118, 35};
    const float side = d.rng.sign();
    const float at = kPlaces[static_cast<std::size_t>(d.rng.below(4))] + d.rng.uniform(-10, 10);
    Layer l = layer(d.head, side * at, d.pick(28, 40, 17, 23) * std::sqrt(scale));
    l.kind = kEpidural;
    l.lens = true;
    l.z = d.rng.uniform(5, 38);
    l.half_z = d.pick(19, 30, 11, 15) * std::sqrt(scale);
    l.thickness = d.pick(13, 21, 6, 8.5F) * std::sqrt(scale);
    l.hu = d.hu();
    out.shift -= side * 0.22F * l.thickness;
    out.layers.push_back(l);
}

void add_subdural(const Draw& d, float scale, Bleeding& out) {
    const float side = d.rng.sign();
    const float hu = d.hu();
    if (d.rng.chance(0.15)) {
        FalxLayer f;
        f.side = side;
        f.y = d.rng.chance(0.6) ? d.rng.uniform(45, 60) : d.rng.uniform(-62, -50);
        f.half_y = d.pick(28, 40, 16, 22);
        f.z = d.rng.uniform(28, 42);
        f.half_z = d.pick(28, 36, 14, 18);
        f.thickness = d.pick(7, 10, 3, 4) * scale;
        f.hu = hu;
        out.falx.push_back(f);
        if (d.small()) return;
    } else if (d.small()) {
        Layer l = layer(d.head, side * d.rng.uniform(70, 120), d.rng.uniform(32, 45) * std::sqrt(scale));
        l.kind = kSubdural;
        l.z = d.rng.uniform(10, 40);
        l.half_z = d.rng.uniform(11, 15) * std::sqrt(scale);
        l.thickness = d.rng.uniform(3, 4.2F) * std::sqrt(scale);
        l.hu = hu;
        out.layers.push_back(l);
        return;
    }
    Layer l = layer(d.head, side * d.rng.uniform(82, 104), d.rng.uniform(65, 105));
    l.kind = kSubdural;
    l.z = d.rng.uniform(15, 35);
    l.half_z = d.rng.uniform(26, 42);
    l.thickness = d.rng.uniform(8, 12) * std::sqrt(scale);
    l.hu = hu;
    out.shift -= side * 0.35F * l.thickness;
    out.layers.push_back(l);
}

void add_parenchymal(const Draw& d, float scale, Bleeding& out) {
    static constexpr std::array<std::array<float, 3>, 8> kPlaces{{{27, -3, 6},
                                                                  {24, -2, 8},
                                                                  {14, 12, 6},
                                                                  {30, -38, 22},
                                                                  {36, 18, 32},
                                                                  {28, 50, 18},
                                                                  {44, 8, -12},
                                                                  {22, 50, -36}}};
    const auto& at = kPlaces[static_cast<std::size_t>(d.rng.below(8))];
    const float side = d.rng.sign();
    const float hu = d.hu();
    const float size = d.pick(11.5F, 16, 5.5F, 7.5F) * std::cbrt(scale);
    Ellipsoid e{side * (at[0] + d.rng.uniform(-3, 3)), at[1] + d.rng.uniform(-5, 5),
                at[2] + d.rng.uniform(-4, 4)};
    e.a = size * d.rng.uniform(0.8F, 1.05F);
    e.b = size * d.rng.uniform(0.95F, 1.3F);
    e.c = size * d.rng.uniform(0.8F, 1.1F);
    e = turned(e, d.rng.uniform(-40, 40));
    out.blobs.push_back({e, d.pick(3, 6, 2, 3), hu});
    if (!d.small() && d.rng.chance(0.4)) {
        Ellipsoid second = e;
        second.x += d.rng.uniform(-0.7F, 0.7F) * e.a;
        second.y += d.rng.sign() * 0.8F * e.b;
        second.a *= 0.7F;
        second.b *= 0.7F;
        out.blobs.push_back({second, 3, hu});
    }
    if (!d.small()) out.shift -= side * 0.15F * size;
}

void add_ventricular(const Draw& d, float scale, Bleeding& out) {
    out.ventricle_hu = d.hu();
    if (d.small()) {
        const float level = d.rng.uniform(38, 46) - 14 * (scale - 1);
        const int side = d.rng.below(2);
        out.level[static_cast<std::size_t>(side)] = level;
        if (d.rng.chance(0.5)) out.level[static_cast<std::size_t>(1 - side)] = level + d.rng.uniform(0, 4);
        return;
    }
    const int both = d.rng.below(3);
    const float grow = 30 * (scale - 1);
    const float level = d.rng.uniform(-20, 14) - grow;
    out.level[0] = both == 1 ? d.rng.uniform(15, 30) - grow : level;
    out.level[1] = both == 2 ? d.rng.uniform(15, 30) - grow : level + d.rng.uniform(-2, 2);
    if (d.rng.chance(0.4)) {
        out.level[static_cast<std::size_t>(d.rng.below(2))] = -100;
        out.level[2] = -100;
    }
    if (d.rng.chance(0.4)) out.level[3] = -100;
}

void add_subarachnoid(const Draw& d, float scale, Bleeding& out) {
    out.subarachnoid_hu = d.hu();
    const float side = d.rng.sign();
    if (d.small()) {
        const float r = 16 * std::cbrt(scale);
        if (d.rng.chance(0.5))
            out.regions.push_back({side * d.rng.uniform(38, 46), d.rng.uniform(-20, -4),
                                   d.rng.uniform(-8, 12), r * 1.3F, r, r});
        else
            out.regions.push_back({side * 36, d.rng.uniform(-30, 35), d.rng.uniform(45, 58), r, r * 1.2F, r});
        out.widening = 0.7F;
        return;
    }
    out.widening = d.rng.uniform(0.8F, 1.2F) * std::sqrt(scale);
    const float r = std::sqrt(scale);
    if (d.rng.chance(0.7)) {
        out.regions.push_back({side * d.rng.uniform(0, 8), -6, -16, 54 * r, 46 * r, 24 * r});
        if (d.rng.chance(0.5)) out.regions.push_back({0, -60, 15, 14 * r, 40 * r, 34 * r});
        if (d.rng.chance(0.5)) out.regions.push_back({side * 55, 5, 25, 28 * r, 45 * r, 30 * r});
    } else {
        out.regions.push_back(
            {side * 45, d.rng.uniform(-25, 20), d.rng.uniform(35, 48), 32 * r, 42 * r, 26 * r});
    }
}
}  // namespace

float Layer::at(int angle, float pz) const {
    const float v = (pz - z) / half_z;
    const float v2 = v * v;
    const float a2 = u2[static_cast<std::size_t>(angle)];
    if (v2 >= 1 || a2 >= 1) return 0;
    if (lens) return thickness * std::max(0.0F, 1 - a2 - v2);
    return thickness * std::sqrt((1 - a2) * (1 - v2));
}

Bleeding draw_bleeding(const Head& head, const std::vector<std::uint8_t>& kinds, Visibility visibility,
                       const std::array<float, kLabelCount>& scale, Rng rng) {
    Bleeding out;
    const Draw draw{head, visibility, rng};
    for (const std::uint8_t kind :
         {kEpidural, kSubdural, kIntraparenchymal, kIntraventricular, kSubarachnoid}) {
        if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) continue;
        const float s = scale[kind];
        if (kind == kEpidural) add_epidural(draw, s, out);
        if (kind == kSubdural) add_subdural(draw, s, out);
        if (kind == kIntraparenchymal) add_parenchymal(draw, s, out);
        if (kind == kIntraventricular) add_ventricular(draw, s, out);
        if (kind == kSubarachnoid) add_subarachnoid(draw, s, out);
    }
    out.shift = std::clamp(out.shift, -6.0F, 6.0F);
    return out;
}

void add_hygroma(const Head& head, Bleeding& bleeding, Rng rng) {
    if (!head.confounders.hygroma) return;
    const bool both = rng.chance(0.5);
    const float first = rng.sign();
    for (int i = 0; i < (both ? 2 : 1); ++i) {
        const float side = i == 0 ? first : -first;
        Layer l = layer(head, side * rng.uniform(50, 95), rng.uniform(60, 105));
        l.z = rng.uniform(20, 35);
        l.half_z = rng.uniform(32, 48);
        l.thickness = rng.uniform(5, 11);
        l.hu = rng.uniform(5, 15);
        if (!both) bleeding.shift -= side * 0.2F * l.thickness;
        bleeding.layers.push_back(l);
    }
}

}  // namespace scopenode::ml
