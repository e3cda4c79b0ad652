#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "base/core/files.h"
#include "ml/labels.h"
#include "tests/support/data.h"
#include "tests/support/node.h"

using namespace scopenode;
using namespace scopenode::test;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

ProgramResult explain(const fs::path& path, const fs::path& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"explain", path.string(), "--out", out.string(), "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return program(words);
}

json numbers_of(const fs::path& out) {
    return json::parse(read_file(out / "explain.json").value());
}

void check_one_line(const ProgramResult& ran, int rc, const std::string& words) {
    CHECK_MESSAGE(ran.rc == rc, ran.output);
    CHECK_MESSAGE(ran.output.find(words) != std::string::npos, ran.output);
    CHECK_MESSAGE(ran.output.find('\n') == ran.output.size() - 1, ran.output);
}

}  // namespace

TEST_CASE("explain draws an RSNA slice with the demonstration model") {
    const fs::path data = data_folder() / "rsna2019";
    if (!fs::exists(data)) {
        MESSAGE("skipped: no test data at " << data_folder().string());
        return;
    }
    std::vector<fs::path> slices;
    for (const fs::path& file : files_with_content(data))
        if (file.extension() == ".dcm") slices.push_back(file);
    REQUIRE(!slices.empty());
    const fs::path file = *std::min_element(slices.begin(), slices.end());
    const TemporaryFolder folder;
    const fs::path out = folder.path() / "out";
    const auto ran = explain(file, out);
    INFO(ran.output);
    REQUIRE(ran.rc == 0);
    for (const auto label : ml::kLabels) {
        CHECK(ran.output.find("  " + std::string(label) + " ") != std::string::npos);
        CHECK(fs::file_size(out / ("grad_cam_" + std::string(label) + ".png")) > 10000);
    }
    CHECK(ran.output.find("DEMONSTRATION") != std::string::npos);
    const json numbers = numbers_of(out);
    CHECK(numbers["slice"]["name"].get<std::string>().starts_with("ID_"));
    CHECK(numbers["model"]["demonstration"] == true);
    CHECK(numbers["backbones"].size() == 3);
    for (const auto& figure : numbers["figures"]) {
        const std::string name = figure["file"];
        CHECK(fs::exists(out / name));
        CHECK(ran.output.find((out / name).string()) != std::string::npos);
    }
    // Never beside the figures of something else.
    check_one_line(explain(file, out), 1, "is not empty");
}

TEST_CASE("explain takes the slice of a folder that infer gives the highest probability") {
    const TemporaryFolder folder;
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 10, 21).at(0);
    const fs::path in = folder.path() / "phantom";
    REQUIRE(
        program({"infer", in.string(), "--out", (folder.path() / "infer").string(), "--threads", "1"}).rc ==
        0);
    const json study = json::parse(read_file(folder.path() / "infer/results.json").value())["studies"][0];
    std::string uid;
    double highest = -1;
    for (const auto& slice : study["slices"]) {
        if (slice["probabilities"]["any"].get<double>() <= highest) continue;
        highest = slice["probabilities"]["any"];
        uid = slice["sop_instance_uid"];
    }
    const auto ran = explain(in, folder.path() / "a");
    INFO(ran.output);
    REQUIRE(ran.rc == 0);
    CHECK(ran.output.find("slice " + uid) != std::string::npos);
    const json numbers = numbers_of(folder.path() / "a");
    CHECK(numbers["slice"]["name"] == uid);
    CHECK(numbers["probabilities"]["any"].get<double>() == doctest::Approx(highest).epsilon(1e-4));
    const auto file = phantom.slices.at(3).filename().string();
    const std::string study_name = phantom.slices.at(3).parent_path().filename().string();
    const auto other =
        explain(in, folder.path() / "b",
                {"--slice", study_name + "/" + file, "--preset", "scopeformer_nano", "--seed", "3"});
    INFO(other.output);
    REQUIRE(other.rc == 0);
    CHECK(other.output.find("RANDOM WEIGHTS") != std::string::npos);
    CHECK(numbers_of(folder.path() / "b")["model"]["trained"] == false);
}

TEST_CASE("explain says in one line what it cannot do") {
    const TemporaryFolder folder;
    const fs::path text = folder.path() / "notes.txt", out = folder.path() / "out";
    std::ofstream(text) << "not DICOM at all\n";
    const fs::path slice = make_phantoms(folder.path() / "phantom", 1, 8, 22).at(0).slices.at(4);
    check_one_line(explain(text, out), 1, "cannot be read as DICOM");
    check_one_line(explain(folder.path() / "absent", out), 1, "does not exist");
    check_one_line(explain(slice, text / "out"), 1, "cannot make folder");
    check_one_line(explain(slice, folder.path()), 1, "is not empty");
    check_one_line(explain(slice, out, {"--preset", "none"}), 2, "none");
    check_one_line(explain(slice, out, {"--preset", "scopeformer_nano", "--model", "x"}), 2, "excludes");
    check_one_line(explain(slice, out, {"--seed", "2"}), 2, "--preset");
    check_one_line(explain(slice, out, {"--model", "/no/such/model"}), 1, "no model");
    check_one_line(explain(slice, out, {"--slice", "1.2.3"}), 1, "1.2.3");
    // A report has no pixels.
    REQUIRE(
        program({"infer", (folder.path() / "phantom").string(), "--out", (folder.path() / "infer").string()})
            .rc == 0);
    check_one_line(explain(folder.path() / "infer/1/report.dcm", out), 1, "has no pixels");
    if (!have_program("dcmodify")) return;
    const fs::path mr = folder.path() / "mr.dcm";
    fs::copy_file(slice, mr);
    REQUIRE(run({"dcmodify", "-nb", "-m", "Modality=MR", "-m", "SOPClassUID=1.2.840.10008.5.1.4.1.1.4",
                 mr.string()})
                .rc == 0);
    check_one_line(explain(mr, out), 1, "not a CT slice (modality MR)");
}
