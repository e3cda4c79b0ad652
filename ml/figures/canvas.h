#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "ml/figures/colours.h"

namespace scopenode::ml {

/// In points, from the top left.
struct Rect {
    double x = 0, y = 0, w = 0, h = 0;
    double right() const { return x + w; }
    double bottom() const { return y + h; }
};

enum class Align { kLeft, kCentre, kRight };
struct TextStyle {
    double size = 10;
    Rgb colour = kInk;
    bool bold = false;
    Align align = Align::kLeft;
};

/// Row-major, 0xAARRGGBB, not premultiplied.
struct Picture {
    int width = 0, height = 0;
    std::vector<std::uint32_t> pixels;
};

/// A page that is drawn on in points; a figure has kPixelsPerPoint. Not thread-safe.
class Canvas {
  public:
    static constexpr int kPixelsPerPoint = 2;

    explicit Canvas(double width, double height, Rgb background = kWhite,
                    int pixels_per_point = kPixelsPerPoint);
    ~Canvas();
    Canvas(Canvas&&) noexcept;
    Canvas& operator=(Canvas&&) noexcept;

    int pixel_width() const;
    int pixel_height() const;

    /// `y` is the base line. Bytes that are no UTF-8 are shown as '?'.
    void text(double x, double y, std::string_view words, const TextStyle& style = {});
    /// Reads upwards; (x, y) is the middle of its base line.
    void text_upwards(double x, double y, std::string_view words, const TextStyle& style = {});
    void line(double x1, double y1, double x2, double y2, Rgb colour, double width = 1, double opacity = 1);
    void path(const std::vector<std::pair<double, double>>& points, Rgb colour, double width);
    /// The same, its last point joined with the first.
    void closed_path(const std::vector<std::pair<double, double>>& points, Rgb colour, double width);
    void disc(double x, double y, double radius, Rgb colour);
    void fill(const Rect& rect, Rgb colour, double opacity = 1);
    void frame(const Rect& rect, Rgb colour, double width = 1);
    /// Laid over what is there, stretched into `rect`; cells stay sharp unless `smooth`.
    void picture(const Picture& picture, const Rect& rect, bool smooth);

    /// Where words stand, for checks of the layout.
    struct Words {
        Rect box;
        std::string words;
    };
    const std::vector<Words>& words() const { return words_; }

    Status save(const std::filesystem::path& path) const;
    /// Three bytes a pixel, row by row from the top left.
    Result<std::vector<std::uint8_t>> rgb() const;

  private:
    struct Surface;
    std::unique_ptr<Surface> surface_;
    std::vector<Words> words_;
};

/// Width in points.
double text_width(std::string_view words, const TextStyle& style);
/// Broken at spaces into lines of at most `width` points; a longer word stands alone.
std::vector<std::string> wrapped(const std::string& words, const TextStyle& style, double width);
/// Shortened in the middle by an ellipsis where it is wider than `width` points.
std::string shortened(const std::string& words, const TextStyle& style, double width);

}  // namespace scopenode::ml
