#include "workflows/phantoms.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/core/files.h"
#include "storage/dicom/header.h"
#include "storage/dicom/pixels.h"
#include "tests/support/programs.h"
#include "workflows/training/folder_dataset.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::workflows;

namespace fs = std::filesystem;

namespace {

PhantomFolderOptions options_for(const fs::path& out, int studies) {
    PhantomFolderOptions options;
    options.out = out;
    options.studies = studies;
    options.phantom.slices = 6;
    options.phantom.size = 64;
    options.phantom.seed = 7;
    options.phantom.positive_rate = 0.7;
    return options;
}

std::map<std::string, std::string> contents(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file()) {
            const auto bytes = read_file(entry.path());
            REQUIRE(bytes);
            files[fs::relative(entry.path(), folder).string()] = *bytes;
        }
    return files;
}

std::vector<std::string> lines_of(const fs::path& file) {
    const auto text = read_file(file);
    REQUIRE(text);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text->size();) {
        const auto end = text->find('\n', at);
        lines.push_back(text->substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

}  // namespace

TEST_CASE("the same seed gives the same bytes whatever the number of threads") {
    const TemporaryFolder folder;
    auto one = options_for(folder.path() / "one", 4), two = options_for(folder.path() / "two", 4);
    one.threads = 1;
    two.threads = 3;
    int done = 0;
    REQUIRE(write_phantoms(one, [&](int n) { done = n; }));
    REQUIRE(write_phantoms(two, nullptr));
    CHECK(done == 4);
    const auto first = contents(one.out);
    CHECK(first.size() == 4 * 6 + 2);
    CHECK(first.contains("0001/0001.dcm"));
    CHECK(first == contents(two.out));

    auto other = options_for(folder.path() / "other", 4);
    other.phantom.seed = 8;
    REQUIRE(write_phantoms(other, nullptr));
    CHECK(first != contents(other.out));
    CHECK(write_phantoms(one, nullptr).error().code == Code::kConflict);
}

TEST_CASE("labels - studies and files tell the same story") {
    const TemporaryFolder folder;
    const auto options = options_for(folder.path() / "set", 6);
    REQUIRE(write_phantoms(options, nullptr));
    const auto labels = read_kaggle_labels(options.out / "labels.csv");
    REQUIRE(labels);
    CHECK(labels->size() == 36);
    const auto lines = lines_of(options.out / "labels.csv");
    CHECK(lines.size() == 36 * 6 + 1);
    CHECK(lines[0] == "ID,Label");

    std::map<std::string, std::string> findings;  // of a study, from its slices
    std::set<std::string> patients;
    for (const auto& entry : fs::recursive_directory_iterator(options.out)) {
        if (entry.path().extension() != ".dcm") continue;
        const auto header = storage::read_header(entry.path());
        REQUIRE(header);
        REQUIRE(labels->contains(header->sop_instance_uid));
        const auto& slice = labels->at(header->sop_instance_uid);
        auto& study = findings.try_emplace(header->study_uid, ",0,0,0,0,0,0").first->second;
        for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
            REQUIRE(slice[k].has_value());
            if (*slice[k]) study[2 * k + 1] = '1';
        }
        CHECK(*slice[0] == std::any_of(slice.begin() + 1, slice.end(), [](const auto& l) { return *l; }));
        patients.insert(header->patient_id);
    }
    CHECK(patients.size() == 6);
    const auto rows = lines_of(options.out / "studies.csv");
    REQUIRE(rows.size() == 7);
    CHECK(rows[0] ==
          "study_uid,any,epidural,intraparenchymal,intraventricular,subarachnoid,subdural,volume_ml,contrast_"
          "hu");
    for (std::size_t i = 1; i < rows.size(); ++i) {
        const std::string uid = rows[i].substr(0, rows[i].find(','));
        REQUIRE(findings.contains(uid));
        CHECK(rows[i].rfind(uid + findings[uid] + ",", 0) == 0);
    }
}

TEST_CASE("every scanner's files read back to the attenuation that was drawn") {
    for (const auto& scanner : ml::phantom_scanners()) {
        CAPTURE(scanner.name);
        const TemporaryFolder folder;
        auto options = options_for(folder.path() / "set", 1);
        options.phantom.scanner = scanner.name;
        REQUIRE(write_phantoms(options, nullptr));
        const auto drawn = ml::make_phantom(options.phantom, 0);
        REQUIRE(drawn);
        std::optional<double> before;
        for (std::size_t k = 0; k < drawn->slices.size(); ++k) {
            const fs::path file = options.out / "0001" / fmt::format("{:04}.dcm", k + 1);
            const auto read = storage::read_hu(file);
            const auto header = storage::read_header(file);
            REQUIRE(read);
            REQUIRE(header);
            std::size_t different = 0;
            for (std::size_t i = 0; i < read->hu.size(); ++i)
                if (read->hu[i] != std::max(drawn->slices[k].hu[i], -1024.0F)) ++different;
            CHECK(different == 0);
            const auto z = storage::normal_position_mm(*header);
            REQUIRE(z);
            if (before) CHECK(*z - *before == doctest::Approx(drawn->scanner.slice_mm).epsilon(1e-4));
            before = z;
        }
        REQUIRE(test::have_program("dciodvfy"));
        const auto checked = test::run({"dciodvfy", (options.out / "0001" / "0003.dcm").string()});
        CHECK(checked.output.find("Error") == std::string::npos);
        CHECK(checked.output.find("CTImage") != std::string::npos);
    }
}

TEST_CASE("impossible wishes for phantoms are refused") {
    const TemporaryFolder folder;
    auto options = options_for(folder.path() / "set", 0);
    CHECK(write_phantoms(options, nullptr).error().code == Code::kInvalidArgument);
    options.studies = 1;
    options.phantom.scanner = "toshiba";
    CHECK(write_phantoms(options, nullptr).error().message.find("--list-scanners") != std::string::npos);
    options.phantom.scanner.clear();
    options.phantom.positive_rate = 1.5;
    CHECK(write_phantoms(options, nullptr).error().code == Code::kInvalidArgument);
    CHECK(!fs::exists(options.out));
}
