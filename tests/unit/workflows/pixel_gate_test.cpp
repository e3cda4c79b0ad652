#include "workflows/pixel_gate.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <random>

#include "base/core/files.h"
#include "storage/dicom/header.h"
#include "storage/dicom/pixels.h"
#include "storage/dicom/poor_header.h"
#include "tests/support/ct_files.h"
#include "tests/support/data.h"
#include "workflows/phantoms.h"

using namespace scopenode;
using namespace scopenode::workflows;
namespace fs = std::filesystem;

namespace {

/// HU of a place in mm from the middle of the picture, at a height in mm.
using Body = std::function<float(double x, double y, double z)>;

constexpr int kSize = 256;
constexpr double kPixel = 0.9;

float noise(int x, int y) {
    const unsigned n = (static_cast<unsigned>(x) * 73856093U) ^ (static_cast<unsigned>(y) * 19349663U);
    return static_cast<float>((n * 2654435761U >> 16) % 17) - 8;
}

HuImage picture(const Body& body, double z) {
    HuImage image{kSize, kSize, std::vector<float>(kSize * kSize)};
    for (int y = 0; y < kSize; ++y)
        for (int x = 0; x < kSize; ++x)
            image.hu[static_cast<std::size_t>(y * kSize + x)] =
                std::max(-1024.0F, body((x - kSize / 2) * kPixel, (y - kSize / 2) * kPixel, z) + noise(x, y));
    return image;
}

std::vector<PlacedLook> stack_of(const Body& body, int slices = 28) {
    std::vector<PlacedLook> stack;
    for (int i = 0; i < slices; ++i)
        stack.push_back({i * 5.0, {{kPixel, kPixel}}, look_at(picture(body, (i - slices / 2) * 5.0))});
    return stack;
}

std::string code(std::span<const PlacedLook> stack) {
    const auto said = judge_looks(stack);
    if (said) CHECK_FALSE(said->text.empty());
    return said ? said->code : "";
}
std::string code(const Body& body) {
    return code(stack_of(body));
}

/// An ellipsoid skull of `thick` mm around brain, with skin; `scale` 1: an adult.
Body head(double scale = 1, double thick = 7) {
    return [=](double x, double y, double z) -> float {
        const double a = 72 * scale, b = 90 * scale, c = 85 * scale;
        const double r = std::sqrt(x * x / a / a + y * y / b / b + z * z / c / c);
        const double t = thick / a;
        if (r > 1 + 6 / a) return -1000;
        if (r > 1) return 40;
        return r > 1 - t ? 900 : 33;
    };
}
Body changed(const Body& body, std::function<float(float)> change) {
    return [=](double x, double y, double z) { return change(body(x, y, z)); };
}

struct Looked {
    std::vector<PlacedLook> stack;
    int heads = 0;
};

Looked look_at_files(const fs::path& folder, storage::Rescale rescale = storage::Rescale::kAsTold) {
    Looked all;
    for (const auto& file : test::files_with_content(folder)) {
        const auto header = storage::read_poor_header(file);
        if (!header || header->modality != "CT") continue;
        const auto image = storage::read_hu(file, rescale);
        if (!image) continue;
        const double z = header->position_mm ? (*header->position_mm)[2] : 0;
        all.stack.push_back({z, header->pixel_spacing_mm, look_at(*image)});
        all.heads += looks_like_head(all.stack.back());
    }
    return all;
}

}  // namespace

TEST_CASE("Heads of all kinds pass the look at their pixels") {
    CHECK(code(head()) == "");
    CHECK(code(head(0.55, 2)) == "");   // newborn
    CHECK(code(head(1.25, 10)) == "");  // large
    const auto with = [&](auto where, float hu) {
        const Body plain = head();
        return [=](double x, double y, double z) { return where(x, y, z) ? hu : plain(x, y, z); };
    };
    // 100 ml and more of fresh blood
    CHECK(code(with([](double x, double y, double z) { return std::hypot(x - 20, y, z) < 32; }, 75)) == "");
    // metal on the skull and in the brain, with streaks of nothing
    CHECK(code(with([](double x, double y, double z) { return std::hypot(x - 60, y, z) < 12; }, 3000)) == "");
    CHECK(code(with([](double x, double y, double) { return std::abs(y - 0.4 * x) < 2; }, -600)) == "");
    // a third of the skull's circumference taken away over 10 cm
    const Body plain = head();
    CHECK(code([=](double x, double y, double z) {
              const float hu = plain(x, y, z);
              return hu > 300 && x > 20 && std::abs(z) < 50 ? 40 : hu;
          }) == "");
    // vessels and falx with contrast agent
    CHECK(code(with([](double x, double y, double) { return std::hypot(x, y - 50) < 10 || std::abs(x) < 2; },
                    250)) == "");
    // a bone kernel's noise
    std::mt19937 random(7);
    std::normal_distribution<float> strong(0, 60);
    CHECK(code(changed(head(), [&](float hu) { return hu + strong(random); })) == "");
    CHECK(code(changed(head(), [](float hu) { return hu == 33 ? 5.0F : hu; })) == "");  // much fluid
}

