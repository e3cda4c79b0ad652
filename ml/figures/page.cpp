#include "ml/figures/page.h"

#include <algorithm>
#include <cmath>

#include "ml/figures/grids.h"

namespace scopenode::ml {
namespace {

constexpr double kMargin = 26, kTitleSize = 17, kLineSize = 10.5, kNoteSize = 9.5;
const TextStyle kTitle{kTitleSize, kInk, true, Align::kLeft};
const TextStyle kLine{kLineSize, kFaint, false, Align::kLeft};
const TextStyle kNote{kNoteSize, kFaint, false, Align::kLeft};
const TextStyle kNoteBold{kNoteSize, kWarning, true, Align::kLeft};

struct Line {
    std::string words;
    TextStyle style;
};

std::vector<Line> header_lines(const FigureSource& source, const PageWords& words, double width) {
    std::vector<Line> lines;
    const auto add = [&](const std::string& text, const TextStyle& style) {
        for (auto& line : wrapped(text, style, width))
            lines.push_back({shortened(line, style, width), style});
    };
    add(words.title, kTitle);
    add(model_words(source),
        source.explanation.trained ? kLine : TextStyle{kLineSize, kWarning, true, Align::kLeft});
    add("Slice " + shortened(source.slice_name, kLine, width - 40), kLine);
    for (const auto& line : words.lines) add(line, {kLineSize, kInk, false, Align::kLeft});
    return lines;
}

std::vector<Line> footer_lines(const FigureSource& source, const PageWords& words, double width) {
    std::vector<Line> lines;
    std::string first;
    for (const auto& note : standing_notes(source)) first += note + " ";
    for (auto& line : wrapped(first, kNoteBold, width)) lines.push_back({std::move(line), kNoteBold});
    std::string rest;
    for (const auto& note : words.notes) rest += note + " ";
    for (auto& line : wrapped(rest, kNote, width)) lines.push_back({std::move(line), kNote});
    return lines;
}

double height_of(const Line& line) {
    return line.style.size * 1.45;
}

/// The nearest pixel of the device for each of its pixels, so that sharp edges of panels stay sharp.
Rect to_pixels(Rect rect) {
    const auto snap = [](double v) {
        return std::round(v * Canvas::kPixelsPerPoint) / Canvas::kPixelsPerPoint;
    };
    return {snap(rect.x), snap(rect.y), snap(rect.w), snap(rect.h)};
}

Rect place_of_slice(const FigureSource& source, const Rect& panel) {
    const double width = source.slice.width * source.column_mm, height = source.slice.height * source.row_mm;
    const double scale = std::min(panel.w / width, panel.h / height);
    const double w = width * scale, h = height * scale;
    return to_pixels({panel.x + (panel.w - w) / 2, panel.y + (panel.h - h) / 2, w, h});
}

}  // namespace

std::string model_words(const FigureSource& source) {
    const Explanation& e = source.explanation;
    std::string words = source.model_name.empty() ? e.preset : source.model_name;
    words += "  ·  model " + e.model_id;
    if (words.find(e.preset) == std::string::npos) words += "  ·  preset " + e.preset;
    if (!e.trained) words += "  ·  RANDOM WEIGHTS";
    return words;
}

std::vector<std::string> standing_notes(const FigureSource& source) {
    std::vector<std::string> notes{"Not for diagnosis."};
    if (!source.explanation.trained)
        notes.push_back("Random weights: the figure shows the method, not a finding.");
    else if (source.explanation.demonstration)
        notes.push_back("Demonstration model.");
    return notes;
}

Page make_page(const FigureSource& source, const PageWords& words, double body_width, double body_height) {
    const auto head = header_lines(source, words, body_width);
    const auto foot = footer_lines(source, words, body_width);
    double head_height = 0, foot_height = 12;
    for (const auto& line : head) head_height += height_of(line);
    for (const auto& line : foot) foot_height += height_of(line);
    const double gap = 16;
    const double height = kMargin + head_height + gap + body_height + gap + foot_height + kMargin;
    Page page{Canvas(body_width + 2 * kMargin, height),
              {kMargin, kMargin + head_height + gap, body_width, body_height}};
    double y = kMargin;
    for (const auto& line : head) {
        y += height_of(line);
        page.canvas.text(kMargin, y - 0.38 * line.style.size, line.words, line.style);
    }
    y = page.body.bottom() + gap;
    page.canvas.line(kMargin, y, kMargin + body_width, y, kRule, 0.75);
    y += 8;
    for (const auto& line : foot) {
        y += height_of(line);
        page.canvas.text(kMargin, y - 0.38 * line.style.size, line.words, line.style);
    }
    return page;
}

void colour_bar(Canvas& canvas, const Rect& rect, const std::function<Rgb(double)>& colour,
                const std::vector<BarLabel>& labels) {
    Picture bar{1, 256, {}};
    for (int i = 0; i < bar.height; ++i) bar.pixels.push_back(packed(colour(1 - (i + 0.5) / bar.height)));
    canvas.picture(bar, rect, true);
    canvas.frame(rect, kRule, 0.75);
    for (const auto& label : labels) {
        const double y = rect.bottom() - label.place * rect.h;
        canvas.line(rect.right(), y, rect.right() + 4, y, kInk, 0.75);
        canvas.text(rect.right() + 7, y + 3.2, label.words, {9, kInk, false, Align::kLeft});
    }
}

Rect draw_slice(Canvas& canvas, const FigureSource& source, const Rect& panel) {
    const Rect place = place_of_slice(source, panel);
    canvas.fill(panel, {0, 0, 0});
    canvas.picture(slice_picture(source.slice), place, true);
    return place;
}

Rect draw_overlay(Canvas& canvas, const FigureSource& source, const Grid& map, const Rect& panel) {
    const Rect place = draw_slice(canvas, source, panel);
    const double highest = summary(map.values).max;
    if (!(highest > 0)) return place;
    const int width = std::max(1, static_cast<int>(place.w * Canvas::kPixelsPerPoint));
    const int height = std::max(1, static_cast<int>(place.h * Canvas::kPixelsPerPoint));
    canvas.picture(heat_picture(source.slice, map, highest, width, height), place, false);
    return place;
}

}  // namespace scopenode::ml
