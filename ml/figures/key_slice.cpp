#include "ml/figures/key_slice.h"

#include <algorithm>
#include <cmath>

namespace scopenode::ml {
namespace {

constexpr double kEdge = 26, kFoot = 46, kPanel = 312, kMargin = 14, kLeast = 512, kMost = 1024;
constexpr Rgb kBlack{0, 0, 0}, kText{0.94, 0.94, 0.94}, kQuiet{0.72, 0.74, 0.78}, kAmber{1, 0.74, 0.16},
    kTrack{0.24, 0.25, 0.28}, kStrong{1, 0.62, 0.25}, kWeak{0.55, 0.58, 0.63}, kOutline{0.30, 0.95, 1};

/// One after the other downwards; measures first when there is no canvas.
class Column {
  public:
    Column(Canvas* canvas, double x, double y, double width) : canvas_(canvas), x_(x), y_(y), width_(width) {}

    void words(const std::string& text, const TextStyle& style) {
        for (const auto& line : wrapped(text, style, width_)) {
            y_ += style.size * 1.4;
            if (canvas_) canvas_->text(x_, y_ - 0.35 * style.size, shortened(line, style, width_), style);
        }
    }
    void gap(double height) { y_ += height; }
    void bar(const Legend::Bar& bar) {
        const Rgb colour = bar.strong ? kStrong : kQuiet;
        if (canvas_) {
            const TextStyle value{12, colour, bar.strong, Align::kRight};
            canvas_->text(
                x_, y_ + 13,
                shortened(bar.name, {12, colour, bar.strong}, width_ - text_width(bar.value, value) - 8),
                {12, colour, bar.strong});
            canvas_->text(x_ + width_, y_ + 13, bar.value, value);
            canvas_->fill({x_, y_ + 19, width_, 4}, kTrack);
            if (bar.share)
                canvas_->fill({x_, y_ + 19, width_ * std::clamp(*bar.share, 0.0, 1.0), 4},
                              bar.strong ? kStrong : kWeak);
            if (bar.mark) {
                const double mark = x_ + width_ * std::clamp(*bar.mark, 0.0, 1.0);
                canvas_->line(mark, y_ + 17.5, mark, y_ + 25.5, kText, 1.5);
            }
        }
        y_ += 30;
    }
    void heat_bar() {
        if (canvas_) {
            Picture colours{256, 1, {}};
            for (int i = 0; i < colours.width; ++i) {
                const double t = (i + 0.5) / colours.width;
                colours.pixels.push_back(
                    packed(mix({0.45, 0.45, 0.45}, overlay_colour(t), quiet_opacity(t))));
            }
            canvas_->picture(colours, {x_, y_ + 4, width_, 8}, true);
            canvas_->text(x_, y_ + 24, "weak", {10, kQuiet});
            canvas_->text(x_ + width_, y_ + 24, "strongest in this slice",
                          {10, kQuiet, false, Align::kRight});
        }
        y_ += 28;
    }
    double bottom() const { return y_; }

