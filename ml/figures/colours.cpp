#include "ml/figures/colours.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace scopenode::ml {
namespace {

constexpr int kSteps = 512;
using Table = std::array<Rgb, kSteps + 1>;

double encoded(double linear) {
    return linear <= 0.0031308 ? 12.92 * linear : 1.055 * std::pow(linear, 1 / 2.4) - 0.055;
}

struct Linear {
    double r, g, b;
    bool shown() const { return std::min({r, g, b}) >= -1e-6 && std::max({r, g, b}) <= 1 + 1e-6; }
};

/// Oklab in polar form to linear sRGB.
Linear linear_of(double lightness, double chroma, double hue_degrees) {
    const double hue = hue_degrees * std::numbers::pi / 180;
    const double a = chroma * std::cos(hue), b = chroma * std::sin(hue);
    const double l = std::pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
    const double m = std::pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
    const double s = std::pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
    return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
            -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
            -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

/// The colour of that lightness and hue with as much of the chroma as a screen can show.
Rgb shown(double lightness, double chroma, double hue) {
    double low = 0, high = chroma;
    if (!linear_of(lightness, chroma, hue).shown()) {
        for (int i = 0; i < 24; ++i) {
            const double middle = (low + high) / 2;
            (linear_of(lightness, middle, hue).shown() ? low : high) = middle;
        }
    } else {
        low = chroma;
    }
    const Linear c = linear_of(lightness, low, hue);
    const auto part = [](double v) { return encoded(std::clamp(v, 0.0, 1.0)); };
    return {part(c.r), part(c.g), part(c.b)};
}

Table heat_table() {
    Table table;
    for (int i = 0; i <= kSteps; ++i) {
        const double t = static_cast<double>(i) / kSteps;
        const double chroma =
            0.03 + 0.20 * std::pow(std::sin(std::numbers::pi * std::min(1.0, 0.06 + t * 0.88)), 0.8);
        table[static_cast<std::size_t>(i)] = shown(0.14 + 0.83 * t, chroma, 290 + 170 * t);
    }
    return table;
}

Table signed_table() {
    Table table;
    for (int i = 0; i <= kSteps; ++i) {
        const double v = 2.0 * i / kSteps - 1, size = std::abs(v);
        table[static_cast<std::size_t>(i)] =
            shown(0.985 - 0.565 * size, 0.19 * std::pow(size, 0.85), v < 0 ? 255 : 28);
    }
    return table;
}

Rgb at(const Table& table, double t) {
    if (std::isnan(t)) return {0.5, 0.5, 0.5};
    return table[static_cast<std::size_t>(std::lround(std::clamp(t, 0.0, 1.0) * kSteps))];
}

}  // namespace

Rgb heat_colour(double t) {
    static const Table table = heat_table();
    return at(table, t);
}

Rgb signed_colour(double t) {
    static const Table table = signed_table();
    return at(table, (t + 1) / 2);
}

Rgb series_colour(std::size_t index) {
    static const std::array<Rgb, 6> colours{{{0.17, 0.33, 0.58},
                                             {0.86, 0.55, 0.16},
                                             {0.33, 0.60, 0.52},
                                             {0.62, 0.27, 0.42},
                                             {0.50, 0.50, 0.52},
                                             {0.35, 0.22, 0.55}}};
    return colours[index % colours.size()];
}

double heat_opacity(double t) {
    if (std::isnan(t)) return 0;
    const double x = std::clamp((t - 0.12) / 0.43, 0.0, 1.0);
    return 0.62 * x * x * (3 - 2 * x);
}

double quiet_opacity(double t) {
    if (std::isnan(t)) return 0;
    const double x = std::clamp((t - 0.35) / 0.5, 0.0, 1.0);
    return 0.45 * x * x * (3 - 2 * x);
}

Rgb overlay_colour(double t) {
    return heat_colour(0.30 + 0.60 * std::clamp(t, 0.0, 1.0));
}

Rgb mix(Rgb below, Rgb above, double opacity) {
    const double rest = 1 - opacity;
    return {below.r * rest + above.r * opacity, below.g * rest + above.g * opacity,
            below.b * rest + above.b * opacity};
}

std::uint32_t packed(Rgb colour, double opacity) {
    const auto part = [](double v) {
        return static_cast<std::uint32_t>(std::lround(std::clamp(v, 0.0, 1.0) * 255));
    };
    return part(opacity) << 24 | part(colour.r) << 16 | part(colour.g) << 8 | part(colour.b);
}

}  // namespace scopenode::ml
