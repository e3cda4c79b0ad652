#include <doctest/doctest.h>

#include <cmath>

#include "base/core/files.h"
#include "ml/figures/grids.h"
#include "ml/figures/page.h"
#include "tests/unit/ml/figures/pixels.h"
#include "tests/unit/ml/figures/planted.h"

using namespace scopenode;
using namespace scopenode::ml;
using test::filled;
using test::Pixel;
using test::Pixels;

namespace {

constexpr double kPanel = 100;

/// The slice with and without the map over it, at 200 x 200 pixels.
Pixels drawn(const FigureSource& source, const Grid* map) {
    const TemporaryFolder folder;
    Canvas canvas(kPanel, kPanel);
    const Rect panel{0, 0, kPanel, kPanel};
    if (map != nullptr)
        draw_overlay(canvas, source, *map, panel);
    else
        draw_slice(canvas, source, panel);
    REQUIRE(canvas.save(folder.path() / "x.png"));
    return test::read_png(folder.path() / "x.png");
}

bool is_grey(const Pixel& p) {
    return p[0] == p[1] && p[1] == p[2];
}

/// Perceived lightness, roughly.
double lightness(Rgb c) {
    return 0.2126 * c.r * c.r + 0.7152 * c.g * c.g + 0.0722 * c.b * c.b;
}

HuImage even_slice(int width, int height, float hu) {
    return {width, height,
            std::vector<float>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), hu)};
}

}  // namespace

TEST_CASE("A planted hot cell is hot and elsewhere the slice shows as it is") {
    const auto p = test::planted();
    const FigureSource source = p.source();
    Grid map = filled(8, 8, 0);
    map.values[8 * 2 + 5] = 0.004F;
    const Pixels plain = drawn(source, nullptr), hot = drawn(source, &map);
    REQUIRE(plain.width == 200);
    // Cell (2, 5) of 8: rows 50 to 75, columns 125 to 150.
    const Pixel middle = hot.at(137, 62);
    CHECK(middle[0] > middle[2] + 60);
    CHECK(is_grey(plain.at(137, 62)));
    int changed = 0;
    for (int y = 0; y < 200; ++y)
        for (int x = 0; x < 200; ++x) {
            if (hot.at(x, y) == plain.at(x, y)) continue;
            ++changed;
            CHECK(std::abs(x - 137.5) < 26);
            CHECK(std::abs(y - 62.5) < 26);
        }
    CHECK(changed > 400);
}

TEST_CASE("A map without anything and one of no numbers leave the slice alone") {
    const auto p = test::planted();
    const Grid nothing = filled(8, 8, 0), broken = filled(8, 8, std::nanf(""));
    const Pixels plain = drawn(p.source(), nullptr);
    CHECK(drawn(p.source(), &nothing).rgb == plain.rgb);
    CHECK(drawn(p.source(), &broken).rgb == plain.rgb);
}

TEST_CASE("The slice is shown in the brain window and in its true proportions") {
    const Explanation none;
    const HuImage slice = even_slice(100, 50, 40);
    // Rows twice as far apart as columns: the picture is square.
    const Pixels square = drawn({none, slice, "", "", 2, 1}, nullptr);
    for (const int at : {1, 100, 198}) CHECK(square.at(at, at) == Pixel{128, 128, 128});
    const Pixels wide = drawn({none, slice, "", "", 1, 1}, nullptr);
    CHECK(wide.at(100, 30) == Pixel{0, 0, 0});
    CHECK(wide.at(100, 100) == Pixel{128, 128, 128});
    CHECK(wide.at(100, 170) == Pixel{0, 0, 0});
    CHECK(drawn({none, even_slice(8, 8, 0), "", ""}, nullptr).at(100, 100) == Pixel{0, 0, 0});
    CHECK(drawn({none, even_slice(8, 8, 80), "", ""}, nullptr).at(100, 100) == Pixel{255, 255, 255});
    CHECK(drawn({none, even_slice(8, 8, std::nanf("")), "", ""}, nullptr).at(100, 100) == Pixel{0, 0, 0});
}

