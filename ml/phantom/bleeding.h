#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "ml/labels.h"
#include "ml/phantom/head.h"

namespace scopenode::ml {

/// Places in kLabels.
enum Kind : std::uint8_t { kNone, kEpidural, kIntraparenchymal, kIntraventricular, kSubarachnoid, kSubdural };

/// A layer between skull and brain: a lens (epidural) or a crescent (subdural; kNone: a hygroma, which is no
/// blood).
struct Layer {
    std::uint8_t kind = kNone;
    bool lens = false;
    std::array<float, kAngles> u2{};  ///< squared distance along the bone, 1 at the edge
    float z = 0, half_z = 1, thickness = 0, hu = 0;

    float at(int angle, float pz) const;
};
/// A layer of subdural blood on one side of the falx.
struct FalxLayer {
    float side = 1, thickness = 0, y = 0, half_y = 1, z = 0, half_z = 1, hu = 0;
};
struct Blob {
    Ellipsoid shape;
    float rim = 3, hu = 0;
};

/// Everything that bleeds in one head (and the hygroma, which has the same form).
struct Bleeding {
    std::vector<Layer> layers;
    std::vector<FalxLayer> falx;
    std::vector<Blob> blobs;
    std::array<float, 4> level{1e3F, 1e3F, 1e3F, 1e3F};  ///< per ventricle: blood where y is greater
    float ventricle_hu = 0;
    std::vector<Ellipsoid> regions;  ///< where the subarachnoid space holds blood
    float widening = 0, subarachnoid_hu = 0;
    float shift = 0;
};

/// How well the blood is to be seen.
enum class Visibility { kClear, kSmall, kFaint };

/// One draw of the given kinds; `scale` enlarges each kind's own size.
Bleeding draw_bleeding(const Head& head, const std::vector<std::uint8_t>& kinds, Visibility visibility,
                       const std::array<float, kLabelCount>& scale, Rng rng);
/// The hygroma of the confounders, if the head has one.
void add_hygroma(const Head& head, Bleeding& bleeding, Rng rng);

}  // namespace scopenode::ml
