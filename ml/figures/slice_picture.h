#pragma once
#include <utility>
#include <vector>

#include "base/core/hu_image.h"
#include "ml/figures/canvas.h"
#include "ml/grid.h"

namespace scopenode::ml {

/// The slice in the brain window (level 40, width 80 HU), one pixel for each of its own.
Picture slice_picture(const HuImage& slice);

/// A coarse map as colours over a slice that is shown with `width` x `height` pixels; transparent where the
/// map is low against `highest`. The square that the network saw is the slice with air beside its shorter
/// sides, of which nothing is shown.
Picture heat_picture(const HuImage& slice, const Grid& map, double highest, int width, int height,
                     double (*opacity)(double) = heat_opacity);

/// Several maps as one: each scaled to its own greatest value, then the greater of them in every cell. Maps
/// that are nowhere above 0 count for nothing; without any other the result is empty.
Grid joined_heat(const std::vector<Grid>& maps);

/// In pixels of the slice, (0, 0) its top left corner.
using Outline = std::vector<std::pair<double, double>>;
/// Around the connected area with the map's greatest value, where the map reaches `share` of it. Closed;
/// empty for an empty map.
Outline hottest_outline(const HuImage& slice, const Grid& map, double share);

inline constexpr const char* kWindowWords = "brain window, level 40, width 80 HU";

}  // namespace scopenode::ml