TEST_CASE("The map of a slice that is not square lies where the network saw it") {
    const Explanation none;
    const HuImage slice = even_slice(100, 50, 40);
    // The network saw 100 x 100 with 25 rows of air above and below: its rows 50 to 62 are the slice's 25
    // to 37.
    Grid map = filled(8, 8, 0);
    map.values[8 * 4 + 0] = 1;
    const Pixels p = drawn({none, slice, "", "", 2, 1}, &map);
    CHECK(!is_grey(p.at(8, 125)));
    CHECK(is_grey(p.at(8, 60)));
    CHECK(is_grey(p.at(100, 125)));
    // What lies in the air beside the slice is not shown.
    map = filled(8, 8, 0);
    map.values[0] = 1;
    const Pixels air = drawn({none, slice, "", "", 1, 1}, &map);
    for (int y = 0; y < 200; ++y)
        for (int x = 0; x < 200; ++x) REQUIRE(is_grey(air.at(x, y)));
}

TEST_CASE("Signed colours are blue below zero and white at zero and red above") {
    const Rgb low = signed_colour(-1), zero = signed_colour(0), high = signed_colour(1);
    CHECK(low.b > low.r + 0.3);
    CHECK(high.r > high.b + 0.3);
    CHECK(std::min({zero.r, zero.g, zero.b}) > 0.95);
    CHECK(lightness(low) == doctest::Approx(lightness(high)).epsilon(0.5));
    CHECK(signed_colour(9).r == high.r);
    const Grid grid{1, 3, {-2, 0, 2}};
    const Picture picture = coloured(grid, [](double v) { return signed_colour(v / 2); });
    CHECK(picture.pixels[0] == packed(low));
    CHECK(picture.pixels[2] == packed(high));
    CHECK(signed_colour(std::nan("")).r == 0.5);
}

TEST_CASE("Heat grows lighter all the way and is transparent where it is low") {
    for (int i = 1; i <= 64; ++i) {
        CHECK(lightness(heat_colour(i / 64.0)) > lightness(heat_colour((i - 1) / 64.0)));
        CHECK(heat_opacity(i / 64.0) >= heat_opacity((i - 1) / 64.0));
    }
    CHECK(heat_opacity(0.1) == 0);
    CHECK(heat_opacity(std::nan("")) == 0);
    CHECK(heat_opacity(1) < 0.8);
}

TEST_CASE("Maps are made smaller by the mean over areas") {
    std::mt19937 random(5);
    Grid grid = filled(384, 384, 0);
    for (float& v : grid.values) v = static_cast<float>(random() % 1000);
    const Grid small = reduced(grid, 290);
    CHECK(small.rows == 290);
    CHECK(summary(small.values).mean == doctest::Approx(summary(grid.values).mean).epsilon(1e-5));
    CHECK(reduced(grid, 500).rows == 384);
    const Grid half = reduced({2, 2, {1, 3, 5, 7}}, 1);
    REQUIRE(half.values.size() == 1);
    CHECK(half.values[0] == 4);
    const Grid cells{2, 2, {0, 1, 2, 3}};
    CHECK(bilinear(cells, 0.5, 0.5) == 0);
    CHECK(bilinear(cells, 1, 1) == doctest::Approx(1.5));
    CHECK(bilinear(cells, 9, 9) == 3);
}

TEST_CASE("Numbers read as a person writes them") {
    CHECK(number(0) == "0");
    CHECK(number(0.0026) == "0.00260");
    CHECK(number(-3.456) == "\u22123.46");
    CHECK(number(12345) == "12345");
    CHECK(number(-1.5e-7) == "\u22121.5e\u221207");
    CHECK(signed_number(-0.0001, 3) == "0.000");
    CHECK(signed_number(0.25, 3) == "+0.250");
    CHECK(probability(0.0001) == "<0.001");
    CHECK(probability(0) == "0.000");
    CHECK(probability(0.99999) == ">0.999");
    CHECK(shortened("abcdefghijklmnopqrstuvwxyz", {}, 60).find("…") != std::string::npos);
    CHECK(wrapped("one two three", {}, 1).size() == 3);
}

TEST_CASE("Text that is no UTF-8 does not end the drawing") {
    const TemporaryFolder folder;
    Canvas canvas(100, 40);
    canvas.text(5, 12, "\xff\xc0\xaf\xed\xa0\x80 \xe2\x82\x01 ok", {});
    canvas.fill({50, 20, 10, 10}, {1, 0, 0});
    REQUIRE(canvas.save(folder.path() / "x.png"));
    CHECK(test::read_png(folder.path() / "x.png").at(110, 50) == Pixel{255, 0, 0});
    CHECK(canvas.words().at(0).words == "?????? ??? ok");
}
