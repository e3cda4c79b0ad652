#include <algorithm>
#include <cmath>

#include "ml/figures/draw.h"
#include "ml/figures/grids.h"

namespace scopenode::ml {
namespace {

const TextStyle kTick{9.5, kInk, false, Align::kRight};
const TextStyle kAxis{10.5, kInk, false, Align::kCentre};
const TextStyle kValue{9, kInk, false, Align::kCentre};

/// A plot with an upright axis from `low` to `high`.
struct Plot {
    Rect area;
    double low = 0, high = 1;
    double y(double value) const { return area.bottom() - (value - low) / (high - low) * area.h; }
};

/// 1, 2 or 5 times a power of ten, for about six steps.
double tick_step(double range) {
    const double rough = range / 6, power = std::pow(10, std::floor(std::log10(rough)));
    for (const double m : {1.0, 2.0, 5.0})
        if (rough <= m * power * 1.0001) return m * power;
    return 10 * power;
}

void draw_upright_axis(Canvas& canvas, const Plot& plot, const std::string& words) {
    const double step = tick_step(plot.high - plot.low);
    const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
    for (double v = std::ceil(plot.low / step - 1e-9) * step; v <= plot.high + step * 1e-6; v += step) {
        const bool is_zero = std::abs(v) < step * 1e-6;
        canvas.line(plot.area.x, plot.y(v), plot.area.right(), plot.y(v), is_zero ? kInk : kRule,
                    is_zero ? 0.9 : 0.6);
        std::string tick = fmt::format("{:.{}f}", is_zero ? 0 : v, decimals);
        if (tick.starts_with('-')) tick.replace(0, 1, "\u2212");
        canvas.text(plot.area.x - 7, plot.y(v) + 3.4, tick, kTick);
    }
    canvas.line(plot.area.x, plot.area.y, plot.area.x, plot.area.bottom(), kInk, 0.9);
    canvas.text_upwards(plot.area.x - 46, plot.area.y + plot.area.h / 2, words, kAxis);
}

/// What an axis has to show: zero and every value, ends at ticks.
void fit(Plot& plot, double lowest, double highest) {
    plot.low = std::min(0.0, lowest);
    plot.high = std::max(0.0, highest);
    if (!(plot.high - plot.low > 1e-6)) plot.high = plot.low + 1e-3;
    const double step = tick_step(plot.high - plot.low);
    plot.low = std::floor(plot.low / step - 1e-9) * step;
    plot.high = std::ceil(plot.high / step + 1e-9) * step;
}

struct Bars {
    Plot plot;
    std::size_t series = 1;
    double width = 0, group = 0;
    double x(std::size_t label, std::size_t index) const {
        const double start = plot.area.x + group * (static_cast<double>(label) + 0.5);
        return start + (static_cast<double>(index) - static_cast<double>(series) / 2) * width;
    }
};

void draw_bar(Canvas& canvas, const Bars& bars, std::size_t label, std::size_t index, double value) {
    const double zero = bars.plot.y(0), end = std::isfinite(value) ? bars.plot.y(value) : zero;
    const Rect bar{bars.x(label, index) + 2, std::min(zero, end), bars.width - 4, std::abs(end - zero)};
    canvas.fill(bar, series_colour(index));
    canvas.text(bar.x + bar.w / 2, value < 0 ? bar.bottom() + 11 : bar.y - 4, signed_number(value, 3),
                kValue);
}

void draw_bar_legend(Canvas& canvas, const FigureSource& source, double x, double y) {
    for (std::size_t i = 0; i < source.explanation.backbones.size(); ++i) {
        const std::string name = shown_name(source.explanation.backbones[i].name);
        canvas.fill({x, y - 9, 10, 10}, series_colour(i));
        const TextStyle style{10.5, kInk, false, Align::kLeft};
        canvas.text(x + 15, y, name, style);
        x += 15 + text_width(name, style) + 22;
    }
}

}  // namespace

Drawn draw_similarity(const FigureSource& source) {
    const auto& values = source.explanation.block_similarity;
    const auto count = static_cast<double>(values.size());
    const double step = std::clamp(560 / std::max(1.0, count), 46.0, 120.0), left = 64, bottom = 46;
    const double width = std::max(560.0, left + step * count + 10);
    Drawn drawn{
        {"block_similarity.png", "Similarity of the encoder blocks to the last one",
         "Cosine similarity of each encoder block's output to the last block's (figure 3 of the paper). "
         "Values "
         "near 1 early on mean that the later blocks change little."},
        make_page(source,
                  {"Similarity of the encoder blocks to the last one",
                   {},
                   {"Cosine of the angle between a block's output and the last block's, all tokens together; "
                    "the last is 1 by definition."}},
                  width, 330 + bottom)};
    Canvas& canvas = drawn.page.canvas;
    const Rect body = drawn.page.body;
    Plot plot{{body.x + left, body.y + 14, body.w - left - 10, 330 - 14}, 0, 1};
    const double lowest = values.empty() ? 0 : *std::min_element(values.begin(), values.end());
    plot.low = lowest < 0 ? std::max(-1.0, std::floor(lowest * 5) / 5) : 0;
    draw_upright_axis(canvas, plot, "cosine similarity to the last block");
    const double gap = plot.area.w / std::max(1.0, count);
    std::vector<std::pair<double, double>> points;
    for (std::size_t i = 0; i < values.size(); ++i)
        points.emplace_back(plot.area.x + gap * (static_cast<double>(i) + 0.5),
                            plot.y(std::isfinite(values[i]) ? values[i] : 0));
    canvas.path(points, series_colour(0), 1.6);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto [x, y] = points[i];
        canvas.disc(x, y, 3.6, series_colour(0));
        // Above the point unless there is no room below the upper end.
        const double beside = y - plot.area.y < 16 ? y + 16 : y - 9;
        const bool is_nearly_one = values[i] > 0.9995 && values[i] < 0.999995;
        const std::string words = fmt::format("{:.{}f}", values[i], is_nearly_one ? 5 : 3);
        const double half = text_width(words, kValue) / 2 + 2;
        canvas.fill({x - half, beside - 8.5, 2 * half, 11}, kWhite, 0.85);
        canvas.text(x, beside, words, kValue);
        canvas.line(x, plot.area.bottom(), x, plot.area.bottom() + 4, kInk, 0.9);
        canvas.text(x, plot.area.bottom() + 17, std::to_string(i + 1), {9.5, kInk, false, Align::kCentre});
    }
    canvas.line(plot.area.x, plot.area.bottom(), plot.area.right(), plot.area.bottom(), kInk, 0.9);
    canvas.text(plot.area.x + plot.area.w / 2, plot.area.bottom() + 37, "encoder block", kAxis);
    return drawn;
}

