#include "tests/support/data.h"
#include "tests/unit/workflows/loop_fixture.h"
#include "workflows/results/report.h"

using namespace scopenode;
using test::SmallStudy;
namespace fs = std::filesystem;

namespace {

struct Offline {
    TemporaryFolder folder;
    test::HandClock clock;
    test::FakeModel model;
    bool rsna_rescale_quirk = false;

    Status run(const std::vector<fs::path>& inputs) {
        workflows::OfflineOptions options;
        options.inputs = inputs;
        options.out = folder.path() / "out";
        options.model = std::shared_ptr<const ml::Model>(&model, [](const ml::Model*) {});
        options.program_version = "0.0";
        options.rsna_rescale_quirk = rsna_rescale_quirk;
        options.pixel_gate = false;  // the slices of these tests are no heads
        return workflows::infer_offline(options, clock);
    }
    nlohmann::json results() {
        return nlohmann::json::parse(read_file(folder.path() / "out" / "results.json").value())["studies"];
    }
};

}  // namespace

TEST_CASE("Offline a folder gives one entry and one report a study and says what it left out") {
    Offline offline;
    const fs::path in = offline.folder.path() / "in";
    SmallStudy a, b;
    b.study_uid = "2.25.5001";
    b.series_uid = "2.25.5002";
    for (int i = 0; i < 12; ++i) test::write_bytes(in / "a" / (std::to_string(100 + i)), a.slice(i).value());
    for (int i = 0; i < 3; ++i) test::write_bytes(in / "b" / (std::to_string(100 + i)), b.slice(i).value());
    test::write_bytes(in / "notes.txt", "no DICOM at all, only words");
    REQUIRE(offline.run({in}));
    const auto studies = offline.results();
    REQUIRE(studies.size() == 2);
    CHECK(studies[0]["state"] == "done");
    CHECK(studies[0]["findings"]["any"] == "present");
    CHECK(studies[0]["slices"].size() == 12);
    CHECK(studies[0]["slices"][0]["z_mm"] < studies[0]["slices"][11]["z_mm"]);
    const auto report =
        workflows::read_report(offline.folder.path() / "out" / studies[0]["files"]["sr"].get<std::string>());
    REQUIRE(report);
    CHECK(report->study_uid == a.study_uid);

    CHECK(studies[1]["state"] == "not_eligible");
    CHECK(studies[1]["probabilities"].is_null());
    CHECK(studies[1]["slices"].size() == 3);
    for (const auto label : ml::kLabels) CHECK(studies[1]["findings"][std::string(label)] == "undetermined");
    CHECK(studies[1]["reasons"][0]["code"] == "TOO_FEW_SLICES");
    CHECK(studies[1]["files"]["sr"].is_string());
}

TEST_CASE("Offline nothing readable is an error and mixed patients are not reported") {
    Offline offline;
    const fs::path in = offline.folder.path() / "in";
    test::write_bytes(in / "notes.txt", "no DICOM at all, only words");
    CHECK(offline.run({in}).error().code == Code::kCannotUnderstand);
    CHECK(offline.run({in / "absent"}).error().code == Code::kNotFound);
    SmallStudy study;
    for (int i = 0; i < 10; ++i) {
        if (i == 5) study.patient_name = "OTHER";
        test::write_bytes(in / std::to_string(100 + i), study.slice(i).value());
    }
    REQUIRE(offline.run({in}));
    const auto studies = offline.results();
    REQUIRE(studies.size() == 1);
    CHECK(studies[0]["state"] == "failed");
    CHECK(studies[0]["files"]["sr"].is_null());
    CHECK(studies[0]["findings"]["any"] == "undetermined");
}

TEST_CASE("Offline slices with poor UIDs are scored and reported as undetermined") {
    const fs::path data = test::data_folder() / "rsna2019";
    if (!fs::exists(data)) {
        MESSAGE("no shared data: skipped");
        return;
    }
    Offline offline;
    REQUIRE(offline.run({data}));
    const auto studies = offline.results();
    CHECK(studies.size() == 16);
    for (const auto& study : studies) {
        CHECK(study["slices"].size() == 1);
        CHECK(study["slices"][0]["sop_instance_uid"].get<std::string>().starts_with("ID_"));
        CHECK(study["probabilities"].is_null());
        CHECK(study["findings"]["any"] == "undetermined");
        CHECK(study["files"]["sr"].is_null());
    }
}

TEST_CASE("Offline the rescale quirk of RSNA is said whether it is undone or not") {
    Offline offline;
    const fs::path in = offline.folder.path() / "in";
    SmallStudy study;
    for (int i = 0; i < 10; ++i) {
        study.quirk_raw = 3096;  // air at -1000, which looks like metal
        test::write_bytes(in / std::to_string(100 + i), study.slice(i).value());
    }
    REQUIRE(offline.run({in}));
    auto result = offline.results()[0];
    CHECK(result["state"] == "done");
    CHECK(result["findings"]["any"] == "present");
    REQUIRE(result["reasons"].size() == 1);
    CHECK(result["reasons"][0]["code"] == "RESCALE_DOUBTFUL");
    CHECK(result["reasons"][0]["text"].get<std::string>().find("10 of 10 slices") != std::string::npos);

    offline.rsna_rescale_quirk = true;
    REQUIRE(offline.run({in}));
    result = offline.results()[0];
    CHECK(result["findings"]["any"] == "absent");
    REQUIRE(result["reasons"].size() == 1);
    CHECK(result["reasons"][0]["code"] == "RSNA_RESCALE_QUIRK");
    CHECK(result["reasons"][0]["text"].get<std::string>().find("10 of 10 slices") != std::string::npos);

    study.quirk_raw.reset();
    const fs::path plain = offline.folder.path() / "plain";
    for (int i = 0; i < 10; ++i) test::write_bytes(plain / std::to_string(100 + i), study.slice(i).value());
    REQUIRE(offline.run({plain}));
    CHECK(offline.results()[0]["reasons"].empty());

    // What is left out of the series is said too.
    study.slice_mm = 2.5;
    test::write_bytes(plain / "130", study.slice(16).value());
    REQUIRE(offline.run({plain}));
    CHECK(offline.results()[0]["reasons"][0]["code"] == "DUPLICATE_POSITION");
}
