#include "workflows/pixel_look.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace scopenode::workflows {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kGrid = 128;  // cells along the longer side
constexpr float kPadding = -1024, kAir = -900, kBone = 300, kBody = -300;
constexpr float kBrainLow = 0, kBrainHigh = 80;
// Brain within the skull: with fluid below, with blood, contrast agent and noise above.
constexpr float kInsideLow = -10, kInsideHigh = 100;
constexpr int kDirections = 72;

constexpr int kLowestBin = -1024, kBins = 4096;  // 1 HU each; the last one holds all above

/// Squares of the image: enough for shapes, and noise averages out.
struct Cells {
    int width = 0, height = 0, step = 1;
    std::vector<float> mean;
    std::vector<int> bone;  ///< pixels above 300

    std::size_t at(int x, int y) const {
        return static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x);
    }
    bool holds(int x, int y) const { return x >= 0 && y >= 0 && x < width && y < height; }
    /// The skull of a child is two pixels thick; a pixel or two of noise is no bone.
    bool is_bone(std::size_t i) const { return bone[i] >= std::min(3, step * step) || mean[i] > 160; }
};

const float* row_of(const HuImage& image, int y) {
    return image.hu.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width);
}

/// Column by column, so that the compiler does several at once.
struct Columns {
    std::vector<float> sum, low, high;
    std::vector<int> bone, all_bone, air, padding, brain;

    explicit Columns(std::size_t n)
        : sum(n), low(n, 1e9F), high(n, -1e9F), bone(n), all_bone(n), air(n), padding(n), brain(n) {}

    void add(const float* row) {
        const std::size_t n = sum.size();
        float *s = sum.data(), *l = low.data(), *h = high.data();
        int *b = bone.data(), *a = air.data(), *p = padding.data(), *t = brain.data();
        for (std::size_t x = 0; x < n; ++x) {
            s[x] += row[x];
            l[x] = row[x] < l[x] ? row[x] : l[x];
            h[x] = row[x] > h[x] ? row[x] : h[x];
        }
        for (std::size_t x = 0; x < n; ++x) {
            b[x] += row[x] > kBone;
            a[x] += row[x] < kAir;
        }
        for (std::size_t x = 0; x < n; ++x) {
            p[x] += row[x] <= kPadding;
            t[x] += static_cast<int>(row[x] >= kBrainLow) & static_cast<int>(row[x] <= kBrainHigh);
        }
    }
    /// Sums of the rows so far into a row of cells; they begin anew.
    void give(Cells& c, int cell_y, int rows) {
        const auto n = static_cast<int>(sum.size());
        for (int cell = 0, x = 0; cell < c.width; ++cell) {
            const std::size_t at = c.at(cell, cell_y);
            const int begin = x, end = std::min(x + c.step, n);
            for (; x < end; ++x) {
                const auto i = static_cast<std::size_t>(x);
                c.mean[at] += std::exchange(sum[i], 0.0F);
                c.bone[at] += bone[i];
                all_bone[i] += std::exchange(bone[i], 0);
            }
            c.mean[at] /= static_cast<float>((end - begin) * rows);
        }
    }
};

Cells cells_of(const HuImage& image, SliceLook& look) {
    Cells c;
    c.step = std::max(1, (std::max(image.width, image.height) + kGrid - 1) / kGrid);
    c.width = (image.width + c.step - 1) / c.step;
    c.height = (image.height + c.step - 1) / c.step;
    const auto count = static_cast<std::size_t>(c.width) * static_cast<std::size_t>(c.height);
    c.mean.resize(count);
    c.bone.resize(count);
    Columns columns(static_cast<std::size_t>(image.width));
    for (int y = 0; y < image.height; ++y) {
        columns.add(row_of(image, y));
        const int rows = y % c.step + 1;
        if (rows == c.step || y + 1 == image.height) columns.give(c, y / c.step, rows);
    }
    const auto share = [&](const std::vector<int>& counts) {
        return static_cast<double>(std::accumulate(counts.begin(), counts.end(), 0L)) /
               static_cast<double>(image.hu.size());
    };
    look.least_hu = *std::min_element(columns.low.begin(), columns.low.end());
    look.most_hu = *std::max_element(columns.high.begin(), columns.high.end());
    look.air_share = share(columns.air);
    look.bone_share = share(columns.all_bone);
    look.padding_share = share(columns.padding);
    look.brain_share = share(columns.brain);
    return c;
}

/// The place in the middle of what was counted; 0 when nothing was.
std::size_t middle(std::span<const int> counts) {
    long total = 0, sum = 0;
    for (const int n : counts) total += n;
    for (std::size_t i = 0; i < counts.size(); ++i)
        if ((sum += counts[i]) * 2 >= total && total > 0) return i;
    return 0;
}

