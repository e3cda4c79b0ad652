#pragma once
#include <span>
#include <string>

#include "ml/explain.h"
#include "ml/figures/canvas.h"

namespace scopenode::ml {

/// Values that are not numbers are passed over; of nothing: zeros.
struct Summary {
    double min = 0, max = 0, mean = 0;
};
Summary summary(std::span<const float> values);
/// The value below which `share` (0..1) of all absolute values lie.
double absolute_quantile(const std::vector<Grid>& grids, double share);

/// Made smaller by the mean over areas, to at most `side` rows and columns; never larger.
Grid reduced(const Grid& grid, int side);
/// Between the middles of the cells linearly, towards the edges the outermost cell.
double bilinear(const Grid& grid, double row, double column);

/// One pixel a cell.
template <class Colour>
Picture coloured(const Grid& grid, Colour colour) {
    Picture picture{grid.columns, grid.rows, {}};
    picture.pixels.reserve(grid.values.size());
    for (const float value : grid.values)
        picture.pixels.push_back(packed(colour(static_cast<double>(value))));
    return picture;
}

/// For a person: three digits that count, a real minus sign.
std::string number(double value);
/// With the given decimals and a sign always; nothing is "+0.000".
std::string signed_number(double value, int decimals);
/// 0..1 with three decimals; what is rounded to 0 or 1 without being it says so ("<0.001").
std::string probability(double value);

}  // namespace scopenode::ml
