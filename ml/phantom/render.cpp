#include <algorithm>
#include <cmath>

#include "ml/phantom/plan.h"
#include "ml/phantom/tissue.h"

namespace scopenode::ml {
namespace {
constexpr int kLayers = 2;
constexpr std::size_t kTile = 1U << 15;

/// The tissue of one slice before noise, on a grid of cells of one or two pixels.
struct Grid {
    int cells = 0;
    float cell_mm = 1;
    std::vector<float> hu, spare;
    std::vector<std::uint8_t> blood, brain;  ///< layers of the cell that hold it
};

struct Sums {
    double blood_hu = 0, blood_count = 0, around_hu = 0, around_count = 0;
};

float headrest(float x, float y, float radius) {
    if (y < 35) return -1000;
    const float r = std::hypot(x, y + 4);
    const float pad = r - radius;
    if (pad > 0 && pad < 7) return -870;
    if (pad >= 7 && pad < 9) return -250;
    return -1000;
}

float streak(const Head& head, const std::array<float, 3>& p) {
    float sum = 0;
    for (const auto& s : head.streaks) {
        if (std::fabs(p[2] - s.z) > 5) continue;
        const float away = (p[0] * s.nx + p[1] * s.ny - s.offset) / s.width;
        sum += s.hu / (1 + away * away * away * away);
    }
    const float bar = std::fabs(p[2] + 38) / 9 + std::fabs(p[1] - 14) / 12;
    if (bar < 1 && std::fabs(p[0]) < 32) sum -= 14 * (1 - bar);
    return sum;
}

std::array<double, kLabelCount> sample_slice(const Plan& plan, const Tissue& tissue, int slice, Grid& grid,
                                             Sums& sums) {
    std::array<double, kLabelCount> counts{};
    const auto thick = static_cast<float>(plan.scanner.slice_mm);
    const float z = plan.pose.first_z + thick * static_cast<float>(slice);
    const float middle = static_cast<float>(grid.cells - 1) / 2;
    const float rest = plan.head.half_length + plan.head.bone + plan.head.scalp + 8;
    std::fill(grid.blood.begin(), grid.blood.end(), std::uint8_t{0});
    std::fill(grid.brain.begin(), grid.brain.end(), std::uint8_t{0});
    std::size_t n = 0;
    for (int j = 0; j < grid.cells; ++j)
        for (int i = 0; i < grid.cells; ++i, ++n) {
            const float x = (static_cast<float>(i) - middle) * grid.cell_mm,
                        y = (static_cast<float>(j) - middle) * grid.cell_mm;
            float sum = 0;
            for (int layer = 0; layer < kLayers; ++layer) {
                const float dz = thick * ((static_cast<float>(layer) + 0.5F) / kLayers - 0.5F);
                const auto p = plan.pose.to_head(x, y, z + dz);
                Sample s = tissue.at(p[0], p[1], p[2]);
                if (s.matter == Matter::kOutside)
                    s.hu = headrest(x - plan.pose.offset_x, y - plan.pose.offset_y, rest);
                if (s.kind != kNone) {
                    counts[s.kind] += 1;
                    ++grid.blood[n];
                    if (s.hu < 95) {
                        sums.blood_hu += static_cast<double>(s.hu);
                        sums.blood_count += 1;
                    }
                }
                if (s.matter == Matter::kBrain) ++grid.brain[n];
                if (p[2] < 0 && s.matter != Matter::kOutside) s.hu += streak(plan.head, p);
                sum += s.hu;
            }
            grid.hu[n] = sum / kLayers;
        }
    return counts;
}

/// Adds the brain within some 5 mm of blood to the sums.
void measure_around(const Grid& grid, Sums& sums) {
    const int n = grid.cells, reach = std::max(3, static_cast<int>(std::lround(5 / grid.cell_mm)));
    std::vector<int> table(static_cast<std::size_t>((n + 1) * (n + 1)), 0);
    const auto cell = [&](int x, int y) -> int& { return table[static_cast<std::size_t>(y * (n + 1) + x)]; };
    for (int y = 0; y < n; ++y)
        for (int x = 0; x < n; ++x)
            cell(x + 1, y + 1) = cell(x, y + 1) + cell(x + 1, y) - cell(x, y) +
                                 (grid.blood[static_cast<std::size_t>(y * n + x)] > 0 ? 1 : 0);
    for (int y = 0; y < n; ++y)
        for (int x = 0; x < n; ++x) {
            const auto i = static_cast<std::size_t>(y * n + x);
            if (grid.brain[i] != kLayers) continue;
            const int x0 = std::max(0, x - reach), x1 = std::min(n, x + reach + 1),
                      y0 = std::max(0, y - reach), y1 = std::min(n, y + reach + 1);
            if (cell(x1, y1) - cell(x0, y1) - cell(x1, y0) + cell(x0, y0) == 0) continue;
            sums.around_hu += static_cast<double>(grid.hu[i]);
            sums.around_count += 1;
        }
}

/// The reconstruction kernel, roughly.
void smooth(Grid& grid) {
    constexpr float kSide = 0.14F;
    const auto n = static_cast<std::size_t>(grid.cells);
    for (std::size_t y = 0; y < n; ++y)
        for (std::size_t x = 1; x + 1 < n; ++x) {
            const std::size_t i = y * n + x;
            grid.spare[i] = (1 - 2 * kSide) * grid.hu[i] + kSide * (grid.hu[i - 1] + grid.hu[i + 1]);
        }
    for (std::size_t y = 1; y + 1 < n; ++y)
        for (std::size_t x = 1; x + 1 < n; ++x) {
            const std::size_t i = y * n + x;
            grid.hu[i] = (1 - 2 * kSide) * grid.spare[i] + kSide * (grid.spare[i - n] + grid.spare[i + n]);
        }
}

/// What makes this scanner's pictures unlike others': edges raised or blurred, and its scale of densities.
void characterise(Grid& grid, const Scanner& scanner) {
    if (scanner.sharpening != 0) {
        const std::vector<float> before = grid.hu;
        smooth(grid);
        smooth(grid);
        for (std::size_t i = 0; i < before.size(); ++i)
            grid.hu[i] = before[i] + scanner.sharpening * (before[i] - grid.hu[i]);
    }
    if (scanner.hu_gain == 1 && scanner.hu_offset == 0 && scanner.cupping_hu == 0) return;
    const float middle = static_cast<float>(grid.cells - 1) / 2, step = grid.cell_mm / 70;
    std::size_t n = 0;
    for (int j = 0; j < grid.cells; ++j)
        for (int i = 0; i < grid.cells; ++i, ++n) {
            const float x = (static_cast<float>(i) - middle) * step,
                        y = (static_cast<float>(j) - middle) * step;
            float& hu = grid.hu[n];
            const float share = std::clamp((hu + 1000) / 800, 0.0F, 1.0F),
                        cup = scanner.cupping_hu * std::min(x * x + y * y, 1.5F);
            hu += share * ((scanner.hu_gain - 1) * hu + scanner.hu_offset + cup);
        }
}

std::vector<float> noise_tile(Rng& rng, float hu) {
    std::vector<float> tile(kTile);
    for (auto& t : tile) t = rng.normal();
    // Neighbours share some of their noise; the factor gives the sum of two rows the wanted deviation.
    float last = tile.back();
    for (auto& t : tile) {
        const float now = t;
        t = hu * 0.745F * (0.82F * now + 0.57F * last);
        last = now;
    }
    return tile;
}

float range_low(const Scanner& s) {
    return s.has_padding ? -1023.0F : -1024.0F;
}

HuImage develop(const Grid& grid, const Scanner& scanner, int size, const std::vector<float>& tile,
                Rng& rng) {
    HuImage image{size, size,
                  std::vector<float>(static_cast<std::size_t>(size) * static_cast<std::size_t>(size))};
    const float low = range_low(scanner),
                radius2 = 0.25F * static_cast<float>(size) * static_cast<float>(size);
    const bool fine = grid.cells < size;
    const auto n = static_cast<std::size_t>(grid.cells);
    std::vector<float> row(n);
    std::size_t before = rng.next() % (kTile - 2048);
    for (int j = 0; j < size; ++j) {
        const float gy =
            fine ? std::clamp(0.5F * static_cast<float>(j) - 0.25F, 0.0F, static_cast<float>(n - 1))
                 : static_cast<float>(j);
        const auto y0 = static_cast<std::size_t>(gy);
        const std::size_t y1 = std::min(y0 + 1, n - 1);
        const float fy = gy - static_cast<float>(y0);
        for (std::size_t i = 0; i < n; ++i)
            row[i] = grid.hu[y0 * n + i] * (1 - fy) + grid.hu[y1 * n + i] * fy;
        const std::size_t now = rng.next() % (kTile - 2048);
        const float dy = static_cast<float>(j) + 0.5F - 0.5F * static_cast<float>(size);
        float* out = image.hu.data() + static_cast<std::size_t>(j) * static_cast<std::size_t>(size);
        for (int i = 0; i < size; ++i) {
            float hu = 0;
            if (fine) {
                const float gx =
                    std::clamp(0.5F * static_cast<float>(i) - 0.25F, 0.0F, static_cast<float>(n - 1));
                const auto x0 = static_cast<std::size_t>(gx);
                const float fx = gx - static_cast<float>(x0);
                hu = row[x0] * (1 - fx) + row[std::min(x0 + 1, n - 1)] * fx;
            } else {
                hu = row[static_cast<std::size_t>(i)];
            }
            const auto k = static_cast<std::size_t>(i);
            hu += tile[now + k] + 0.9F * tile[before + k];
            hu = std::clamp(hu, low, 3071.0F);
            out[i] = static_cast<float>(static_cast<int>(hu + 4096.5F) - 4096);
            const float dx = static_cast<float>(i) + 0.5F - 0.5F * static_cast<float>(size);
            if (scanner.has_padding && dx * dx + dy * dy > radius2) out[i] = -2000;
        }
        before = now;
    }
    return image;
}
}  // namespace

void render(const Plan& plan, const PhantomOptions& options, Rng rng, PhantomStudy& study) {
    const bool fine = options.size >= 256 && options.size % 2 == 0;
    Grid grid;
    grid.cells = fine ? options.size / 2 : options.size;
    grid.cell_mm = static_cast<float>(plan.pixel_mm) * (fine ? 2.0F : 1.0F);
    const auto area = static_cast<std::size_t>(grid.cells) * static_cast<std::size_t>(grid.cells);
    grid.hu.resize(area);
    grid.spare.assign(area, -1000);
    grid.blood.resize(area);
    grid.brain.resize(area);
    const auto thick = static_cast<float>(plan.scanner.slice_mm);
    const Tissue tissue(plan.head, plan.bleeding, grid.cell_mm, thick / kLayers);
    const auto tile = noise_tile(rng, plan.noise_hu);
    const double voxel_ml = static_cast<double>(grid.cell_mm * grid.cell_mm * thick) / (1000.0 * kLayers);
    Sums sums;
    for (int k = 0; k < options.slices; ++k) {
        const auto counts = sample_slice(plan, tissue, k, grid, sums);
        std::array<bool, kLabelCount> found{};
        double slice_ml = 0;
        for (std::size_t i = 1; i < kLabelCount; ++i) {
            slice_ml += counts[i] * voxel_ml;
            found[i] = counts[i] * voxel_ml > 0.05;
            found[0] = found[0] || found[i];
        }
        if (slice_ml > 0) measure_around(grid, sums);
        study.volume_ml += slice_ml;
        for (std::size_t i = 0; i < kLabelCount; ++i) study.findings[i] = study.findings[i] || found[i];
        study.slice_findings.push_back(found);
        study.z_mm.push_back(std::round(100 * static_cast<double>(plan.pose.first_z)) / 100 +
                             k * plan.scanner.slice_mm);
        smooth(grid);
        characterise(grid, plan.scanner);
        study.slices.push_back(develop(grid, plan.scanner, options.size, tile, rng));
    }
    if (sums.blood_count > 0 && sums.around_count > 0)
        study.contrast_hu = (sums.blood_hu / sums.blood_count - sums.around_hu / sums.around_count) *
                            static_cast<double>(plan.scanner.hu_gain);
}

}  // namespace scopenode::ml