/// Some of the rows are enough for peaks and medians.
void look_at_values(const HuImage& image, int stride, SliceLook& look) {
    std::vector<int> counts(kBins);
    std::array<int, 81> steps{};
    const auto is_brain = [](float hu) { return hu >= kBrainLow && hu <= kBrainHigh; };
    for (int y = 0; y < image.height; y += stride) {
        const float* row = row_of(image, y);
        for (int x = 0; x < image.width; ++x) {
            const float bin = std::clamp(row[x] - kLowestBin + 0.5F, 0.0F, static_cast<float>(kBins - 1));
            ++counts[static_cast<std::size_t>(bin)];
        }
        for (int x = 2; x < image.width; ++x)
            if (is_brain(row[x]) && is_brain(row[x - 2]))
                ++steps[static_cast<std::size_t>(std::abs(row[x] - row[x - 2]) + 0.5F)];
    }
    const std::span all(counts);
    const auto brain = all.subspan(static_cast<std::size_t>(-kLowestBin), 81);
    look.brain_median_hu = look.brain_share > 0 ? static_cast<double>(middle(brain)) : 0;
    // Of a difference of two: sqrt(2) larger; the median is 0.6745 standard deviations.
    look.brain_noise_hu = static_cast<double>(middle(steps)) / 0.6745 / std::numbers::sqrt2;
    const auto air = all.subspan(1, static_cast<std::size_t>(-500 - kLowestBin));
    const auto peak = std::max_element(air.begin(), air.end());
    const bool only_padding = *peak == 0 || std::accumulate(air.begin(), air.end(), 0L) * 50 < counts[0];
    if (only_padding)
        look.air_peak_hu = counts[0] > 0 ? kLowestBin : 0;
    else
        look.air_peak_hu = static_cast<double>(peak - air.begin()) + 1 + kLowestBin;
}

