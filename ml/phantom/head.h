#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "ml/phantom/rng.h"

namespace scopenode::ml {

/// Head frame in mm: x to the image's right, y to the back, z to the vertex; the origin is near the third
/// ventricle.
struct Ellipsoid {
    float x = 0, y = 0, z = 0;
    float a = 1, b = 1, c = 1;
    float cosine = 1, sine = 0;  ///< turned about z

    /// Normalised radius: 1 on the surface.
    float radius2(float px, float py, float pz) const;
    /// Rough depth in mm: positive inside.
    float depth(float px, float py, float pz) const;
    float smallest() const;
};
Ellipsoid turned(Ellipsoid e, float degrees);

/// A labyrinth of smooth sheets; |value| times `scale_mm` is about the distance to the nearest one.
struct Gyroid {
    std::array<float, 9> matrix{};
    std::array<float, 3> phase{};
    float scale_mm = 1;

    static Gyroid draw(Rng& rng, float wavelength_mm);
    float operator()(float x, float y, float z) const;
};

/// Things that are not blood, drawn without a look at the label.
struct Confounders {
    bool calcified_falx = false, ganglia_calcification = false, dense_sinus = false, streaks = false;
    bool old_infarct = false, vessels = false, dense_tentorium = false, hygroma = false, hyperostosis = false;
    bool choroid_calcification = false, pineal_calcification = false;
    std::vector<std::string> names() const;
};

inline constexpr int kAngles = 512;
inline constexpr int kHeights = 512;
inline constexpr float kHeightStep = 0.5F;
inline constexpr float kLowest = -130;
inline constexpr float kFloor = -20;     ///< of the anterior fossa
inline constexpr float kVaultEnd = -12;  ///< below it the skull base takes part

struct Ventricle {
    Ellipsoid shape;
    int group = 0;  ///< 0 and 1 lateral (x < 0, x > 0), 2 third, 3 fourth
};
/// Any small dense thing: calcification, plexus, vessel with contrast.
struct Calcification {
    Ellipsoid shape;
    float hu = 0;
};
struct Streak {
    float nx = 0, ny = 0, offset = 0, width = 1, hu = 0, z = 0;
};

/// The anatomy of one person, without bleeding.
struct Head {
    float half_width = 67, half_length = 84, height = 78, bone = 6, scalp = 5;
    float atrophy = 0.3F;
    float grey = 39, white = 29, csf = 6, bone_hu = 1150, fat = -85, muscle = 52;
    float falx_hu = 46, falx_half = 0.8F, tentorium_hu = 46, sinus_hu = 49, cupping = 2;
    float shift = 0;
    Gyroid sulci, folds, texture;
    std::vector<Ventricle> ventricles;
    std::vector<Ellipsoid> deep_grey, cisterns;
    std::vector<Calcification> calcifications;
    std::vector<Ellipsoid> infarcts;
    float infarct_hu = 16;
    std::vector<Streak> streaks;
    Confounders confounders;

    /// Tables over the angle (see angle_bin) and over z.
    std::array<float, kAngles> theta{}, r_in{}, r_out{}, r_skin{};
    std::array<float, kHeights> s_in{}, s_out{}, s_skin{}, normal_in{}, normal_out{};

    static Head draw(Rng anatomy, Rng confounding);
};

/// Index into the tables over the angle, from a cheap pseudo-angle; 0 is the front, growing to x > 0.
int angle_bin(float x, float y);
inline int height_bin(float z) {
    return static_cast<int>((z - kLowest) * (1.0F / kHeightStep));
}
float table_sine(float x);

}  // namespace scopenode::ml
