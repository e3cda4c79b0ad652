#pragma once
#include <functional>
#include <string>
#include <vector>

#include "ml/figures/canvas.h"
#include "ml/figures/figures.h"
#include "ml/figures/slice_picture.h"

namespace scopenode::ml {

/// What stands above and below a figure beside what every figure says.
struct PageWords {
    std::string title;
    std::vector<std::string> lines;  ///< below the model and the slice
    std::vector<std::string> notes;  ///< sentences of the footer
};

/// A canvas with title, model, slice and footer; the figure goes into `body`.
struct Page {
    Canvas canvas;
    Rect body;
};
Page make_page(const FigureSource& source, const PageWords& words, double body_width, double body_height);

/// "Scopeformer nano (demonstration), model 0123456789ab, random weights"
std::string model_words(const FigureSource& source);
/// Sentences that every figure's footer starts with.
std::vector<std::string> standing_notes(const FigureSource& source);

/// Upright bar of colours for 1 (top) to 0 (bottom) with words at the given places.
struct BarLabel {
    double place = 0;
    std::string words;
};
void colour_bar(Canvas& canvas, const Rect& rect, const std::function<Rgb(double)>& colour,
                const std::vector<BarLabel>& labels);

/// The slice in the brain window, as stored, in its true proportions as large as fits into `panel`, centred,
/// on black. Gives where it lies.
Rect draw_slice(Canvas& canvas, const FigureSource& source, const Rect& panel);
/// The same with a coarse map over it, scaled to the map's greatest value; transparent where it is low.
Rect draw_overlay(Canvas& canvas, const FigureSource& source, const Grid& map, const Rect& panel);

}  // namespace scopenode::ml
