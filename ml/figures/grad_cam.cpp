#include <algorithm>
#include <cmath>

#include "ml/figures/draw.h"
#include "ml/figures/grids.h"

namespace scopenode::ml {
namespace {

constexpr double kPanel = 236, kGap = 16, kAbove = 20, kBelow = 44, kBarRoom = 96;
constexpr double kSmall = 152, kSmallGap = 8, kSmallWords = 16, kLeft = 268, kRowWords = 126;

const std::string kNoSegmentation = "Heat map at 32-pixel resolution, not a segmentation.";
const std::vector<std::string> kReading{
    "Each map is scaled to its own greatest value: maps cannot be compared by brightness.",
    "Heat over air or bone is shown as it is: the network looked there.",
    "\u201cWithout it\u201d: the probability when the backbone\u2019s channels are replaced by their mean "
    "over positions.",
    "Slice as stored, not mirrored."};

/// The heat map's colours as they look over a middling grey.
Rgb over_grey(double t) {
    return mix({0.45, 0.45, 0.45}, overlay_colour(t), heat_opacity(t));
}

std::string without_words(const FigureSource& source, const BackboneView& backbone, std::size_t label) {
    const double p = static_cast<double>(source.explanation.scores[label]), fall = backbone.ablation[label];
    return fmt::format("without it: {} ({})", probability(std::clamp(p - fall, 0.0, 1.0)),
                       signed_number(-fall, 3));
}

bool is_empty(const Grid& map) {
    return !(summary(map.values).max > 0);
}

void draw_nothing_words(Canvas& canvas, const Rect& panel, double size) {
    const char* words = "no evidence for it";
    const TextStyle style{size, kWhite, false, Align::kCentre};
    const double half = text_width(words, style) / 2 + 5, y = panel.bottom() - size;
    canvas.fill({panel.x + panel.w / 2 - half, y - size - 1, 2 * half, size * 1.6}, {0, 0, 0}, 0.7);
    canvas.text(panel.x + panel.w / 2, y, words, style);
}

void draw_probability_bar(Canvas& canvas, const Rect& place, std::size_t label, double p) {
    canvas.text(place.x, place.y + 10, kLabels[label], {10.5, kInk, false, Align::kLeft});
    canvas.text(place.right(), place.y + 10, probability(p), {10.5, kInk, true, Align::kRight});
    canvas.fill({place.x, place.y + 15, place.w, 5}, kRule);
    if (p > 0) canvas.fill({place.x, place.y + 15, place.w * std::clamp(p, 0.0, 1.0), 5}, series_colour(0));
}

/// Slice, probabilities and colour bar beside the grid.
void draw_overview_side(Canvas& canvas, const FigureSource& source, const Rect& body) {
    draw_slice(canvas, source, {body.x, body.y + kAbove, kLeft, kLeft});
    double y = body.y + kAbove + kLeft + 16;
    canvas.text(body.x, y, kWindowWords, {9.5, kFaint, false, Align::kLeft});
    y += 34;
    canvas.text(body.x, y, "Probabilities of the slice (raw)", {11, kInk, true, Align::kLeft});
    y += 14;
    for (std::size_t l = 0; l < kLabelCount; ++l, y += 31)
        draw_probability_bar(canvas, {body.x, y, kLeft, 20}, l,
                             static_cast<double>(source.explanation.scores[l]));
    y += 30;
    canvas.text(body.x, y, "Heat map", {11, kInk, true, Align::kLeft});
    colour_bar(canvas, {body.x, y + 14, 14, 130}, over_grey,
               {{1, "greatest value of the map"}, {0.5, "half of it"}, {0, "0"}});
    y += 14 + 130 + 34;
    canvas.text(body.x, y, "How to read it", {11, kInk, true, Align::kLeft});
    y += 4;
    const TextStyle style{10, kFaint, false, Align::kLeft};
    for (const auto& sentence : kReading) {
        for (const auto& line : wrapped(sentence, style, kLeft)) canvas.text(body.x, y += 14.5, line, style);
        y += 6;
    }
}

void draw_overview_row(Canvas& canvas, const FigureSource& source, std::size_t label, double x, double y) {
    const Explanation& e = source.explanation;
    canvas.text(x + kRowWords - 10, y + kSmall / 2 - 3, kLabels[label], {10.5, kInk, true, Align::kRight});
    canvas.text(x + kRowWords - 10, y + kSmall / 2 + 12, probability(static_cast<double>(e.scores[label])),
                {10.5, kInk, false, Align::kRight});
    x += kRowWords;
    for (const auto& backbone : e.backbones) {
        const Rect panel{x, y, kSmall, kSmall};
        draw_overlay(canvas, source, backbone.grad_cam[label], panel);
        if (is_empty(backbone.grad_cam[label])) draw_nothing_words(canvas, panel, 8.5);
        canvas.text(x + kSmall / 2, y + kSmall + 12, without_words(source, backbone, label),
                    {8.5, kFaint, false, Align::kCentre});
        x += kSmall + kSmallGap;
    }
}

}  // namespace

Drawn draw_grad_cam_overview(const FigureSource& source) {
    const Explanation& e = source.explanation;
    const auto count = static_cast<double>(e.backbones.size());
    const double between = 24, row = kSmall + kSmallWords + kSmallGap;
    Drawn drawn{
        {"grad_cam.png", "Where each backbone sees evidence: all findings",
         "Grad-CAM of each backbone (columns) for each finding (rows), over the slice. Heat maps at 32-pixel "
         "resolution, not segmentations; each is scaled to its own greatest value."},
        make_page(source, {"Where each backbone sees evidence (Grad-CAM)", {}, {kNoSegmentation}},
                  kLeft + between + kRowWords + count * (kSmall + kSmallGap),
                  kAbove + row * static_cast<double>(kLabelCount))};
    Canvas& canvas = drawn.page.canvas;
    const Rect body = drawn.page.body;
    draw_overview_side(canvas, source, body);
    const double x = body.x + kLeft + between;
    for (std::size_t i = 0; i < e.backbones.size(); ++i)
        canvas.text(x + kRowWords + static_cast<double>(i) * (kSmall + kSmallGap) + kSmall / 2, body.y + 12,
                    shown_name(e.backbones[i].name), {10.5, kInk, true, Align::kCentre});
    for (std::size_t l = 0; l < kLabelCount; ++l)
        draw_overview_row(canvas, source, l, x, body.y + kAbove + row * static_cast<double>(l));
    return drawn;
}

Drawn draw_grad_cam(const FigureSource& source, std::size_t label) {
    const Explanation& e = source.explanation;
    const std::string name(kLabels[label]);
    const auto panels = static_cast<double>(e.backbones.size() + 1);
    const std::string p = probability(static_cast<double>(e.scores[label]));
    std::vector<std::string> notes{kNoSegmentation};
    notes.insert(notes.end(), kReading.begin(), kReading.end());
    Drawn drawn{
        {"grad_cam_" + name + ".png", "Where each backbone sees evidence for " + name + " hemorrhage",
         fmt::format("Grad-CAM for {} hemorrhage (figure 8 of the paper); raw probability of the slice {}. "
                     "Heat maps at "
                     "32-pixel resolution, not segmentations.",
                     name, p)},
        make_page(
            source,
            {"Where each backbone sees evidence for " + name + " hemorrhage (Grad-CAM)",
             {fmt::format("Probability of {} hemorrhage in this slice: {} (raw, not calibrated)", name, p)},
             notes},
            panels * (kPanel + kGap) - kGap + kBarRoom, kAbove + kPanel + kBelow)};
    Canvas& canvas = drawn.page.canvas;
    const Rect body = drawn.page.body;
    Rect panel{body.x, body.y + kAbove, kPanel, kPanel};
    const TextStyle head{10.5, kInk, true, Align::kLeft}, below{10, kInk, false, Align::kLeft},
        faint{9.5, kFaint, false, Align::kLeft};
    canvas.text(panel.x, body.y + 12, "slice", head);
    draw_slice(canvas, source, panel);
    canvas.text(panel.x, panel.bottom() + 17, "brain window", below);
    canvas.text(panel.x, panel.bottom() + 33, "level 40, width 80 HU", faint);
    for (const auto& backbone : e.backbones) {
        panel.x += kPanel + kGap;
        const Grid& map = backbone.grad_cam[label];
        canvas.text(panel.x, body.y + 12, shown_name(backbone.name), head);
        draw_overlay(canvas, source, map, panel);
        if (is_empty(map)) draw_nothing_words(canvas, panel, 10);
        canvas.text(panel.x, panel.bottom() + 17, without_words(source, backbone, label), below);
        canvas.text(panel.x, panel.bottom() + 33, "greatest value " + number(summary(map.values).max), faint);
    }
    colour_bar(canvas, {panel.right() + 14, panel.y, 13, kPanel}, over_grey,
               {{1, "greatest"}, {0.5, "half of it"}, {0, "0"}});
    return drawn;
}

}  // namespace scopenode::ml