  private:
    Canvas* canvas_;
    double x_, y_, width_;
};

double write_legend(Canvas* canvas, const Legend& legend, double x, double y, double width) {
    Column column(canvas, x, y, width);
    if (!legend.warning.empty()) {
        column.words(legend.warning, {14, kAmber, true});
        column.gap(6);
    }
    column.words(legend.title, {15, kText, true});
    column.gap(8);
    for (const auto& bar : legend.bars) column.bar(bar);
    if (!legend.bars.empty()) column.gap(4);
    for (const auto& fact : legend.facts) {
        column.words(fact, {12, kText});
        column.gap(2);
    }
    if (legend.explains_heat) {
        column.gap(6);
        column.heat_bar();
    }
    if (!legend.notes.empty()) column.gap(6);
    for (const auto& note : legend.notes) {
        column.words(note, {11, kQuiet});
        column.gap(2);
    }
    return column.bottom();
}

/// The size in pixels at which a slice is shown.
std::pair<double, double> shown_size(const ShownSlice& shown) {
    const double width = shown.slice.width, height = shown.slice.height, longest = std::max(width, height);
    const double stretch = shown.row_mm > 0 && shown.column_mm > 0 ? shown.row_mm / shown.column_mm : 1;
    if (longest <= kMost && std::abs(stretch - 1) < 0.005) {
        const double factor = std::max(1.0, std::ceil(kLeast / longest));
        return {width * factor, height * factor};
    }
    const double scale = std::max(kLeast, std::min(kMost, longest)) / std::max(width, height * stretch);
    return {std::max(1.0, std::round(width * scale)), std::max(1.0, std::round(height * stretch * scale))};
}

void draw_scale(Canvas& canvas, const ShownSlice& shown, const Rect& image) {
    if (!(shown.column_mm > 0)) return;
    const double pixels_per_mm = image.w / (shown.slice.width * shown.column_mm);
    const double mm = 50 * pixels_per_mm < image.w / 2 ? 50 : 10;
    const double x = image.x, y = image.bottom() + 30, end = x + mm * pixels_per_mm;
    canvas.line(x, y, end, y, kText, 2);
    canvas.line(x + 1, y - 4, x + 1, y + 4, kText, 2);
    canvas.line(end - 1, y - 4, end - 1, y + 4, kText, 2);
    canvas.text(end + 8, y + 4, fmt::format("{:.0f} mm", mm), {12, kText});
}

void draw_edges(Canvas& canvas, const ShownSlice& shown, const Rect& image) {
    const TextStyle style{15, kText, true, Align::kCentre};
    const double across = image.x + image.w / 2, down = image.y + image.h / 2 + 5;
    canvas.text(image.x - kEdge / 2, down, shown.edges[0], style);
    canvas.text(image.right() + kEdge / 2, down, shown.edges[1], style);
    canvas.text(across, image.y - 8, shown.edges[2], style);
    canvas.text(across, image.bottom() + 18, shown.edges[3], style);
}

void draw_outline(Canvas& canvas, const ShownSlice& shown, const Rect& image) {
    if (shown.outline.size() < 3) return;
    std::vector<std::pair<double, double>> points;
    for (const auto& [x, y] : shown.outline)
        points.emplace_back(image.x + x * image.w / shown.slice.width,
                            image.y + y * image.h / shown.slice.height);
    canvas.closed_path(points, kBlack, 3);
    canvas.closed_path(points, kOutline, 1.5);
}

}  // namespace

KeyPicture draw_key_slice(const ShownSlice& shown, const Legend& legend) {
    const auto [width, height] = shown_size(shown);
    const Rect image{kEdge, kEdge, width, height};
    const double left = image.right() + kEdge + kMargin, words = write_legend(nullptr, legend, 0, 0, kPanel);
    KeyPicture made{
        Canvas(left + kPanel + kMargin, std::max(image.bottom() + kFoot, words + 2 * kMargin), kBlack, 1),
        image};
    Canvas& canvas = made.canvas;
    const bool is_whole =
        std::fmod(width, shown.slice.width) == 0 && std::fmod(height, shown.slice.height) == 0;
    canvas.picture(slice_picture(shown.slice), image, !is_whole);
    if (!shown.heat.values.empty())
        canvas.picture(heat_picture(shown.slice, shown.heat, 1, static_cast<int>(width),
                                    static_cast<int>(height), quiet_opacity),
                       image, false);
    draw_outline(canvas, shown, image);
    draw_edges(canvas, shown, image);
    draw_scale(canvas, shown, image);
    canvas.text(image.right(), image.bottom() + 34, kWindowWords, {11, kQuiet, false, Align::kRight});
    write_legend(&canvas, legend, left, kMargin, kPanel);
    return made;
}

KeyPicture draw_words(const Legend& legend) {
    constexpr double kWide = 520;
    const double height = write_legend(nullptr, legend, 0, 0, kWide) + 2 * kMargin;
    KeyPicture made{Canvas(kWide + 2 * kMargin, std::max(kLeast, height), kBlack, 1), {}};
    write_legend(&made.canvas, legend, kMargin, kMargin, kWide);
    return made;
}

}  // namespace scopenode::ml
