#pragma once
#include <vector>

namespace scopenode::workflows {

/// Where the slices of a stack lie and what is missing between them.
struct StackShape {
    int slices = 0;
    int missing = 0;            ///< positions between the first and the last slice that no slice has
    double largest_gap_mm = 0;  ///< the longest stretch without a slice where there should be one; 0: none
    double spacing_mm = 0;      ///< distance of neighbours, lower quartile; 0 with fewer than two slices

    double missing_share() const {
        return slices == 0 ? 0 : static_cast<double>(missing) / (slices + missing);
    }
};

struct SlicePlace {
    double mm = 0;         ///< along the normal
    double thickness = 0;  ///< 0: not given
};

/// A gap is a distance of more than 1.5 times the usual spacing. Not a gap: the second half of a stack whose
/// slices are thicker there, as some protocols make them: then the distance is that of a neighbouring pair
/// too and hardly more than the thickness says.
StackShape shape_of(std::vector<SlicePlace> places);

}  // namespace scopenode::workflows