Drawn draw_ablation(const FigureSource& source) {
    const Explanation& e = source.explanation;
    const std::size_t series = std::max<std::size_t>(1, e.backbones.size());
    const double bar = 40, left = 64, group = std::max(120.0, bar * static_cast<double>(series) + 22);
    Drawn drawn{
        {"ablation.png", "What each backbone contributes",
         "How far the probability of each finding falls when a backbone's channels are replaced by their "
         "mean "
         "over all positions: what it saw is taken away. Below zero: the probability rises without it."},
        make_page(
            source,
            {"What each backbone contributes: the probability lost without it",
             {},
             {"Fall of the slice's raw probability when the backbone's channels are replaced by their mean "
              "over positions; below zero the probability rises."}},
            left + group * static_cast<double>(kLabelCount) + 10, 392)};
    Canvas& canvas = drawn.page.canvas;
    const Rect body = drawn.page.body;
    Bars bars{{{body.x + left, body.y + 44, body.w - left - 10, 300}, 0, 1}, series, bar, group};
    double lowest = 0, highest = 0;
    for (const auto& backbone : e.backbones) {
        for (const double fall : backbone.ablation) {
            if (!std::isfinite(fall)) continue;
            lowest = std::min(lowest, fall);
            highest = std::max(highest, fall);
        }
    }
    // Room for the words at the ends of the bars.
    const double room = 0.08 * std::max(1e-6, highest - lowest);
    fit(bars.plot, lowest < 0 ? lowest - room : 0, highest + room);
    draw_bar_legend(canvas, source, bars.plot.area.x, body.y + 14);
    draw_upright_axis(canvas, bars.plot, "probability lost without the backbone");
    for (std::size_t l = 0; l < kLabelCount; ++l) {
        for (std::size_t i = 0; i < e.backbones.size(); ++i)
            draw_bar(canvas, bars, l, i, e.backbones[i].ablation[l]);
        const double x = bars.plot.area.x + group * (static_cast<double>(l) + 0.5),
                     y = bars.plot.area.bottom();
        canvas.text(x, y + 24, kLabels[l], {10.5, kInk, true, Align::kCentre});
        canvas.text(x, y + 40, "probability " + probability(static_cast<double>(e.scores[l])),
                    {9.5, kFaint, false, Align::kCentre});
    }
    return drawn;
}

}  // namespace scopenode::ml
