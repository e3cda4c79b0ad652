#include <algorithm>
#include <cmath>

#include "ml/figures/draw.h"
#include "ml/figures/grids.h"

namespace scopenode::ml {
namespace {

constexpr int kColumns = 8;
constexpr double kMap = 62, kMapGap = 8, kMapWords = 13, kSlice = 300, kBetween = 30;

void draw_map(Canvas& canvas, const Grid& map, const Rect& place) {
    const Summary s = summary(map.values);
    const double range = s.max - s.min;
    canvas.picture(coloured(map, [&](double v) { return heat_colour(range > 0 ? (v - s.min) / range : 0); }),
                   place, false);
}

}  // namespace

Drawn draw_features(const FigureSource& source, const BackboneView& backbone) {
    const auto shown = std::min<std::size_t>(backbone.features.size(), 64);
    const auto rows = static_cast<double>((shown + kColumns - 1) / kColumns);
    const double grid_width = kColumns * (kMap + kMapGap) - kMapGap;
    const double height = std::max(rows * (kMap + kMapGap + kMapWords), kSlice + 150);
    const int cells = backbone.features.empty() ? 0 : backbone.features.front().rows;
    const std::string title = "Feature maps of " + shown_name(backbone.name);
    const std::string which = fmt::format(
        "{} of the {} channels of its last feature map, the most varied first; {} x {} cells a map.", shown,
        backbone.channels, cells, cells);
    Drawn drawn{
        {"features_" + as_name(backbone.name) + ".png", title,
         which +
             " Each map is scaled to its own range, so brightness cannot be compared between maps (figures "
             "4 to 6 of the paper)."},
        make_page(
            source,
            {title,
             {which},
             {"Each map is scaled to its own range: brightness cannot be compared between maps. The number "
              "above a map is its channel (from 0). Slice as stored, not mirrored."}},
            kSlice + kBetween + grid_width, height)};
    Canvas& canvas = drawn.page.canvas;
    const Rect body = drawn.page.body;
    draw_slice(canvas, source, {body.x, body.y + kMapWords, kSlice, kSlice});
    canvas.text(body.x, body.y + kMapWords + kSlice + 16, kWindowWords, {9.5, kFaint, false, Align::kLeft});
    const double bar = body.y + kMapWords + kSlice + 40;
    colour_bar(canvas, {body.x, bar, 14, 90}, heat_colour,
               {{1, "greatest value of the map"}, {0, "smallest value of the map"}});
    for (std::size_t i = 0; i < shown; ++i) {
        const double x = body.x + kSlice + kBetween + static_cast<double>(i % kColumns) * (kMap + kMapGap);
        const double y = body.y + static_cast<double>(i / kColumns) * (kMap + kMapGap + kMapWords);
        if (i < backbone.feature_channels.size())
            canvas.text(x + kMap / 2, y + kMapWords - 4, std::to_string(backbone.feature_channels[i]),
                        {8.5, kFaint, false, Align::kCentre});
        draw_map(canvas, backbone.features[i], {x, y + kMapWords, kMap, kMap});
    }
    return drawn;
}

}  // namespace scopenode::ml
