#include "ml/phantom/head.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace scopenode::ml {
namespace {
constexpr float kPi = std::numbers::pi_v<float>;
constexpr int kSines = 4096;

const std::array<float, kSines>& sines() {
    static const std::array<float, kSines> table = [] {
        std::array<float, kSines> t{};
        for (int i = 0; i < kSines; ++i)
            t[static_cast<std::size_t>(i)] =
                static_cast<float>(std::sin((i + 0.5) * 2 * std::numbers::pi / kSines));
        return t;
    }();
    return table;
}

/// Relative width of the head at z, when `top` is its height.
float profile(float z, float top) {
    if (z >= top) return 0;
    if (z > 0) return std::sqrt(1 - std::pow(z / top, 2.4F));
    const float down = -z / 70;
    const float neck = z < -70 ? std::min(0.25F, (-70 - z) * 0.012F) : 0.0F;
    return 1 - 0.09F * down * down - neck;
}

void fill_tables(Head& head, Rng& rng) {
    std::array<float, 4> amplitude{}, phase{};
    for (std::size_t k = 0; k < 4; ++k) {
        amplitude[k] = rng.uniform(-0.012F, 0.012F);
        phase[k] = rng.uniform(0, 2 * kPi);
    }
    const float wider_behind = rng.uniform(0.03F, 0.10F);
    const float bone_phase = rng.uniform(0, 2 * kPi);
    const float extra = head.confounders.hyperostosis ? rng.uniform(2, 4) : 0.0F;
    for (int i = 0; i < kAngles; ++i) {
        const auto n = static_cast<std::size_t>(i);
        const float quarter = (static_cast<float>(i) + 0.5F) / (kAngles / 4);
        const int q = static_cast<int>(quarter);
        const float f = quarter - static_cast<float>(q);
        constexpr std::array<std::array<float, 2>, 5> kCorners{{{0, -1}, {1, 0}, {0, 1}, {-1, 0}, {0, -1}}};
        const auto& from = kCorners[static_cast<std::size_t>(q)];
        const auto& to = kCorners[static_cast<std::size_t>(q) + 1];
        const float x = from[0] + f * (to[0] - from[0]);
        const float y = from[1] + f * (to[1] - from[1]);
        const float angle = std::atan2(x, -y);
        const float c = std::cos(angle), s = std::sin(angle);
        const float width = head.half_width * (1 - wider_behind * c);
        float radius = 1 / std::sqrt(s * s / (width * width) + c * c / (head.half_length * head.half_length));
        for (std::size_t k = 0; k < 4; ++k)
            radius *= 1 + amplitude[k] * std::cos(static_cast<float>(k + 2) * angle + phase[k]);
        float bone = head.bone * (1 + 0.22F * c * c + 0.15F * std::cos(3 * angle + bone_phase));
        const float frontal = std::max(0.0F, c - 0.6F) * 2.5F;
        head.theta[n] = angle;
        head.r_in[n] = radius - extra * frontal * (1 + 0.4F * std::sin(11 * angle));
        head.r_out[n] = radius + bone;
        head.r_skin[n] = radius + bone + head.scalp * (1 + 0.25F * std::cos(2 * angle + bone_phase));
    }
    for (int i = 0; i < kHeights; ++i) {
        const auto n = static_cast<std::size_t>(i);
        const float z = kLowest + (static_cast<float>(i) + 0.5F) * kHeightStep;
        const float middle = 0.5F * (head.half_width + head.half_length);
        head.s_in[n] = profile(z, head.height);
        head.s_out[n] = profile(z, head.height + head.bone);
        head.s_skin[n] = profile(z, head.height + head.bone + head.scalp);
        const auto normal = [&](float top) {
            if (z <= 0 || z >= top) return z <= 0 ? 1.0F : 0.25F;
            const float slope = middle * (profile(z + 0.5F, top) - profile(z - 0.5F, top));
            return std::max(0.2F, 1 / std::sqrt(1 + slope * slope));
        };
        head.normal_in[n] = normal(head.height);
        head.normal_out[n] = normal(head.height + head.bone);
    }
}

void add_ventricles(Head& head, Rng& rng) {
    const float w = rng.uniform(0.78F, 0.98F) + 0.55F * head.atrophy;
    for (int side = 0; side < 2; ++side) {
        const float s = side == 0 ? -1.0F : 1.0F;
        const float v = w * rng.uniform(0.92F, 1.08F);
        const auto add = [&](Ellipsoid e, float degrees) {
            e.a *= v;
            e.b *= 0.6F + 0.4F * v;
            e.c *= 0.6F + 0.4F * v;
            head.ventricles.push_back({turned(e, degrees * s), side});
        };
        add({s * (8.0F + 2 * v), -25, 9, 4.6F, 15, 10}, 20);
        add({s * (11.0F + 2 * v), -2, 20, 5.0F, 28, 7.5F}, -10);
        add({s * 24, 27, 11, 6.5F, 14, 12}, -28);
        add({s * 25, 43, 7, 4.2F, 15, 6.5F}, 12);
        add({s * 33, 6, -16, 2.4F, 15, 3.5F}, 12);
        const float hu = head.confounders.choroid_calcification ? rng.uniform(90, 300) : head.grey + 4;
        const float size = rng.uniform(2.0F, 3.6F);
        head.calcifications.push_back(
            {{s * (24 + rng.uniform(-2, 2)), 30 + rng.uniform(-3, 3), 11, size, size * 1.4F, 4.5F}, hu});
        head.deep_grey.push_back(turned({s * 11, 9, 4, 8, 14, 9}, -25 * s));
        head.deep_grey.push_back(turned({s * (13 + 2 * v), -20, 9, 4.5F, 9, 10}, 15 * s));
        head.deep_grey.push_back(turned({s * 25, -3, 4, 7.5F, 16, 11}, 10 * s));
    }
    head.ventricles.push_back({{0, 2, 0, 1.8F * w * w + 0.6F, 13, 9}, 2});
    head.ventricles.push_back({{0, 34, -36, 6.5F * w, 5.0F * w, 10}, 3});
    const float pineal = rng.uniform(1.8F, 3.4F);
    const float hu = head.confounders.pineal_calcification ? rng.uniform(100, 280) : head.grey;
    head.calcifications.push_back({{rng.uniform(-1, 1), 24, 1, pineal, pineal, 4}, hu});
    const float c = 0.75F + 0.7F * head.atrophy;
    head.cisterns.push_back({0, -7, -22, 13 * c, 10 * c, 7});
    head.cisterns.push_back({0, 29, -6, 11 * c, 3.5F * c, 7});
    head.cisterns.push_back({0, 0, -40, 12 * c, 3.2F * c, 16});
    head.cisterns.push_back({0, 70, -58, 13 * c, 7 * c, 11});
}

Confounders draw_confounders(Rng& rng) {
    Confounders c;
    c.calcified_falx = rng.chance(0.25);
    c.ganglia_calcification = rng.chance(0.2);
    c.dense_sinus = rng.chance(0.3);
    c.streaks = rng.chance(0.3);
    c.old_infarct = rng.chance(0.2);
    c.vessels = rng.chance(0.15);
    c.dense_tentorium = rng.chance(0.25);
    c.hygroma = rng.chance(0.15);
    c.hyperostosis = rng.chance(0.15);
    c.choroid_calcification = rng.chance(0.65);
    c.pineal_calcification = rng.chance(0.6);
    return c;
}

void add_confounders(Head& head, Rng& rng) {
    const Confounders& c = head.confounders;
    if (c.calcified_falx) {
        const float size = rng.uniform(1.5F, 3.5F);
        head.calcifications.push_back(
            {{0, rng.uniform(-65, -45), rng.uniform(25, 50), size * 0.7F, size * 2.5F, size * 2},
             rng.uniform(120, 600)});
        head.falx_hu = rng.uniform(58, 75);
        head.falx_half = 1.2F;
    }
    for (int side = -1; side <= 1 && c.ganglia_calcification; side += 2) {
        const float size = rng.uniform(1.5F, 4.0F);
        head.calcifications.push_back({{static_cast<float>(side) * rng.uniform(20, 24), rng.uniform(-8, 4),
                                        rng.uniform(1, 6), size * 0.8F, size * 1.5F, size + 1},
                                       rng.uniform(70, 260)});
    }
    if (c.dense_sinus) head.sinus_hu = rng.uniform(57, 68);
    if (c.dense_tentorium) head.tentorium_hu = rng.uniform(58, 70);
    if (c.vessels) {
        const float hu = rng.uniform(90, 160);
        head.sinus_hu = rng.uniform(80, 120);
        for (const float side : {-1.0F, 1.0F}) {
            head.calcifications.push_back({turned({side * 18, -11, -19, 14, 1.7F, 2.2F}, -12 * side), hu});
            head.calcifications.push_back({{side * 2.2F, -38, 2, 1.3F, 2.2F, 20}, hu});
        }
        head.calcifications.push_back({{0, 1, -34, 1.9F, 1.9F, 13}, hu});
    }
    if (c.old_infarct) {
        const float s = rng.sign();
        static constexpr std::array<std::array<float, 3>, 4> kPlaces{
            {{48, -12, 18}, {42, 40, 25}, {24, 62, 8}, {30, 62, -35}}};
        const auto& at = kPlaces[static_cast<std::size_t>(rng.below(4))];
        head.infarcts.push_back(
            {s * at[0], at[1], at[2], rng.uniform(10, 20), rng.uniform(14, 24), rng.uniform(10, 22)});
        head.infarct_hu = rng.uniform(10, 20);
        head.shift = s * rng.uniform(0, 3);
    }
    const int count = c.streaks ? 9 : 3;
    for (int i = 0; i < count; ++i) {
        const float angle = kPi / 2 + rng.uniform(-0.5F, 0.5F);
        const float hu = (c.streaks ? rng.uniform(8, 22) : rng.uniform(2, 6)) * rng.sign();
        head.streaks.push_back({std::cos(angle), std::sin(angle), rng.uniform(-20, 50), rng.uniform(1.5F, 4),
                                hu, rng.uniform(-52, -20)});
    }
}
}  // namespace

