#include "workflows/eligibility.h"

#include <doctest/doctest.h>

#include <deque>

#include "tests/support/data.h"
#include "workflows/acquisition.h"
#include "workflows/reasons.h"

using namespace scopenode;
using namespace scopenode::workflows;
using storage::InstanceHeader;

namespace {

/// Headers of an axial head CT, to be spoilt one by one.
struct Stack {
    std::deque<InstanceHeader> headers;

    explicit Stack(int count, double step_mm = 5) {
        for (int i = 0; i < count; ++i) {
            InstanceHeader h;
            h.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2";
            h.sop_instance_uid = "1.2." + std::to_string(i + 1);
            h.modality = "CT";
            h.image_type = {"ORIGINAL", "PRIMARY", "AXIAL"};
            h.rows = h.columns = 512;
            h.has_pixels = true;
            h.slice_thickness_mm = step_mm;
            h.orientation = {1, 0, 0, 0, 1, 0};
            h.position_mm = {0, 0, i * step_mm};
            h.pixel_spacing_mm = {0.45, 0.45};
            h.rescale_slope = 1;
            h.rescale_intercept = -1024;
            h.patient_id = "P1";
            h.series_number = "2";
            headers.push_back(h);
        }
    }
    SeriesHeaders series(const std::string& uid = "1.2") const {
        SeriesHeaders s{1, uid, false, {}};
        std::int64_t id = 0;
        for (const auto& h : headers) s.slices.push_back({++id, &h});
        return s;
    }
    storage::Judgement judge() const { return judge_headers(series(), 8); }
    template <class F>
    std::string code_when_all(F spoil) {
        for (auto& h : headers) spoil(h);
        const auto j = judge();
        CHECK_FALSE(j.eligible);
        CHECK_FALSE(j.reason_text.empty());
        for (const auto& slice : j.slices) CHECK_FALSE(slice.reason_code.empty());
        return j.reason_code;
    }
};

}  // namespace

TEST_CASE("images left out of a series are counted by their reason") {
    const auto none = left_out_remarks(std::vector<std::string>{"", ""});
    CHECK(none.empty());
    const auto some = left_out_remarks(
        std::vector<std::string>{"", "DUPLICATE_POSITION", "LOCALIZER", "", "DUPLICATE_POSITION"});
    REQUIRE(some.size() == 2);
    CHECK(some[0].code == "LOCALIZER");
    CHECK(some[0].text.ends_with("1 of 5 images of the series left out."));
    CHECK(some[1].code == "DUPLICATE_POSITION");
    CHECK(some[1].text.ends_with("2 of 5 images of the series left out."));
}

TEST_CASE("A plain head is eligible and so is a gantry tilt of 18 degrees") {
    Stack head(28);
    CHECK(head.judge().eligible);
    for (auto& h : head.headers) h.orientation = {1, 0, 0, 0, 0.9483237, -0.3173047};
    CHECK(head.judge().eligible);
    for (auto& h : head.headers) h.body_part = "BRAIN";
    CHECK(head.judge().eligible);
}

