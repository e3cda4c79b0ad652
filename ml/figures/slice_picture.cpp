#include "ml/figures/slice_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "ml/figures/grids.h"

namespace scopenode::ml {
namespace {

double grey_of(float hu) {
    return std::clamp(static_cast<double>(hu) / 80, 0.0, 1.0);
}

/// The map at a place of the slice, 0..1 in both directions.
class Placed {
  public:
    Placed(const HuImage& slice, const Grid& map)
        : map_(map), width_(slice.width), height_(slice.height), side_(std::max(slice.width, slice.height)) {}
    double at(double x, double y) const {
        const double row = (y * height_ + (side_ - height_) / 2) / side_ * map_.rows;
        const double column = (x * width_ + (side_ - width_) / 2) / side_ * map_.columns;
        return bilinear(map_, row, column);
    }

  private:
    const Grid& map_;
    int width_, height_, side_;
};

/// Samples of a map over the slice with a rim of 0.
struct Samples {
    int rows = 0, columns = 0;
    std::vector<double> values;
    double& at(int row, int column) {
        return values[static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) +
                      static_cast<std::size_t>(column)];
    }
};

constexpr int kSteps = 128;

Samples sampled(const HuImage& slice, const Grid& map) {
    const Placed placed(slice, map);
    const int side = std::max(slice.width, slice.height);
    Samples s;
    s.rows = std::max(2, kSteps * slice.height / side) + 3;
    s.columns = std::max(2, kSteps * slice.width / side) + 3;
    s.values.assign(static_cast<std::size_t>(s.rows) * static_cast<std::size_t>(s.columns), 0);
    for (int r = 1; r + 1 < s.rows; ++r)
        for (int c = 1; c + 1 < s.columns; ++c)
            s.at(r, c) = placed.at((c - 1.0) / (s.columns - 3), (r - 1.0) / (s.rows - 3));
    return s;
}

/// Sets what reaches `level` elsewhere to 0; samples below it stay, because the line runs between them.
void keep_hottest(Samples& s, double level) {
    const auto hottest = std::max_element(s.values.begin(), s.values.end()) - s.values.begin();
    std::vector<std::size_t> open{static_cast<std::size_t>(hottest)};
    std::vector<bool> kept(s.values.size());
    kept[open.front()] = true;
    const auto columns = static_cast<std::size_t>(s.columns);
    while (!open.empty()) {
        const std::size_t here = open.back();
        open.pop_back();
        // The rim is 0, so that no kept sample lies on an edge.
        for (const std::size_t next : {here - 1, here + 1, here - columns, here + columns})
            if (!kept[next] && s.values[next] >= level) {
                kept[next] = true;
                open.push_back(next);
            }
    }
    for (std::size_t i = 0; i < kept.size(); ++i)
        if (!kept[i] && s.values[i] >= level) s.values[i] = 0;
}

/// Marching squares: where the level crosses the sides of the cells, and which crossings belong together.
class Crossings {
  public:
    Crossings(Samples& samples, double level) : s_(samples), level_(level) {
        for (int r = 0; r + 1 < s_.rows; ++r)
            for (int c = 0; c + 1 < s_.columns; ++c) cell(r, c);
    }

    /// The longest closed line, in steps of the samples.
    Outline longest() const {
        Outline best;
        std::map<int, bool> seen;
        for (const auto& [start, ends] : next_) {
            if (seen[start]) continue;
            Outline line;
            for (int before = -1, here = start; !seen[here];) {
                seen[here] = true;
                line.push_back(points_.at(here));
                const auto& [a, b] = next_.at(here);
                const int after = a != before ? a : b;
                before = here;
                here = after;
            }
            if (line.size() > best.size()) best = std::move(line);
        }
        return best;
    }

  private:
    void cell(int r, int c) {
        // Sides in the order top, right, bottom, left.
        const std::array<std::array<int, 4>, 4> sides{
            {{r, c, r, c + 1}, {r, c + 1, r + 1, c + 1}, {r + 1, c, r + 1, c + 1}, {r, c, r + 1, c}}};
        std::vector<int> crossed;
        for (const auto& [r1, c1, r2, c2] : sides)
            if ((s_.at(r1, c1) >= level_) != (s_.at(r2, c2) >= level_))
                crossed.push_back(cross(r1, c1, r2, c2));
        // Four crossings are two corners that touch: each is cut off by itself.
        for (std::size_t i = 0; i + 1 < crossed.size(); i += 2) join(crossed[i], crossed[i + 1]);
    }
    int cross(int r1, int c1, int r2, int c2) {
        const int name = 2 * (r1 * s_.columns + c1) + (r1 == r2 ? 0 : 1);
        const double a = s_.at(r1, c1), b = s_.at(r2, c2), t = (level_ - a) / (b - a);
        points_[name] = {c1 + t * (c2 - c1), r1 + t * (r2 - r1)};
        return name;
    }
    void join(int a, int b) {
        for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
            const auto [place, is_new] = next_.try_emplace(from, to, to);
            if (!is_new) place->second.second = to;
        }
    }

    Samples& s_;
    double level_;
    std::map<int, std::pair<double, double>> points_;
    std::map<int, std::pair<int, int>> next_;
};

}  // namespace

Picture slice_picture(const HuImage& slice) {
    Picture picture{slice.width, slice.height, {}};
    picture.pixels.reserve(slice.hu.size());
    for (const float hu : slice.hu) {
        const double grey = hu > -1e9F ? grey_of(hu) : 0;
        picture.pixels.push_back(packed({grey, grey, grey}));
    }
    return picture;
}

Picture heat_picture(const HuImage& slice, const Grid& map, double highest, int width, int height,
                     double (*opacity)(double)) {
    const Placed placed(slice, map);
    Picture picture{width, height, {}};
    picture.pixels.reserve(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            const double t = placed.at((x + 0.5) / width, (y + 0.5) / height) / highest;
            picture.pixels.push_back(packed(overlay_colour(t), opacity(t)));
        }
    return picture;
}

Grid joined_heat(const std::vector<Grid>& maps) {
    Grid all;
    for (const Grid& map : maps) {
        const double highest = summary(map.values).max;
        if (!(highest > 0)) continue;
        if (all.values.empty()) all = {map.rows, map.columns, std::vector<float>(map.values.size(), 0.0F)};
        if (map.values.size() != all.values.size()) continue;
        for (std::size_t i = 0; i < map.values.size(); ++i)
            if (const float part = map.values[i] / static_cast<float>(highest); part > all.values[i])
                all.values[i] = part;
    }
    return all;
}

Outline hottest_outline(const HuImage& slice, const Grid& map, double share) {
    if (!(summary(map.values).max > 0)) return {};
    Samples samples = sampled(slice, map);
    const double level = share * *std::max_element(samples.values.begin(), samples.values.end());
    if (!(level > 0)) return {};
    keep_hottest(samples, level);
    Outline outline = Crossings(samples, level).longest();
    for (auto& [x, y] : outline) {
        x = std::clamp((x - 1) / (samples.columns - 3), 0.0, 1.0) * slice.width;
        y = std::clamp((y - 1) / (samples.rows - 3), 0.0, 1.0) * slice.height;
    }
    return outline;
}

}  // namespace scopenode::ml