float table_sine(float x) {
    // The offset keeps the cast from rounding towards zero on both sides of it.
    const auto i = static_cast<int>(x * (kSines / (2 * kPi)) + 64.0F * kSines);
    return sines()[static_cast<std::size_t>(i & (kSines - 1))];
}

int angle_bin(float x, float y) {
    const float sum = std::fabs(x) + std::fabs(y) + 1e-6F;
    const float p = x / sum;  // the front is y < 0
    float quarter = 0;
    if (y <= 0)
        quarter = x >= 0 ? p : 4 + p;
    else
        quarter = 2 - p;
    const int i = static_cast<int>(quarter * (kAngles / 4));
    return i < 0 ? 0 : (i >= kAngles ? kAngles - 1 : i);
}

Ellipsoid turned(Ellipsoid e, float degrees) {
    e.cosine = std::cos(degrees * kPi / 180);
    e.sine = std::sin(degrees * kPi / 180);
    return e;
}

float Ellipsoid::radius2(float px, float py, float pz) const {
    const float dz = (pz - z) / c;
    if (dz > 1.8F || dz < -1.8F) return 4;
    const float dx = px - x, dy = py - y;
    const float u = (cosine * dx + sine * dy) / a;
    const float v = (-sine * dx + cosine * dy) / b;
    return u * u + v * v + dz * dz;
}

