#pragma once
#include <optional>
#include <string>
#include <vector>

#include "ml/curves.h"

namespace scopenode::workflows {

/// Champion and candidate are told apart by dashes and by marks too, never by colour alone.
enum class LineStyle { kCandidate, kChampion };

struct ChartLine {
    LineStyle style = LineStyle::kCandidate;
    std::string words;  ///< beside its sample above the plot: "candidate 0.912"
    std::vector<ml::CurvePoint> points;
    bool steps = false;  ///< each point's y holds from the point before it
    bool marks = false;  ///< a mark on each point
    std::optional<ml::CurvePoint> operating_point;
};

struct Chart {
    std::string title, x_words, y_words;
    std::vector<ChartLine> lines;
    double x_low = 0, x_high = 1, y_low = 0, y_high = 1;
    double y_step = 0;              ///< between ticks; 0: chosen
    bool whole_x = false;           ///< ticks at whole numbers
    bool diagonal = false;          ///< a thin line from corner to corner
    std::optional<double> level;    ///< a thin level line
    std::optional<double> upright;  ///< a thin upright line with `upright_words`
    std::string upright_words;
    bool small = false;
    std::string nothing = "nothing to show";  ///< when no line has a point
};

/// An inline SVG that grows with the page. Words are escaped.
std::string draw(const Chart& chart);

/// 1, 2, 2.5 or 5 times a power of ten, for `count` steps or fewer over the range.
double tick_step(double range, int count);

}  // namespace scopenode::workflows
