#pragma once
#include <cstddef>
#include <cstdint>

namespace scopenode::ml {

/// sRGB, 0..1.
struct Rgb {
    double r = 0, g = 0, b = 0;
};

inline constexpr Rgb kWhite{1, 1, 1}, kInk{0.13, 0.14, 0.17}, kFaint{0.42, 0.44, 0.48},
    kRule{0.80, 0.81, 0.84}, kWarning{0.60, 0.12, 0.10};

/// Perceptual map for what is never negative: dark violet at 0, over red, to pale yellow at 1; lightness
/// grows evenly. Outside 0..1 the ends; not a number: grey.
Rgb heat_colour(double t);
/// Signed values: blue at -1, white at 0, red at 1, both sides equally dark.
Rgb signed_colour(double t);
/// Colour of backbone number `index` in charts; they differ for the colour-blind too.
Rgb series_colour(std::size_t index);

/// Share of the heat map's colour over the slice: 0 where the map is low.
double heat_opacity(double t);
/// The same for pictures that a radiologist reads: less of it, and of the stronger half only.
double quiet_opacity(double t);
/// The heat map's colour over the slice: never so dark that it could be taken for the slice.
Rgb overlay_colour(double t);

Rgb mix(Rgb below, Rgb above, double opacity);
/// 0xAARRGGBB, not premultiplied.
std::uint32_t packed(Rgb colour, double opacity = 1);

}  // namespace scopenode::ml