/// The cells of the largest thing that is not air, with what it encloses.
std::vector<char> body_of(const Cells& c) {
    std::vector<int> label(c.mean.size(), 0);
    std::vector<std::pair<int, int>> open;
    // Fills the cells without label that `belongs` takes, from (x, y) on; how many.
    const auto flood = [&](int x, int y, int as, const auto& belongs) {
        long count = 0;
        open.assign(1, {x, y});
        label[c.at(x, y)] = as;
        while (!open.empty()) {
            const auto [ax, ay] = open.back();
            open.pop_back();
            ++count;
            for (const auto& [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
                if (!c.holds(ax + dx, ay + dy)) continue;
                const std::size_t next = c.at(ax + dx, ay + dy);
                if (label[next] != 0 || !belongs(next)) continue;
                label[next] = as;
                open.emplace_back(ax + dx, ay + dy);
            }
        }
        return count;
    };
    int best = 0, next_label = 0;
    long most = 0;
    for (int y = 0; y < c.height; ++y)
        for (int x = 0; x < c.width; ++x)
            if (const auto i = c.at(x, y); label[i] == 0 && c.mean[i] > kBody)
                if (const long n = flood(x, y, ++next_label, [&](auto k) { return c.mean[k] > kBody; });
                    n > most) {
                    most = n;
                    best = next_label;
                }
    if (best == 0) return std::vector<char>(c.mean.size(), 0);
    // All that can be reached from the border without crossing the body is outside.
    for (int& one : label) one = one == best ? 1 : 0;
    const auto outside = [&](int x, int y) {
        if (label[c.at(x, y)] == 0) flood(x, y, 2, [](auto) { return true; });
    };
    for (int x = 0; x < c.width; ++x) outside(x, 0), outside(x, c.height - 1);
    for (int y = 0; y < c.height; ++y) outside(0, y), outside(c.width - 1, y);
    std::vector<char> body(label.size());
    for (std::size_t i = 0; i < label.size(); ++i) body[i] = label[i] != 2;
    return body;
}

struct Middle {
    double x = 0, y = 0;
};

Middle look_at_body(const Cells& c, const std::vector<char>& body, SliceLook& look) {
    double n = 0, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0, hollow = 0;
    constexpr int kStep = 10, kLow = -300, kCount = 340;
    std::array<int, kCount> values{};
    for (int y = 0; y < c.height; ++y)
        for (int x = 0; x < c.width; ++x) {
            const std::size_t i = c.at(x, y);
            if (!body[i]) continue;
            n += 1, sx += x, sy += y, sxx += double(x) * x, syy += double(y) * y, sxy += double(x) * y;
            if (c.mean[i] <= kBody)
                hollow += 1;
            else
                ++values[static_cast<std::size_t>(
                    std::clamp((c.mean[i] - kLow) / kStep, 0.0F, static_cast<float>(kCount - 1)))];
        }
    if (n == 0) return {};
    const double mx = sx / n, my = sy / n, vx = sxx / n - mx * mx, vy = syy / n - my * my,
                 vxy = sxy / n - mx * my;
    const double half = (vx + vy) / 2, root = std::sqrt(std::max(0.0, (vx - vy) * (vx - vy) / 4 + vxy * vxy));
    // A filled ellipse with half axis a has the variance a * a / 4 along it.
    look.body_long = 4 * c.step * std::sqrt(std::max(0.0, half + root));
    look.body_short = 4 * c.step * std::sqrt(std::max(0.0, half - root));
    look.body_pixels = n * c.step * c.step;
    look.body_hollow = hollow / n;
    int most = 0;
    for (int i = 1; i + 1 < kCount; ++i)
        if (const int three = values[static_cast<std::size_t>(i - 1)] + values[static_cast<std::size_t>(i)] +
                              values[static_cast<std::size_t>(i + 1)];
            three > most) {
            most = three;
            look.tissue_peak_hu = kLow + kStep * (i + 0.5);
        }
    return {mx, my};
}

void look_for_ring(const Cells& c, const std::vector<char>& body, Middle middle_of_body, SliceLook& look) {
    int hits = 0;
    long inside = 0, brain = 0;
    std::vector<std::size_t> ray;
    for (int d = 0; d < kDirections; ++d) {
        const double angle = 2 * std::numbers::pi * d / kDirections;
        const double dx = std::cos(angle), dy = std::sin(angle);
        ray.clear();
        std::size_t end = 0;  // one behind the last cell of the body
        for (double r = 0;; r += 1) {
            const int x = static_cast<int>(std::lround(middle_of_body.x + r * dx));
            const int y = static_cast<int>(std::lround(middle_of_body.y + r * dy));
            if (!c.holds(x, y)) break;
            ray.push_back(c.at(x, y));
            if (body[ray.back()]) end = ray.size();
        }
        std::size_t outer = end;
        while (outer > end / 2 && !c.is_bone(ray[outer - 1])) --outer;
        if (outer <= end / 2 || end < 4) continue;
        ++hits;
        while (outer > 0 && c.is_bone(ray[outer - 1])) --outer;
        inside += static_cast<long>(outer);
        for (std::size_t i = 0; i < outer; ++i)
            brain += c.mean[ray[i]] >= kInsideLow && c.mean[ray[i]] <= kInsideHigh;
    }
    look.ring_share = static_cast<double>(hits) / kDirections;
    look.inside_brain = inside > 0 ? static_cast<double>(brain) / static_cast<double>(inside) : 0;
}

struct Member {
    const char* name;
    double SliceLook::*place;
};
constexpr Member kMembers[] = {
    {"width", &SliceLook::width},           {"height", &SliceLook::height},
    {"min", &SliceLook::least_hu},          {"max", &SliceLook::most_hu},
    {"padding", &SliceLook::padding_share}, {"air", &SliceLook::air_share},
    {"brain", &SliceLook::brain_share},     {"brain_hu", &SliceLook::brain_median_hu},
    {"noise", &SliceLook::brain_noise_hu},  {"bone", &SliceLook::bone_share},
    {"air_hu", &SliceLook::air_peak_hu},    {"tissue_hu", &SliceLook::tissue_peak_hu},
    {"body", &SliceLook::body_pixels},      {"hollow", &SliceLook::body_hollow},
    {"long", &SliceLook::body_long},        {"short", &SliceLook::body_short},
    {"ring", &SliceLook::ring_share},       {"inside", &SliceLook::inside_brain},
};

}  // namespace

SliceLook look_at(const HuImage& image) {
    SliceLook look;
    look.width = image.width;
    look.height = image.height;
    if (image.hu.empty()) return look;
    const Cells cells = cells_of(image, look);
    look_at_values(image, cells.step, look);
    const auto body = body_of(cells);
    look_for_ring(cells, body, look_at_body(cells, body, look), look);
    return look;
}

std::string look_json(const SliceLook& look) {
    Json json = Json::object();
    for (const auto& [name, place] : kMembers) json[name] = std::round(look.*place * 1e4) / 1e4;
    return json.dump();
}

Result<SliceLook> parse_look(const std::string& text) {
    const Json json = Json::parse(text, nullptr, false);
    if (!json.is_object()) return fail(Code::kCannotUnderstand, "the look of a slice is no JSON object");
    SliceLook look;
    for (const auto& [name, place] : kMembers) {
        const auto found = json.find(name);
        if (found == json.end() || !found->is_number())
            return fail(Code::kCannotUnderstand, "the look of a slice has no number '{}'", name);
        look.*place = found->get<double>();
        if (!(std::abs(look.*place) <= 1e9))
            return fail(Code::kCannotUnderstand, "the look of a slice has an impossible '{}'", name);
    }
    return look;
}

}  // namespace scopenode::workflows
