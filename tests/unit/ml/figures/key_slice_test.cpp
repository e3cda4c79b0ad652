#include <doctest/doctest.h>

#include <cmath>

#include "ml/figures/key_slice.h"
#include "tests/unit/ml/figures/planted.h"

using namespace scopenode;
using namespace scopenode::ml;
using test::filled;

namespace {

HuImage even_slice(int width, int height, float hu) {
    return {width, height,
            std::vector<float>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), hu)};
}

Legend long_legend() {
    Legend legend;
    legend.warning = "DEMONSTRATION - not for patients";
    legend.title = "AI result: hemorrhage suspected";
    for (const char* name : {"Intracranial hemorrhage", "Epidural hemorrhage", "Intraparenchymal hemorrhage",
                             "Intraventricular hemorrhage", "Subarachnoid hemorrhage", "Subdural hemorrhage"})
        legend.bars.push_back({name, "0.873", 0.873, 0.4, true});
    legend.bars.push_back({std::string(90, 'M'), "undetermined", {}, {}, false});
    for (int i = 0; i < 12; ++i)
        legend.facts.push_back("A reason of several words that needs more than one line " +
                               std::string(70, 'x'));
    legend.explains_heat = true;
    legend.notes = {"AI result, not a diagnosis.", "\xff\xfe is no UTF-8"};
    return legend;
}

bool overlap(const Rect& a, const Rect& b) {
    return std::min(a.right(), b.right()) - std::max(a.x, b.x) > 0.25 &&
           std::min(a.bottom(), b.bottom()) - std::max(a.y, b.y) > 0.25;
}

/// Words lie on the page, not on one another and not on the slice.
void check_words(const KeyPicture& picture) {
    const auto& all = picture.canvas.words();
    REQUIRE(!all.empty());
    for (std::size_t i = 0; i < all.size(); ++i) {
        CAPTURE(all[i].words);
        const Rect& box = all[i].box;
        CHECK(box.x >= 0);
        CHECK(box.y >= 0);
        CHECK(box.right() <= picture.canvas.pixel_width());
        CHECK(box.bottom() <= picture.canvas.pixel_height());
        CHECK_FALSE(overlap(box, picture.image));
        for (std::size_t k = 0; k < i; ++k) CHECK_FALSE(overlap(box, all[k].box));
    }
}

}  // namespace

TEST_CASE("A slice keeps its own pixels or whole multiples of them and words stand beside it") {
    const std::array<std::string, 4> edges{"RA", "LP", "AH", "PF"};
    for (const int size : {64, 128, 500, 512, 768, 1024}) {
        CAPTURE(size);
        const HuImage slice = even_slice(size, size, 40);
        const auto picture = draw_key_slice({slice, 0.45, 0.45, edges, {}, {}}, long_legend());
        CHECK(std::fmod(picture.image.w, size) == 0);
        CHECK(picture.image.w >= 512);
        CHECK(picture.image.w <= 1024);
        CHECK(picture.image.w == picture.image.h);
        check_words(picture);
        const auto rgb = picture.canvas.rgb();
        REQUIRE(rgb);
        const auto middle = 3 * (static_cast<std::size_t>(picture.image.y + picture.image.h / 2) *
                                     static_cast<std::size_t>(picture.canvas.pixel_width()) +
                                 static_cast<std::size_t>(picture.image.x + 20));
        CHECK((*rgb)[middle] == 128);
    }
    // Too large, not square, pixels that are not square, no scale known.
    const auto large = draw_key_slice({even_slice(3000, 1500, 0), 0.1, 0.1, {}, {}, {}}, long_legend());
    CHECK(large.image.w == 1024);
    CHECK(large.image.h == 512);
    const auto oblong = draw_key_slice({even_slice(512, 256, 0), 1, 0.5, {}, {}, {}}, long_legend());
    CHECK(oblong.image.w == oblong.image.h);
    const auto bare = draw_key_slice({even_slice(512, 512, 0), 0, 0, {}, {}, {}}, {});
    for (const auto& words : bare.canvas.words()) CHECK(words.words.find(" mm") == std::string::npos);
}

TEST_CASE("A page of words holds all of them") {
    const auto page = draw_words(long_legend());
    check_words(page);
    std::string all;
    for (const auto& words : page.canvas.words()) all += words.words + " ";
    CHECK(all.find("DEMONSTRATION - not for patients") != std::string::npos);
    CHECK(all.find("AI result, not a diagnosis.") != std::string::npos);
    CHECK(all.find("?? is no UTF-8") != std::string::npos);
}

TEST_CASE("The outline goes around the hottest area alone") {
    Grid map = filled(8, 8, 0);
    map.values[8 * 2 + 5] = 1;      // the hottest: rows 64 to 96, columns 160 to 192 of 256
    map.values[8 * 6 + 1] = 0.95F;  // almost as hot, elsewhere
    const HuImage slice = even_slice(256, 256, 0);
    const Outline outline = hottest_outline(slice, map, 0.6);
    REQUIRE(outline.size() > 8);
    for (const auto& [x, y] : outline) {
        CHECK(std::hypot(x - 176, y - 80) < 24);
        CHECK(std::hypot(x - 176, y - 80) > 6);
    }
    // Closed: neighbours are near one another, the last and the first too.
    for (std::size_t i = 0; i < outline.size(); ++i) {
        const auto& a = outline[i];
        const auto& b = outline[(i + 1) % outline.size()];
        CHECK(std::hypot(a.first - b.first, a.second - b.second) < 6);
    }
    CHECK(hottest_outline(slice, filled(8, 8, 0), 0.6).empty());
    CHECK(hottest_outline(slice, {}, 0.6).empty());
    // At the edge of the slice the line follows the edge.
    map = filled(8, 8, 0);
    map.values[0] = 1;
    for (const auto& [x, y] : hottest_outline(slice, map, 0.6)) {
        CHECK(x >= 0);
        CHECK(y >= 0);
    }
    // One row of pixels and a map that is hot everywhere.
    CHECK(hottest_outline(even_slice(256, 1, 0), filled(8, 8, 1), 0.6).size() > 3);
}

TEST_CASE("Heat of several findings is the greater of each scaled to itself") {
    Grid a = filled(2, 2, 0), b = filled(2, 2, 0);
    a.values = {10, 0, 5, 0};
    b.values = {0, 0.1F, 0, 0};
    const Grid joined = joined_heat({a, filled(2, 2, 0), b});
    CHECK(joined.values == std::vector<float>{1, 1, 0.5F, 0});
    CHECK(joined_heat({filled(2, 2, 0)}).values.empty());
    CHECK(joined_heat({}).values.empty());
}
