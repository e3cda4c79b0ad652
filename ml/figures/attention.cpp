#include <algorithm>
#include <cmath>

#include "ml/figures/draw.h"
#include "ml/figures/grids.h"

namespace scopenode::ml {
namespace {

constexpr double kWidth = 1230, kGap = 9, kAxis = 34, kBarRoom = 104, kSectionWords = 26, kHeadWords = 15,
                 kBelow = 18;

/// Tokens from `first` (0-based) on that belong together.
struct Band {
    int first = 0, count = 0;
    std::string tag, meaning;
};

/// "xception 2" as "X2".
std::string tag_of(const std::string& name) {
    std::string tag = name.empty() ? "?" : name.substr(0, 1);
    tag[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(tag[0])));
    if (const auto space = name.rfind(' '); space != std::string::npos) tag += name.substr(space + 1);
    return tag;
}

std::vector<Band> bands_of(const Explanation& e) {
    std::vector<Band> bands;
    const int cls = e.class_token ? 1 : 0, rest = e.tokens - cls;
    if (cls == 1) bands.push_back({0, 1, "CLS", "class token"});
    const int networks = static_cast<int>(e.backbones.size());
    if (e.token_meaning != "channels" || networks == 0 || rest % networks != 0) {
        bands.push_back({cls, rest, e.token_meaning, e.token_meaning});
        return bands;
    }
    for (int i = 0; i < networks; ++i) {
        const std::string& name = e.backbones[static_cast<std::size_t>(i)].name;
        bands.push_back(
            {cls + i * (rest / networks), rest / networks, tag_of(name), "channels of " + shown_name(name)});
    }
    return bands;
}

std::string band_words(const std::vector<Band>& bands) {
    std::string words;
    for (const Band& band : bands) {
        words += words.empty() ? "" : ";  ";
        words += band.count == 1 ? fmt::format("{} = token 1, {}", band.tag, band.meaning)
                                 : fmt::format("{} = tokens {} to {}, {}", band.tag, band.first + 1,
                                               band.first + band.count, band.meaning);
    }
    return words;
}

/// One kind of map for all heads.
struct Section {
    std::string words;
    std::vector<Grid> heads;          ///< as drawn
    std::vector<std::string> ranges;  ///< of each head's values, before anything is averaged
    double low = 0, limit = 1;        ///< values of the outermost colours; -limit to limit where signed
    bool is_signed = false;