float Ellipsoid::smallest() const {
    return std::min(a, std::min(b, c));
}

float Ellipsoid::depth(float px, float py, float pz) const {
    return (1 - std::sqrt(radius2(px, py, pz))) * smallest();
}

Gyroid Gyroid::draw(Rng& rng, float wavelength_mm) {
    Gyroid g;
    const float k = 2 * kPi / wavelength_mm;
    const float a = rng.uniform(0, 2 * kPi), b = rng.uniform(0, 2 * kPi);
    const float ca = std::cos(a), sa = std::sin(a), cb = std::cos(b), sb = std::sin(b);
    g.matrix = {k * ca, -k * sa, 0, k * sa * cb, k * ca * cb, -k * sb, k * sa * sb, k * ca * sb, k * cb};
    for (auto& p : g.phase) p = rng.uniform(0, 2 * kPi);
    g.scale_mm = 1 / (1.25F * k);
    return g;
}

float Gyroid::operator()(float x, float y, float z) const {
    constexpr float kQuarter = kPi / 2;
    const float u = matrix[0] * x + matrix[1] * y + matrix[2] * z + phase[0];
    const float v = matrix[3] * x + matrix[4] * y + matrix[5] * z + phase[1];
    const float w = matrix[6] * x + matrix[7] * y + matrix[8] * z + phase[2];
    return table_sine(u) * table_sine(v + kQuarter) + table_sine(v) * table_sine(w + kQuarter) +
           table_sine(w) * table_sine(u + kQuarter);
}

std::vector<std::string> Confounders::names() const {
    std::vector<std::string> all;
    const auto add = [&](bool present, const char* name) {
        if (present) all.emplace_back(name);
    };
    add(calcified_falx, "calcified falx");
    add(ganglia_calcification, "basal ganglia calcification");
    add(dense_sinus, "dense sinus");
    add(streaks, "streaks at the base");
    add(old_infarct, "old infarct");
    add(vessels, "contrast in vessels");
    add(dense_tentorium, "dense tentorium");
    add(hygroma, "hygroma");
    add(hyperostosis, "thick frontal bone");
    add(choroid_calcification, "choroid plexus calcification");
    add(pineal_calcification, "pineal calcification");
    return all;
}

Head Head::draw(Rng anatomy, Rng confounding) {
    Head head;
    head.confounders = draw_confounders(confounding);
    const float size = anatomy.uniform(0.93F, 1.05F);
    head.half_width = anatomy.uniform(64, 70) * size;
    head.half_length = anatomy.uniform(79, 86) * size;
    head.height = anatomy.uniform(74, 84) * size;
    head.bone = anatomy.uniform(4.5F, 8);
    head.scalp = anatomy.uniform(3.5F, 8);
    head.atrophy = anatomy.uniform();
    head.grey = anatomy.uniform(37, 41);
    head.white = head.grey - anatomy.uniform(6.5F, 10);
    head.csf = anatomy.uniform(2, 10);
    head.bone_hu = anatomy.uniform(900, 1400);
    head.cupping = anatomy.uniform(0, 8);
    head.falx_hu = anatomy.uniform(42, 50);
    head.tentorium_hu = anatomy.uniform(42, 50);
    head.sinus_hu = anatomy.uniform(44, 54);
    head.shift = anatomy.uniform(-1.5F, 1.5F);
    head.sulci = Gyroid::draw(anatomy, anatomy.uniform(21, 27));
    head.folds = Gyroid::draw(anatomy, 7);
    head.texture = Gyroid::draw(anatomy, 38);
    add_ventricles(head, anatomy);
    add_confounders(head, confounding);
    fill_tables(head, anatomy);
    return head;
}

}  // namespace scopenode::ml
