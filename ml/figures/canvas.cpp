#include "ml/figures/canvas.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <sstream>

#include "ml/figures/png.h"

namespace scopenode::ml {
namespace {

/// Bytes of the UTF-8 character at `place`, 0 where there is none. Control characters are none.
std::size_t character_length(std::string_view words, std::size_t place) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(words[i]); };
    const unsigned char first = byte(place);
    if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
    const std::size_t length = first >= 0xc2 && first < 0xe0   ? 2
                               : first >= 0xe0 && first < 0xf0 ? 3
                               : first >= 0xf0 && first < 0xf5 ? 4
                                                               : 0;
    if (length == 0 || place + length > words.size()) return 0;
    unsigned code = first & (0xffU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(place + i) & 0xc0) != 0x80) return 0;
        code = code << 6 | (byte(place + i) & 0x3fU);
    }
    const bool is_legal = code >= (length == 2   ? 0x80U
                                   : length == 3 ? 0x800U
                                                 : 0x10000U) &&
                          code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return is_legal ? length : 0;
}

/// Cairo draws nothing more after text that is no UTF-8.
std::string legal(std::string_view words) {
    std::string out;
    for (std::size_t i = 0; i < words.size();) {
        const std::size_t length = character_length(words, i);
        out += length == 0 ? std::string_view("?") : words.substr(i, length);
        i += std::max<std::size_t>(1, length);
    }
    return out;
}

void set_font(cairo_t* cr, const TextStyle& style) {
    cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, style.size);
}

/// Letters at the same places whatever the scale.
void set_unhinted(cairo_t* cr) {
    cairo_font_options_t* options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_set_font_options(cr, options);
    cairo_font_options_destroy(options);
}

std::uint32_t premultiplied(std::uint32_t pixel) {
    const std::uint32_t alpha = pixel >> 24;
    if (alpha == 255) return pixel;
    const auto part = [&](int shift) { return ((pixel >> shift & 0xff) * alpha + 127) / 255 << shift; };
    return alpha << 24 | part(16) | part(8) | part(0);
}

double shift_of(const TextStyle& style, const cairo_text_extents_t& size) {
    if (style.align == Align::kLeft) return 0;
    return style.align == Align::kCentre ? -size.x_advance / 2 : -size.x_advance;
}

}  // namespace

struct Canvas::Surface {
    cairo_surface_t* image;
    cairo_t* cr;

    Surface(int width, int height, Rgb background, int pixels_per_point)
        : image(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height)), cr(cairo_create(image)) {
        set_unhinted(cr);
        colour(background);
        cairo_paint(cr);
        cairo_scale(cr, pixels_per_point, pixels_per_point);
    }
    ~Surface() {
        cairo_destroy(cr);
        cairo_surface_destroy(image);
    }
    Surface(const Surface&) = delete;
    Surface& operator=(const Surface&) = delete;

    void colour(Rgb c, double opacity = 1) { cairo_set_source_rgba(cr, c.r, c.g, c.b, opacity); }
};

Canvas::Canvas(double width, double height, Rgb background, int pixels_per_point)
    : surface_(std::make_unique<Surface>(static_cast<int>(std::ceil(width * pixels_per_point)),
                                         static_cast<int>(std::ceil(height * pixels_per_point)), background,
                                         pixels_per_point)) {}
Canvas::~Canvas() = default;
Canvas::Canvas(Canvas&&) noexcept = default;
Canvas& Canvas::operator=(Canvas&&) noexcept = default;

int Canvas::pixel_width() const {
    return cairo_image_surface_get_width(surface_->image);
}

int Canvas::pixel_height() const {
    return cairo_image_surface_get_height(surface_->image);
}

void Canvas::text(double x, double y, std::string_view words, const TextStyle& style) {
    const std::string shown = legal(words);
    cairo_t* cr = surface_->cr;
    set_font(cr, style);
    cairo_text_extents_t size;
    cairo_text_extents(cr, shown.c_str(), &size);
    x += shift_of(style, size);
    surface_->colour(style.colour);
    cairo_move_to(cr, x, y);
    cairo_show_text(cr, shown.c_str());
    cairo_new_path(cr);  // text leaves its end as the start of the next path
    words_.push_back({{x + size.x_bearing, y + size.y_bearing, size.width, size.height}, shown});
}

void Canvas::text_upwards(double x, double y, std::string_view words, const TextStyle& style) {
    const std::string shown = legal(words);
    cairo_t* cr = surface_->cr;
    set_font(cr, style);
    cairo_text_extents_t size;
    cairo_text_extents(cr, shown.c_str(), &size);
    cairo_save(cr);
    cairo_translate(cr, x, y + size.x_advance / 2);
    cairo_rotate(cr, -std::numbers::pi / 2);
    surface_->colour(style.colour);
    cairo_move_to(cr, 0, 0);
    cairo_show_text(cr, shown.c_str());
    cairo_new_path(cr);
    cairo_restore(cr);
    words_.push_back({{x + size.y_bearing, y - size.x_advance / 2, size.height, size.x_advance}, shown});
}

void Canvas::line(double x1, double y1, double x2, double y2, Rgb colour, double width, double opacity) {
    surface_->colour(colour, opacity);
    cairo_set_line_width(surface_->cr, width);
    cairo_move_to(surface_->cr, x1, y1);
    cairo_line_to(surface_->cr, x2, y2);
    cairo_stroke(surface_->cr);
}

void Canvas::path(const std::vector<std::pair<double, double>>& points, Rgb colour, double width) {
    surface_->colour(colour);
    cairo_set_line_width(surface_->cr, width);
    cairo_set_line_join(surface_->cr, CAIRO_LINE_JOIN_ROUND);
    for (const auto& [x, y] : points) cairo_line_to(surface_->cr, x, y);
    cairo_stroke(surface_->cr);
}