TEST_CASE("What is no head is refused by its pixels") {
    const auto cylinder = [](double a, double b, float hu) {
        return [=](double x, double y, double) { return x * x / a / a + y * y / b / b < 1 ? hu : -1000.0F; };
    };
    CHECK(code(cylinder(100, 100, 0)) == "NOT_A_HEAD_BY_PIXELS");
    CHECK(code(cylinder(60, 90, 35)) == "NOT_A_HEAD_BY_PIXELS");
    // Flesh around one bone, as a leg.
    CHECK(code([](double x, double y, double) -> float {
              const double r = std::hypot(x, y);
              return r < 15 ? 900 : r < 70 ? 50 : -1000;
          }) == "NOT_A_HEAD_BY_PIXELS");
    CHECK(code([](double, double, double) -> float { return -1000; }) == "ALMOST_EMPTY");
    // A head in three of twenty-eight slices.
    const Body whole = head();
    CHECK(code([&](double x, double y, double z) { return std::abs(z) < 6 ? whole(x, y, z) : -1000; }) ==
          "ALMOST_EMPTY");
    const Body water = cylinder(70, 90, 0);
    CHECK(code([&](double x, double y, double z) {
              return std::abs(z) < 6 ? whole(x, y, z) : water(x, y, z);
          }) == "NOT_A_HEAD_BY_PIXELS");
    std::mt19937 random(7);
    std::uniform_real_distribution<float> any(-1000, 3000), soft(-100, 150);
    CHECK(code([&](double, double, double) { return any(random); }) == "HU_IMPLAUSIBLE");
    CHECK(code([&](double, double, double) { return soft(random); }) == "NOT_A_HEAD_BY_PIXELS");
    // Larger than any head, with ribs and lungs.
    auto chest = stack_of([](double x, double y, double) -> float {
        const double r = std::sqrt(x * x / 110 / 110 + y * y / 80 / 80);
        return r > 1                                                         ? -1000
               : r > 0.9                                                     ? 50
               : r > 0.8 && std::abs(std::fmod(std::atan2(y, x) * 8, 2)) < 1 ? 700
               : r > 0.4                                                     ? -850
                                                                             : 50;
    });
    CHECK(code(chest) == "NOT_A_HEAD_BY_PIXELS");
    for (auto& slice : chest) slice.pixel_spacing_mm = {1.4, 1.4};
    CHECK(judge_looks(chest)->text.find("larger than 400 cm2") != std::string::npos);
    CHECK(code(std::span(chest).first(2)) == "NOT_A_HEAD_BY_PIXELS");
}

TEST_CASE("Values that are not HU are refused") {
    CHECK(code(changed(head(), [](float hu) { return -hu; })) == "HU_IMPLAUSIBLE");
    CHECK(code(changed(head(), [](float hu) { return hu + 1024; })) == "HU_IMPLAUSIBLE");
    CHECK(code(changed(head(), [](float hu) { return hu + 1000; })) == "HU_IMPLAUSIBLE");
    CHECK(code(changed(head(), [](float hu) { return hu - 1000; })) != "");
    CHECK(code(changed(head(), [](float hu) { return 0.1F * hu; })) != "");
    CHECK(code(changed(head(), [](float hu) { return hu + 200; })) == "HU_IMPLAUSIBLE");
    CHECK(code(changed(head(), [](float hu) { return hu - 150; })) == "HU_IMPLAUSIBLE");
    // Padding that is told beside air that is not where it must be.
    const Body plain = head();
    CHECK(code([&](double x, double y, double z) {
              return std::hypot(x, y) > 110 ? -1024 : plain(x, y, z) + 1024;
          }) == "HU_IMPLAUSIBLE");
}

TEST_CASE("Too few slices and pictures without spacing are judged with care") {
    CHECK(code(std::vector<PlacedLook>{}) == "");
    auto few = stack_of(head(), 4);
    CHECK(code(few) == "");
    auto stack = stack_of(head());
    for (auto& slice : stack) slice.pixel_spacing_mm.reset();
    CHECK(code(stack) == "");
    std::reverse(stack.begin(), stack.end());
    CHECK(code(stack) == "");
    CHECK(look_at({}).body_pixels == 0);
    CHECK(look_at({1, 1, {40}}).body_pixels == 1);
    CHECK(look_at({3, 2, {40, 40, 40, 40, 40, 40}}).brain_share == 1);
}