    Rgb colour(double value) const {
        return is_signed ? signed_colour(value / limit) : heat_colour((value - low) / (limit - low));
    }
};

struct Layout {
    int columns = 1, rows = 1;
    double panel = 100;
    double section_height() const { return kSectionWords + rows * (panel + kHeadWords + kGap) + kBelow; }
    double width() const { return kAxis + columns * (panel + kGap) - kGap + kBarRoom; }
};

Layout layout_of(std::size_t heads) {
    Layout layout;
    const int count = std::max(1, static_cast<int>(heads));
    layout.rows = (count + 7) / 8;
    layout.columns = (count + layout.rows - 1) / layout.rows;
    layout.panel =
        std::clamp(std::floor((kWidth - kAxis - kBarRoom + kGap) / layout.columns - kGap), 60.0, 250.0);
    return layout;
}

Section section_of(const std::vector<Grid>& heads, const std::string& words, bool is_signed, double panel) {
    Section section{words, {}, {}, 0, 1, is_signed};
    for (const Grid& head : heads) {
        section.heads.push_back(reduced(head, static_cast<int>(panel) * Canvas::kPixelsPerPoint));
        const Summary s = summary(head.values);
        section.ranges.push_back(number(s.min) + " to " + number(s.max));
    }
    section.limit = absolute_quantile(section.heads, 0.998);
    // Attention that is nearly even would be one flat colour on a scale from 0.
    const double least = absolute_quantile(section.heads, 0.002);
    if (!is_signed && least > 0.25 * section.limit) section.low = least;
    if (!(section.limit > section.low)) section.limit = section.low + 1;
    return section;
}

void draw_bands(Canvas& canvas, const std::vector<Band>& bands, int tokens, const Rect& panel,
                bool is_signed) {
    const double cell = panel.w / std::max(1, tokens);
    for (const Band& band : bands) {
        if (band.first == 0) continue;
        const double at = band.first * cell;
        const Rgb colour = is_signed ? kInk : Rgb{0.62, 0.62, 0.66};
        canvas.line(panel.x + at, panel.y, panel.x + at, panel.bottom(), colour, 0.5, 0.75);
        canvas.line(panel.x, panel.y + at, panel.right(), panel.y + at, colour, 0.5, 0.75);
    }
}

/// The tags of the bands to the left and below.
void draw_tags(Canvas& canvas, const std::vector<Band>& bands, int tokens, const Rect& panel, bool at_left) {
    const double cell = panel.w / std::max(1, tokens);
    for (const Band& band : bands) {
        const double middle = (band.first + band.count / 2.0) * cell;
        const double size = band.count == 1 ? 7 : 9;
        if (!at_left)
            canvas.text(panel.x + middle, panel.bottom() + 12, band.tag,
                        {size, kFaint, false, Align::kCentre});
        else if (band.tag.size() > 3)
            canvas.text_upwards(panel.x - 6, panel.y + middle, band.tag,
                                {size, kFaint, false, Align::kCentre});
        else
            canvas.text(panel.x - 5, panel.y + middle + size * 0.35, band.tag,
                        {size, kFaint, false, Align::kRight});
    }
}

void draw_section_bar(Canvas& canvas, const Section& section, const Rect& rect) {
    const std::string limit = number(section.limit);
    if (section.is_signed) {
        colour_bar(canvas, rect, [](double t) { return signed_colour(2 * t - 1); },
                   {{1, "≥ " + limit}, {0.5, "0"}, {0, "≤ " + number(-section.limit)}});
        return;
    }
    colour_bar(canvas, rect, heat_colour,
               {{1, "≥ " + limit}, {0, section.low > 0 ? "≤ " + number(section.low) : "0"}});
}

void draw_section(Canvas& canvas, const Section& section, const Layout& layout,
                  const std::vector<Band>& bands, int tokens, const Rect& place) {
    canvas.text(place.x, place.y + 13, section.words, {11.5, kInk, true, Align::kLeft});
    const double top = place.y + kSectionWords;
    for (std::size_t i = 0; i < section.heads.size(); ++i) {
        const int row = static_cast<int>(i) / layout.columns, column = static_cast<int>(i) % layout.columns;
        const Rect panel{place.x + kAxis + column * (layout.panel + kGap),
                         top + row * (layout.panel + kHeadWords + kGap) + kHeadWords, layout.panel,
                         layout.panel};
        canvas.text(panel.x, panel.y - 4, fmt::format("head {}", i + 1), {9, kInk, false, Align::kLeft});
        canvas.text(panel.right(), panel.y - 4, section.ranges[i], {7.5, kFaint, false, Align::kRight});
        canvas.picture(coloured(section.heads[i], [&](double v) { return section.colour(v); }), panel, false);
        canvas.frame(panel, kRule, 0.5);
        draw_bands(canvas, bands, tokens, panel, section.is_signed);
        if (column == 0) draw_tags(canvas, bands, tokens, panel, true);
        if (i + static_cast<std::size_t>(layout.columns) >= section.heads.size())
            draw_tags(canvas, bands, tokens, panel, false);
    }
    const double bar = std::min(240.0, layout.rows * (layout.panel + kHeadWords + kGap) - kGap - kHeadWords);
    draw_section_bar(
        canvas, section,
        {place.x + kAxis + layout.columns * (layout.panel + kGap) + 12, top + kHeadWords, 13, bar});
}

std::vector<std::string> notes_of(const BlockAttention& attention, const Section& softmax, int tokens) {
    std::vector<std::string> notes{
        "One colour scale for all heads of a kind; its ends take in the outermost 0.2 % of the values. Above "
        "a head: its smallest and greatest value."};
    notes.push_back(fmt::format("Even attention would be 1/{} = {} everywhere.", tokens,
                                number(1.0 / std::max(1, tokens))));
    const int shown = softmax.heads.empty() ? 0 : softmax.heads.front().rows;
    if (shown < tokens)
        notes.push_back(
            fmt::format("Drawn with {0} x {0} pixels a head, each the mean of the tokens under it.", shown));
    if (!attention.mixed.empty())
        notes.push_back("M mixes the heads: the numbers after M name the mixture, not the head before.");
    return notes;
}

}  // namespace

Drawn draw_attention(const FigureSource& source, const BlockAttention& attention, bool first) {
    const Explanation& e = source.explanation;
    const Layout layout = layout_of(attention.softmax.size());
    const bool is_mixed = !attention.mixed.empty();
    std::vector<Section> sections;
    sections.push_back(
        section_of(attention.softmax,
                   is_mixed ? "before M (softmax; every row sums to 1)" : "softmax; every row sums to 1",
                   false, layout.panel));
    if (is_mixed)
        sections.push_back(section_of(attention.mixed, "after M and its norm (signed; rows do not sum to 1)",
                                      true, layout.panel));
    const auto bands = bands_of(e);
    const std::string title = fmt::format("Attention of the {} encoder block (block {})",
                                          first ? "first" : "last", attention.block);
    Drawn drawn{
        {first ? "attention_first.png" : "attention_last.png", title,
         fmt::format(
             "{} heads, {} x {} tokens each; a row is the token that asks, a column the token that is "
             "looked at (figure 7 of the paper).{}",
             attention.softmax.size(), e.tokens, e.tokens,
             is_mixed
                 ? " Above before the re-attention matrix M, below after M and its norm, where values are "
                   "signed and no longer shares."
                 : "")},
        make_page(source,
                  {title,
                   {"Row: the token that asks (query).  Column: the token that is looked at (key).",
                    "Tokens:  " + band_words(bands)},
                   notes_of(attention, sections.front(), e.tokens)},
                  std::max(600.0, layout.width()),
                  static_cast<double>(sections.size()) * layout.section_height())};
    Rect place = drawn.page.body;
    for (const Section& section : sections) {
        draw_section(drawn.page.canvas, section, layout, bands, e.tokens, place);
        place.y += layout.section_height();
    }
    return drawn;
}

}  // namespace scopenode::ml
