#include "workflows/training/page_charts.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "workflows/training/page_markup.h"

namespace scopenode::workflows {
namespace {

/// Where things stand, in units of the viewBox.
struct Layout {
    double width, height, left, right, top, bottom, font;
    double plot_width() const { return width - left - right; }
    double plot_height() const { return height - top - bottom; }
};

Layout layout_of(const Chart& chart) {
    const double lines = static_cast<double>(chart.lines.size());
    if (chart.small) return {220, 209 + 15 * lines, 36, 8, 28 + 15 * lines, 32, 11.5};
    return {380, 306 + 18 * lines, 64, 12, 36 + 18 * lines, 44, 13};
}

struct Plot {
    const Chart& chart;
    Layout at;
    double x(double value) const {
        return at.left + (value - chart.x_low) / (chart.x_high - chart.x_low) * at.plot_width();
    }
    double y(double value) const {
        return at.top + (chart.y_high - value) / (chart.y_high - chart.y_low) * at.plot_height();
    }
};

const char* colour(LineStyle style) {
    return style == LineStyle::kCandidate ? "#12508f" : "#6b4a16";
}

std::string stroke(LineStyle style) {
    return fmt::format("fill=\"none\" stroke=\"{}\" stroke-linejoin=\"round\" stroke-width=\"{}\"{}",
                       colour(style), style == LineStyle::kCandidate ? 2.4 : 1.9,
                       style == LineStyle::kCandidate ? "" : " stroke-dasharray=\"6 4\"");
}

std::string mark(double x, double y, LineStyle style, double size) {
    if (style == LineStyle::kCandidate)
        return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"{}\" stroke=\"#fff\"/>",
                           x, y, size, colour(style));
    return fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"#fff\" stroke=\"{}\" "
        "stroke-width=\"1.8\"/>",
        x - size, y - size, 2 * size, 2 * size, colour(style));
}

std::string text(double x, double y, const std::string& words, double font, const char* more = "") {
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{:g}\"{}>{}</text>", x, y, font, more,
                       escaped(words));
}

std::string rule(double x1, double y1, double x2, double y2, const char* more) {
    return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>", x1, y1, x2, y2,
                       more);
}

std::vector<double> ticks(double low, double high, double step) {
    std::vector<double> out;
    for (double v = std::ceil(low / step - 1e-9) * step; v <= high + step * 1e-6; v += step) out.push_back(v);
    return out;
}

std::string tick_words(double value, double step) {
    int digits = 0;
    for (double s = step; digits < 6 && std::abs(s - std::round(s)) > 1e-6 * s; s *= 10) ++digits;
    return plain_text(std::abs(value) < step * 1e-6 ? 0 : value, digits);
}

std::string axes(const Plot& plot) {
    const Layout& at = plot.at;
    const Chart& chart = plot.chart;
    const double right = at.width - at.right, bottom = at.height - at.bottom;
    std::string out;
    const int count = chart.small ? 3 : 6;
    const double upright = chart.y_step > 0 ? chart.y_step : tick_step(chart.y_high - chart.y_low, count);
    for (const double v : ticks(chart.y_low, chart.y_high, upright)) {
        out += rule(at.left, plot.y(v), right, plot.y(v), "stroke=\"#dfe2e7\"");
        out += text(at.left - 6, plot.y(v) + 4, tick_words(v, upright), at.font - 1, " text-anchor=\"end\"");
    }
    double level = tick_step(chart.x_high - chart.x_low, count);
    if (chart.whole_x) level = std::max(1.0, std::ceil(level));
    for (const double v : ticks(chart.x_low, chart.x_high, level)) {
        out += rule(plot.x(v), bottom, plot.x(v), bottom + 4, "stroke=\"#3a3f49\"");
        out += text(plot.x(v), bottom + at.font + 5, tick_words(v, level), at.font - 1,
                    " text-anchor=\"middle\"");
    }
    out += rule(at.left, at.top, at.left, bottom, "stroke=\"#3a3f49\"");
    out += rule(at.left, bottom, right, bottom, "stroke=\"#3a3f49\"");
    if (!chart.x_words.empty())
        out += text(at.left + at.plot_width() / 2, at.height - (chart.small ? 3 : 6), chart.x_words, at.font,
                    " text-anchor=\"middle\"");
    if (!chart.y_words.empty()) {
        const double x = 14, y = at.top + at.plot_height() / 2;
        out += text(
            x, y, chart.y_words, at.font,
            fmt::format(" text-anchor=\"middle\" transform=\"rotate(-90 {:.1f} {:.1f})\"", x, y).c_str());
    }
    return out;
}

