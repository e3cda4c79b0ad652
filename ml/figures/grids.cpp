#include "ml/figures/grids.h"

#include <algorithm>
#include <cmath>

namespace scopenode::ml {
namespace {

std::string with_minus(std::string text) {
    if (text.starts_with('-')) text.replace(0, 1, "\u2212");
    if (const auto e = text.find("e-"); e != std::string::npos) text.replace(e + 1, 1, "\u2212");
    return text;
}

/// For every new cell the old ones it covers, with their shares.
struct Cover {
    int first = 0;
    std::vector<double> shares;
};
std::vector<Cover> covers(int from, int to) {
    std::vector<Cover> all(static_cast<std::size_t>(to));
    const double step = static_cast<double>(from) / to;
    for (int i = 0; i < to; ++i) {
        const double begin = i * step, end = (i + 1) * step;
        Cover& cover = all[static_cast<std::size_t>(i)];
        cover.first = std::min(static_cast<int>(begin), from - 1);
        for (int k = cover.first; k < from && (k < end - 1e-9 || cover.shares.empty()); ++k)
            cover.shares.push_back((std::min<double>(end, k + 1) - std::max<double>(begin, k)) / step);
    }
    return all;
}

}  // namespace

Summary summary(std::span<const float> values) {
    Summary s;
    double sum = 0;
    std::size_t count = 0;
    for (const float value : values) {
        if (std::isnan(value)) continue;
        const auto v = static_cast<double>(value);
        s.min = count == 0 ? v : std::min(s.min, v);
        s.max = count == 0 ? v : std::max(s.max, v);
        sum += v;
        ++count;
    }
    if (count > 0) s.mean = sum / static_cast<double>(count);
    return s;
}

double absolute_quantile(const std::vector<Grid>& grids, double share) {
    std::vector<double> all;
    for (const Grid& grid : grids)
        for (const float value : grid.values)
            if (std::isfinite(value)) all.push_back(std::abs(static_cast<double>(value)));
    if (all.empty()) return 0;
    const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(all.size() - 1));
    std::nth_element(all.begin(), all.begin() + place, all.end());
    return all[static_cast<std::size_t>(place)];
}

Grid reduced(const Grid& grid, int side) {
    if (grid.rows <= side && grid.columns <= side) return grid;
    Grid out{std::min(grid.rows, side), std::min(grid.columns, side), {}};
    const auto rows = covers(grid.rows, out.rows), columns = covers(grid.columns, out.columns);
    out.values.reserve(static_cast<std::size_t>(out.rows) * static_cast<std::size_t>(out.columns));
    for (const Cover& row : rows) {
        for (const Cover& column : columns) {
            double sum = 0;
            for (std::size_t r = 0; r < row.shares.size(); ++r) {
                const std::size_t start =
                    (static_cast<std::size_t>(row.first) + r) * static_cast<std::size_t>(grid.columns) +
                    static_cast<std::size_t>(column.first);
                for (std::size_t c = 0; c < column.shares.size(); ++c)
                    sum += row.shares[r] * column.shares[c] * static_cast<double>(grid.values[start + c]);
            }
            out.values.push_back(static_cast<float>(sum));
        }
    }
    return out;
}

double bilinear(const Grid& grid, double row, double column) {
    const double y = std::clamp(row - 0.5, 0.0, grid.rows - 1.0),
                 x = std::clamp(column - 0.5, 0.0, grid.columns - 1.0);
    const int top = static_cast<int>(y), left = static_cast<int>(x);
    const int below = std::min(top + 1, grid.rows - 1), right = std::min(left + 1, grid.columns - 1);
    const auto at = [&](int r, int c) {
        return static_cast<double>(
            grid.values[static_cast<std::size_t>(r) * static_cast<std::size_t>(grid.columns) +
                        static_cast<std::size_t>(c)]);
    };
    const double u = x - left, v = y - top;
    return (at(top, left) * (1 - u) + at(top, right) * u) * (1 - v) +
           (at(below, left) * (1 - u) + at(below, right) * u) * v;
}

std::string number(double value) {
    if (!std::isfinite(value)) return "n/a";
    const double size = std::abs(value);
    if (size == 0) return "0";
    if (size < 1e-4 || size >= 1e5) return with_minus(fmt::format("{:.1e}", value));
    const int decimals = std::clamp(2 - static_cast<int>(std::floor(std::log10(size))), 0, 6);
    return with_minus(fmt::format("{:.{}f}", value, decimals));
}

std::string signed_number(double value, int decimals) {
    if (!std::isfinite(value)) return "n/a";
    const std::string text = fmt::format("{:+.{}f}", value, decimals);
    if (text.find_first_of("123456789") == std::string::npos) return text.substr(1);
    return with_minus(text);
}

std::string probability(double value) {
    if (!std::isfinite(value)) return "n/a";
    if (value > 0 && value < 0.0005) return "<0.001";
    if (value < 1 && value > 0.9995) return ">0.999";
    return fmt::format("{:.3f}", value);
}

}  // namespace scopenode::ml