TEST_CASE("A look is the same after it was text") {
    const auto look = look_at(picture(head(), 0));
    CHECK(look.ring_share == 1);
    CHECK(look.inside_brain > 0.95);
    CHECK(look.brain_median_hu == doctest::Approx(33).epsilon(0.1));
    CHECK(look.tissue_peak_hu == doctest::Approx(33).epsilon(0.3));
    CHECK(look.air_peak_hu == doctest::Approx(-1000).epsilon(0.01));
    CHECK(look.body_long * kPixel == doctest::Approx(192).epsilon(0.05));
    CHECK(look.body_short * kPixel == doctest::Approx(156).epsilon(0.05));
    const std::string text = look_json(look);
    CHECK(text.size() < 400);
    const auto again = parse_look(text);
    REQUIRE(again);
    CHECK(look_json(*again) == text);
    for (const std::string& bad : {std::string(), std::string("[]"), std::string("{}"),
                                   std::string("{\"width\":1"), text.substr(0, text.size() - 5) + "\"x\"}"}) {
        const auto refused = parse_look(bad);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::kCannotUnderstand);
    }
    std::string huge = text;
    huge.replace(huge.find(":256.0"), 6, ":1e300");
    CHECK(parse_look(huge).error().message.find("width") != std::string::npos);
}

TEST_CASE("The small study of the tests is a head when it is drawn as one") {
    for (const bool is_head : {true, false}) {
        const TemporaryFolder folder;
        test::SmallStudy study;
        study.is_head = is_head;
        for (int i = 0; i < 12; ++i)
            test::write_bytes(folder.path() / std::to_string(i), study.slice(i).value());
        CHECK(code(look_at_files(folder.path()).stack).empty() == is_head);
    }
}

TEST_CASE("The phantoms of every scanner look like heads") {
    const storage::Codecs codecs;
    for (const ml::Scanner& scanner : ml::phantom_scanners()) {
        const TemporaryFolder folder;
        PhantomFolderOptions options;
        options.out = folder.path() / "ph";
        options.phantom.scanner = scanner.name;
        options.phantom.size = 256;
        REQUIRE(write_phantoms(options, [](int) {}));
        const auto looked = look_at_files(folder.path() / "ph");
        CHECK(looked.stack.size() == 28);
        CHECK_MESSAGE(code(looked.stack) == "", scanner.name);
        CHECK(looked.heads >= 18);
    }
}

TEST_CASE("Real heads pass and real chests do not") {
    const storage::Codecs codecs;
    const fs::path data = test::data_folder();
    if (!fs::exists(data / "headct")) {
        MESSAGE("no shared data: skipped");
        return;
    }
    const auto ge = look_at_files(data / "headct" / "ge_hispeed_ncct");
    CHECK(code(ge.stack) == "");
    CHECK(ge.heads >= 18);
    CHECK(code(look_at_files(data / "headct" / "philips_ingenuity_phantom" / "S2010").stack) == "");
    const auto chest = look_at_files(data / "zoo" / "wg04");
    CHECK(chest.stack.size() >= 5);
    CHECK(chest.heads == 0);
    CHECK(code(chest.stack) == "NOT_A_HEAD_BY_PIXELS");
    const auto other = look_at_files(data / "zoo" / "highdicom");
    CHECK(other.heads == 0);
}

TEST_CASE("Slices of RSNA are heads where they show brain and show it when their values are turned round") {
    const storage::Codecs codecs;
    const fs::path data = test::data_folder() / "rsna2019";
    if (!fs::exists(data)) {
        MESSAGE("no shared data: skipped");
        return;
    }
    int refused = 0;
    const auto looked = look_at_files(data, storage::Rescale::kRsnaQuirk);
    for (const PlacedLook& slice : looked.stack) {
        const auto said = judge_looks(std::span(&slice, 1));
        if (said) CHECK(said->code == "ALMOST_EMPTY");  // two at the very top
        refused += said.has_value();
        if (slice.look.brain_share > 0.15 && slice.look.ring_share > 0.9) CHECK(looks_like_head(slice));
    }
    CHECK(looked.stack.size() == 16);
    CHECK(looked.heads >= 9);
    CHECK(refused <= 2);
}

TEST_CASE("A look takes about a millisecond") {
    HuImage large{512, 512, {}};
    const auto small = picture(head(), 0);
    for (int y = 0; y < 512; ++y)
        for (int x = 0; x < 512; ++x)
            large.hu.push_back(small.hu[static_cast<std::size_t>(y / 2 * kSize + x / 2)]);
    double best = 1e9;
    for (int i = 0; i < 20; ++i) {
        const auto start = std::chrono::steady_clock::now();
        CHECK(look_at(large).ring_share == 1);
        best = std::min(
            best,
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    MESSAGE("512 x 512: " << best << " ms");
}