std::string path_of(const Plot& plot, const ChartLine& line) {
    std::string points;
    double last_x = 0;
    bool drawn = false;
    for (const auto& point : line.points) {
        // A gap where there is no number.
        if (!std::isfinite(point.x) || !std::isfinite(point.y)) {
            drawn = false;
            continue;
        }
        const double x = plot.x(point.x), y = plot.y(point.y);
        if (drawn && line.steps) points += fmt::format("L{:.1f} {:.1f}", last_x, y);
        points += fmt::format("{}{:.1f} {:.1f}", drawn ? "L" : "M", x, y);
        last_x = x;
        drawn = true;
    }
    return points.empty() ? "" : fmt::format("<path d=\"{}\" {}/>", points, stroke(line.style));
}

std::string legend(const Plot& plot) {
    std::string out;
    const double step = plot.chart.small ? 15 : 18;
    double y = plot.chart.small ? 33 : 42;
    for (const ChartLine& line : plot.chart.lines) {
        const double x = plot.chart.small ? 4 : plot.at.left;
        out += fmt::format("<path d=\"M{:.1f} {:.1f}h28\" {}/>", x, y - 4, stroke(line.style));
        out += mark(x + 14, y - 4, line.style, 3.2);
        out += text(x + 35, y, line.words, plot.at.font);
        y += step;
    }
    return out;
}

std::string marks(const Plot& plot, const ChartLine& line) {
    std::string out;
    if (line.marks)
        for (const auto& point : line.points)
            if (std::isfinite(point.x) && std::isfinite(point.y))
                out += mark(plot.x(point.x), plot.y(point.y), line.style, 3.2);
    if (line.operating_point && std::isfinite(line.operating_point->x) &&
        std::isfinite(line.operating_point->y))
        out += mark(plot.x(line.operating_point->x), plot.y(line.operating_point->y), line.style,
                    plot.chart.small ? 4 : 5);
    return out;
}

bool is_empty(const ChartLine& line) {
    return std::none_of(line.points.begin(), line.points.end(),
                        [](const ml::CurvePoint& p) { return std::isfinite(p.x) && std::isfinite(p.y); });
}

}  // namespace

double tick_step(double range, int count) {
    if (!(range > 0) || !std::isfinite(range)) return 1;
    const double rough = range / count, power = std::pow(10, std::floor(std::log10(rough)));
    for (const double m : {1.0, 2.0, 2.5, 5.0})
        if (rough <= m * power * 1.0001) return m * power;
    return 10 * power;
}

std::string draw(const Chart& chart) {
    const Plot plot{chart, layout_of(chart)};
    const Layout& at = plot.at;
    const double right = at.width - at.right, bottom = at.height - at.bottom;
    std::string out = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:g} {:g}\" role=\"img\" "
        "font-family=\"inherit\" fill=\"#21242b\"><title>{}</title>",
        at.width, at.height, escaped(chart.title));
    out += text(chart.small ? 4 : at.left, chart.small ? 15 : 18, chart.title, at.font + 1,
                " font-weight=\"bold\"");
    if (std::all_of(chart.lines.begin(), chart.lines.end(), is_empty))
        return out +
               fmt::format(
                   "<rect x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" height=\"{:g}\" fill=\"#f4f5f7\" "
                   "stroke=\"#c5c9d1\" "
                   "stroke-dasharray=\"3 3\"/>",
                   at.left, at.top, at.plot_width(), at.plot_height()) +
               text(at.left + at.plot_width() / 2, at.top + at.plot_height() / 2, chart.nothing, at.font,
                    " text-anchor=\"middle\"") +
               "</svg>";
    out += legend(plot) + axes(plot);
    if (chart.diagonal)
        out += rule(plot.x(chart.x_low), plot.y(chart.x_low), plot.x(chart.x_high), plot.y(chart.x_high),
                    "stroke=\"#8a909b\" stroke-dasharray=\"1 3\" stroke-width=\"1.4\"");
    if (chart.level && std::isfinite(*chart.level))
        out += rule(at.left, plot.y(*chart.level), right, plot.y(*chart.level),
                    "stroke=\"#8a909b\" stroke-dasharray=\"1 3\" stroke-width=\"1.4\"");
    if (chart.upright) {
        const double x = plot.x(*chart.upright);
        out += rule(x, at.top, x, bottom, "stroke=\"#3a3f49\" stroke-dasharray=\"2 3\"");
        const bool beside = x > at.left + at.plot_width() / 2;
        // At the foot: losses and areas are seldom low at the epoch that is kept. White around it all the
        // same.
        out += text(beside ? x - 4 : x + 4, bottom - 6, chart.upright_words, at.font - 1,
                    beside ? " text-anchor=\"end\" paint-order=\"stroke\" stroke=\"#fff\" stroke-width=\"4\""
                           : " paint-order=\"stroke\" stroke=\"#fff\" stroke-width=\"4\"");
    }
    for (const ChartLine& line : chart.lines) out += path_of(plot, line);
    for (const ChartLine& line : chart.lines) out += marks(plot, line);
    return out + "</svg>";
}

}  // namespace scopenode::workflows