TEST_CASE("Each fault of a whole series has its reason") {
    const auto code = [](auto spoil) { return Stack(28).code_when_all(spoil); };
    CHECK(code([](auto& h) { h.sop_class_uid = "1.2.840.10008.5.1.4.1.1.7"; }) == "NOT_CT");
    CHECK(code([](auto& h) { h.modality = "MR"; }) == "NOT_CT");
    CHECK(code([](auto& h) { h.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2.1"; }) == "ENHANCED_NOT_READ");
    CHECK(code([](auto& h) { h.image_type = {"ORIGINAL", "PRIMARY", "LOCALIZER"}; }) == "LOCALIZER");
    CHECK(code([](auto& h) { h.image_type = {"DERIVED", "SECONDARY", "REFORMATTED"}; }) == "DERIVED");
    CHECK(code([](auto& h) { h.position_mm.reset(); }) == "NO_GEOMETRY");
    CHECK(code([](auto& h) { h.orientation = {0, 0, 0, 0, 0, 0}; }) == "NO_GEOMETRY");
    CHECK(code([](auto& h) { h.orientation = {0, 1, 0, 0, 0, -1}; }) == "NOT_AXIAL");
    CHECK(code([](auto& h) { h.rows = 32; }) == "NO_PIXELS");
    CHECK(code([](auto& h) { h.gantry_tilt_degrees = -35; }) == "NOT_AXIAL");
    CHECK(code([](auto& h) { h.rescale_slope.reset(); }) == "RESCALE_ABSENT");
    CHECK(code([](auto& h) { h.rescale_intercept.reset(); }) == "RESCALE_ABSENT");
    CHECK(code([](auto& h) { h.rescale_slope = 0; }) == "RESCALE_INVALID");
    CHECK(code([](auto& h) { h.pixel_spacing_mm = {0, 0.45}; }) == "IMPLAUSIBLE_SPACING");
    CHECK(code([](auto& h) { h.pixel_spacing_mm = {0.45, 0.9}; }) == "IMPLAUSIBLE_SPACING");
    CHECK(code([](auto& h) { h.slice_thickness_mm = 12; }) == "SLICES_TOO_THICK");
    CHECK(code([i = 0](auto& h) mutable { h.patient_id = i++ < 14 ? "P1" : "P2"; }) == "IDENTITY_MISMATCH");
    CHECK(code([i = 0](auto& h) mutable { h.rescale_intercept = 100 * i++; }) == "MIXED_FORMAT");
    CHECK(code([](auto& h) { h.body_part = "CHEST"; }) == "NOT_HEAD");
    CHECK(code([](auto& h) { h.series_description = "Thorax/Abdomen 5mm"; }) == "NOT_HEAD");
    CHECK(code([](auto& h) { h.position_mm = {0, 0, 7}; }) == "TOO_FEW_SLICES");
    CHECK(code([](auto& h) { h.position_mm = {0, 0, (*h.position_mm)[2] * 4}; }) == "IMPLAUSIBLE_EXTENT");
    auto own = Stack(28).series();
    own.own = true;
    CHECK(judge_headers(own, 8).reason_code == "OWN_RESULT");
    for (auto& slice : own.slices) slice.header = nullptr;
    own.own = false;
    CHECK(judge_headers(own, 8).reason_code == "UNREADABLE");
    CHECK(Stack(7).judge().reason_code == "TOO_FEW_SLICES");
    CHECK(Stack(10, 17).judge().reason_code == "IMPLAUSIBLE_SPACING");
}

TEST_CASE("Single images are left out and the series stays") {
    Stack head(20);
    head.headers[3].position_mm = head.headers[2].position_mm;
    head.headers[5].image_type = {"ORIGINAL", "PRIMARY", "LOCALIZER"};
    head.headers[9].orientation = {1, 0, 0, 0, 0.94, -0.34};
    const auto j = head.judge();
    CHECK(j.eligible);
    CHECK(j.slices[2].reason_code == "");
    CHECK(j.slices[3].reason_code == "DUPLICATE_POSITION");
    CHECK(j.slices[5].reason_code == "LOCALIZER");
    CHECK(j.slices[9].reason_code == "MIXED_ORIENTATIONS");
}

TEST_CASE("A tilt is called a tilt and anything else is not") {
    const auto text = [](auto spoil) {
        Stack head(28);
        for (auto& h : head.headers) spoil(h);
        return head.judge().reason_text;
    };
    const auto has = [](const std::string& all, const char* part) {
        return all.find(part) != std::string::npos;
    };
    CHECK(has(text([](auto& h) { h.gantry_tilt_degrees = 324; }), "gantry is tilted by 36 degrees"));
    CHECK(has(text([](auto& h) { h.orientation = {1, 0, 0, 0, 0.766, -0.643}; }), "tilted by 40 degrees"));
    CHECK(has(text([](auto& h) { h.orientation = {0, 1, 0, 0, 0, -1}; }), "turned by 90 degrees"));
    CHECK(has(text([](auto& h) { h.orientation = {1, 0, 0, 0, 0, -1}; }), "turned by 90 degrees"));
    Stack head(28);
    for (auto& h : head.headers) h.gantry_tilt_degrees = 342;
    CHECK(head.judge().eligible);
}

TEST_CASE("Images of another format than most are left out") {
    const auto code_of_fifth = [](auto spoil) {
        Stack head(20);
        spoil(head.headers[5]);
        const auto j = head.judge();
        CHECK(j.eligible);
        CHECK(j.slices[4].reason_code == "");
        return j.slices[5].reason_code;
    };
    CHECK(code_of_fifth([](auto& h) { h.rows = 256; }) == "MIXED_FORMAT");
    CHECK(code_of_fifth([](auto& h) { h.columns = 256; }) == "MIXED_FORMAT");
    CHECK(code_of_fifth([](auto& h) { h.rescale_intercept = 0; }) == "MIXED_FORMAT");
    CHECK(code_of_fifth([](auto& h) { h.rescale_slope = 2; }) == "MIXED_FORMAT");
    CHECK(code_of_fifth([](auto& h) { h.pixel_spacing_mm = {0.5, 0.5}; }) == "MIXED_FORMAT");
    CHECK(code_of_fifth([](auto& h) { h.pixel_spacing_mm.reset(); }) == "MIXED_FORMAT");
    CHECK(code_of_fifth([](auto& h) { h.rescale_slope = 0; }) == "RESCALE_INVALID");
}

TEST_CASE("Gaps are counted and refuse a series only when they are many or long") {
    const auto without = [](std::vector<int> missing) {
        Stack head(28);
        std::sort(missing.rbegin(), missing.rend());
        for (const int i : missing) head.headers.erase(head.headers.begin() + i);
        return head;
    };
    const auto remarks = [](const Stack& head) {
        std::vector<const InstanceHeader*> all;
        for (const auto& h : head.headers) all.push_back(&h);
        return series_remarks(all);
    };
    CHECK(stack_shape(Stack(28).series()).missing == 0);
    CHECK(remarks(Stack(28)).empty());

    const Stack one = without({9});
    CHECK(one.judge().eligible);
    const auto shape = stack_shape(one.series());
    CHECK(shape.slices == 27);
    CHECK(shape.missing == 1);
    CHECK(shape.spacing_mm == doctest::Approx(5));
    CHECK(shape.largest_gap_mm == doctest::Approx(5));
    REQUIRE(remarks(one).size() == 1);
    CHECK(remarks(one)[0].code == "GAPS");
    CHECK(remarks(one)[0].text.find("1 of 28 are missing") != std::string::npos);
    CHECK(remarks(one)[0].text.find("5.0 mm") != std::string::npos);

    const Stack hole = without({9, 10, 11, 12, 13});
    CHECK(hole.judge().reason_code == "GAPS");
    CHECK(hole.judge().reason_text.find("5 of 28 are missing") != std::string::npos);
    CHECK(without({9, 10, 11, 12}).judge().eligible);
    const Stack sparse = without({3, 5, 8, 10, 13, 15, 18, 20, 23, 25});
    CHECK(stack_shape(sparse.series()).missing == 10);
    CHECK(sparse.judge().reason_code == "GAPS");
    CHECK(stack_shape(Stack(1).series()).spacing_mm == 0);
    CHECK(stack_shape(SeriesHeaders{}).slices == 0);

    // Thin slices at the base and thick ones above are no gaps; a hole among the thick ones is.
    Stack two(14, 4);
    for (int i = 0; i < 14; ++i) {
        InstanceHeader h = two.headers.front();
        h.position_mm = {0, 0, 13 * 4 + 5.5 + 7 * i};
        h.slice_thickness_mm = 7;
        two.headers.push_back(h);
    }
    CHECK(stack_shape(two.series()).missing == 0);
    two.headers.erase(two.headers.begin() + 20);
    CHECK(stack_shape(two.series()).missing > 0);
}

TEST_CASE("Kernel and contrast agent are known by the makers' words") {
    const auto is_sharp = [](const char* maker, const char* kernel) {
        InstanceHeader h;
        h.manufacturer = maker;
        h.convolution_kernel = kernel;
        return has_sharp_kernel(h);
    };
    for (const char* kernel : {"H60s", "Hr60f\\3", "J70h\\2", "B70f", "H70h"})
        CHECK(is_sharp("SIEMENS", kernel));
    for (const char* kernel : {"H31s", "Hc40f", "J40s\\2", "Hr38f", "", "I26f"})
        CHECK_FALSE(is_sharp("SIEMENS", kernel));
    for (const char* kernel : {"BONE", "BONEPLUS", "LUNG", "EDGE"})
        CHECK(is_sharp("GE MEDICAL SYSTEMS", kernel));
    for (const char* kernel : {"STANDARD", "SOFT", "STD+", "DETAIL"})
        CHECK_FALSE(is_sharp("GE MEDICAL SYSTEMS", kernel));
    for (const char* kernel : {"D", "E", "YC"}) CHECK(is_sharp("Philips", kernel));
    for (const char* kernel : {"A", "B", "UB", "UC"}) CHECK_FALSE(is_sharp("Philips", kernel));
    CHECK_FALSE(is_sharp("", "D"));
    for (const char* kernel : {"FC30", "FC81", "FC51"}) CHECK(is_sharp("TOSHIBA", kernel));
    for (const char* kernel : {"FC21", "FC64", "FC08"}) CHECK_FALSE(is_sharp("TOSHIBA", kernel));
    InstanceHeader h;
    for (const char* agent : {"", "NONE", "no", "Without"}) {
        h.contrast_agent = agent;
        CHECK_FALSE(has_contrast_agent(h));
    }
    h.contrast_agent = "OMNIPAQUE 350";
    CHECK(has_contrast_agent(h));
}

TEST_CASE("A series is chosen by kernel then contrast agent then thickness then slices then number") {
    struct Kind {
        const char *kernel, *agent, *number;
        double step;
        int slices;
    };
    const auto make = [](const Kind& kind) {
        Stack stack(kind.slices, kind.step);
        for (auto& h : stack.headers) {
            h.manufacturer = "GE";
            h.convolution_kernel = kind.kernel;
            h.contrast_agent = kind.agent;
            h.series_number = kind.number;
        }
        return stack;
    };
    // Each is read before the one below it.
    const Kind kinds[] = {{"SOFT", "", "3", 5, 30},        {"SOFT", "", "2", 5, 28},
                          {"SOFT", "", "4", 5, 28},        {"SOFT", "", "1", 2.5, 60},
                          {"SOFT", "IOHEXOL", "1", 5, 30}, {"BONE", "", "1", 5, 30}};
    const char* words[] = {"has more slices", "number is lower", "nearer to 5 mm", "without contrast agent",
                           "kernel is softer"};
    for (std::size_t i = 0; i + 1 < std::size(kinds); ++i) {
        const Stack first = make(kinds[i]), second = make(kinds[i + 1]);
        for (const bool turned : {false, true}) {
            std::vector<SeriesHeaders> study{first.series("1.1"), second.series("1.2")};
            if (turned) std::swap(study[0], study[1]);
            const auto judged = judge_study(study, 8);
            CHECK(judged[turned ? 1 : 0].eligible);
            const auto& other = judged[turned ? 0 : 1];
            CHECK(other.reason_code == "OTHER_SERIES_CHOSEN");
            CHECK_MESSAGE(other.reason_text.find(words[i]) != std::string::npos, other.reason_text);
        }
    }
    const Stack only = make({"BONE", "IOHEXOL", "1", 5, 30});
    CHECK(judge_study(std::vector{only.series()}, 8)[0].eligible);
    std::vector<const InstanceHeader*> all;
    for (const auto& h : only.headers) all.push_back(&h);
    const auto remarks = series_remarks(all);
    REQUIRE(remarks.size() == 2);
    CHECK(remarks[0].code == "CONTRAST_AGENT");
    CHECK(remarks[1].code == "SHARP_KERNEL");
}

TEST_CASE("One series of a study is chosen by its thickness") {
    const Stack thin(100, 1.25), thick(28, 5);
    const std::vector<SeriesHeaders> study{thin.series("1.1"), thick.series("1.2")};
    const auto judged = judge_study(study, 8);
    CHECK(judged[1].eligible);
    CHECK_FALSE(judged[0].eligible);
    CHECK(judged[0].reason_code == "OTHER_SERIES_CHOSEN");
    CHECK(judged[0].slices[0].reason_code == "OTHER_SERIES_CHOSEN");
}

TEST_CASE("A set of slices has one name in any order") {
    CHECK(set_digest({"1.2", "1.3"}) == set_digest({"1.3", "1.2"}));
    CHECK(set_digest({"1.2", "1.3"}) != set_digest({"1.2"}));
}

TEST_CASE("Slices of a tilted gantry are ordered towards the head whatever the row direction") {
    InstanceHeader h;
    h.orientation = {1, 0, 0, 0, -1, 0};
    h.position_mm = {0, 0, 42};
    CHECK(cranial_mm(h) == doctest::Approx(42));
}

TEST_CASE("The real series are judged as a radiographer would") {
    const auto folder = test::data_folder() / "headct";
    if (!std::filesystem::exists(folder)) {
        MESSAGE("no shared data: skipped");
        return;
    }
    const auto judged = [&](const char* name) {
        std::deque<InstanceHeader> headers;
        SeriesHeaders series{1, name, false, {}};
        for (const auto& file : std::filesystem::directory_iterator(folder / name))
            if (auto header = storage::read_header(file.path())) {
                headers.push_back(std::move(*header));
                series.slices.push_back({static_cast<std::int64_t>(headers.size()), &headers.back()});
            }
        return judge_headers(series, 8);
    };
    const auto usable = [](const storage::Judgement& j) {
        return std::count_if(j.slices.begin(), j.slices.end(),
                             [](const auto& s) { return s.reason_code.empty(); });
    };
    const auto ge = judged("ge_hispeed_ncct"), philips = judged("philips_ingenuity_phantom/S2010");
    CHECK_MESSAGE(ge.eligible, ge.reason_code);
    CHECK(usable(ge) == 28);
    CHECK_MESSAGE(philips.eligible, philips.reason_code);
    CHECK(usable(philips) == 28);
    CHECK(judged("philips_ingenuity_phantom/S1000").reason_code == "LOCALIZER");
    CHECK(judged("philips_ingenuity_phantom/S4010").reason_code == "NOT_CT");
}
