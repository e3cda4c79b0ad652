#pragma once
#include "ml/phantom/bleeding.h"
#include "ml/phantom/phantom.h"

namespace scopenode::ml {

/// How a head lies in the stack of slices.
struct Pose {
    std::array<float, 9> rotation{};  ///< image frame to head frame
    float offset_x = 0, offset_y = 0;
    float first_z = 0;

    std::array<float, 3> to_head(float x, float y, float z) const {
        x -= offset_x;
        y -= offset_y;
        const auto& r = rotation;
        return {r[0] * x + r[1] * y + r[2] * z, r[3] * x + r[4] * y + r[5] * z,
                r[6] * x + r[7] * y + r[8] * z};
    }
};

/// Everything about a study but its pixels.
struct Plan {
    Scanner scanner;
    double pixel_mm = 0.45;  ///< at the size asked for
    Head head;
    Bleeding bleeding;
    Pose pose;
    Visibility visibility = Visibility::kClear;
    std::vector<std::uint8_t> kinds;
    float noise_hu = 3;
};
Result<Plan> plan_phantom(const PhantomOptions& options, std::uint64_t number);

/// Blood of each kind in ml on a coarse grid: quick, within a tenth of what the slices hold.
std::array<float, kLabelCount> rough_volumes(const Plan& plan, int slices);

/// Adds slices and truth to `study`.
void render(const Plan& plan, const PhantomOptions& options, Rng rng, PhantomStudy& study);

}  // namespace scopenode::ml
