#include "workflows/eligibility.h"

#include <doctest/doctest.h>

#include <deque>

#include "tests/support/data.h"
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