void Canvas::closed_path(const std::vector<std::pair<double, double>>& points, Rgb colour, double width) {
    surface_->colour(colour);
    cairo_set_line_width(surface_->cr, width);
    cairo_set_line_join(surface_->cr, CAIRO_LINE_JOIN_ROUND);
    for (const auto& [x, y] : points) cairo_line_to(surface_->cr, x, y);
    cairo_close_path(surface_->cr);
    cairo_stroke(surface_->cr);
}

void Canvas::disc(double x, double y, double radius, Rgb colour) {
    surface_->colour(colour);
    cairo_arc(surface_->cr, x, y, radius, 0, 2 * std::numbers::pi);
    cairo_fill(surface_->cr);
}

void Canvas::fill(const Rect& rect, Rgb colour, double opacity) {
    surface_->colour(colour, opacity);
    cairo_rectangle(surface_->cr, rect.x, rect.y, rect.w, rect.h);
    cairo_fill(surface_->cr);
}

void Canvas::frame(const Rect& rect, Rgb colour, double width) {
    surface_->colour(colour);
    cairo_set_line_width(surface_->cr, width);
    // Outside of what it frames.
    cairo_rectangle(surface_->cr, rect.x - width / 2, rect.y - width / 2, rect.w + width, rect.h + width);
    cairo_stroke(surface_->cr);
}

void Canvas::picture(const Picture& picture, const Rect& rect, bool smooth) {
    if (picture.width < 1 || picture.height < 1) return;
    cairo_surface_t* image = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, picture.width, picture.height);
    if (cairo_surface_status(image) == CAIRO_STATUS_SUCCESS) {
        cairo_surface_flush(image);
        unsigned char* row = cairo_image_surface_get_data(image);
        const std::uint32_t* from = picture.pixels.data();
        for (int y = 0; y < picture.height;
             ++y, row += cairo_image_surface_get_stride(image), from += picture.width)
            std::transform(from, from + picture.width, reinterpret_cast<std::uint32_t*>(row), premultiplied);
        cairo_surface_mark_dirty(image);
    }
    cairo_t* cr = surface_->cr;
    cairo_save(cr);
    cairo_rectangle(cr, rect.x, rect.y, rect.w, rect.h);
    cairo_clip(cr);
    cairo_translate(cr, rect.x, rect.y);
    cairo_scale(cr, rect.w / picture.width, rect.h / picture.height);
    cairo_set_source_surface(cr, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cr), smooth ? CAIRO_FILTER_GOOD : CAIRO_FILTER_NEAREST);
    // Without it the edge of an enlarged picture fades into the page.
    cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_PAD);
    cairo_paint(cr);
    cairo_restore(cr);
    cairo_surface_destroy(image);
}

Result<std::vector<std::uint8_t>> Canvas::rgb() const {
    if (const auto status = cairo_status(surface_->cr); status != CAIRO_STATUS_SUCCESS)
        return fail(Code::kInternal, "{}", cairo_status_to_string(status));
    cairo_surface_flush(surface_->image);
    const unsigned char* data = cairo_image_surface_get_data(surface_->image);
    const int stride = cairo_image_surface_get_stride(surface_->image);
    std::vector<std::uint8_t> rgb;
    rgb.reserve(static_cast<std::size_t>(pixel_width()) * static_cast<std::size_t>(pixel_height()) * 3);
    for (int y = 0; y < pixel_height(); ++y) {
        const auto* row =
            reinterpret_cast<const std::uint32_t*>(data + static_cast<std::ptrdiff_t>(y) * stride);
        for (int x = 0; x < pixel_width(); ++x)
            for (const int shift : {16, 8, 0})
                rgb.push_back(static_cast<std::uint8_t>(row[x] >> shift & 0xff));
    }
    return rgb;
}

Status Canvas::save(const std::filesystem::path& path) const {
    const auto pixels = rgb();
    if (!pixels)
        return fail(pixels.error().code, "{} cannot be drawn: {}", path.string(), pixels.error().message);
    return write_png(path, pixel_width(), pixel_height(), 3, *pixels);
}

double text_width(std::string_view words, const TextStyle& style) {
    cairo_surface_t* image = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    cairo_t* cr = cairo_create(image);
    set_unhinted(cr);
    set_font(cr, style);
    cairo_text_extents_t size;
    cairo_text_extents(cr, legal(words).c_str(), &size);
    cairo_destroy(cr);
    cairo_surface_destroy(image);
    return size.x_advance;
}

std::vector<std::string> wrapped(const std::string& words, const TextStyle& style, double width) {
    std::vector<std::string> lines;
    std::istringstream stream(words);
    for (std::string word; stream >> word;) {
        if (!lines.empty() && text_width(lines.back() + " " + word, style) <= width)
            lines.back() += " " + word;
        else
            lines.push_back(word);
    }
    return lines;
}

std::string shortened(const std::string& words, const TextStyle& style, double width) {
    std::string shown = legal(words);
    if (text_width(shown, style) <= width) return shown;
    std::vector<std::string> characters;
    for (std::size_t i = 0; i < shown.size();) {
        const std::size_t length = std::max<std::size_t>(1, character_length(shown, i));
        characters.push_back(shown.substr(i, length));
        i += length;
    }
    for (std::size_t kept = characters.size() - 1; kept > 0; --kept) {
        std::string text;
        for (std::size_t i = 0; i < characters.size(); ++i) {
            if (i == (kept + 1) / 2) text += "…";
            if (i < (kept + 1) / 2 || i >= characters.size() - kept / 2) text += characters[i];
        }
        if (text_width(text, style) <= width) return text;
    }
    return "…";
}

}  // namespace scopenode::ml
