#include <doctest/doctest.h>

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

json results_of(const fs::path& out) {
    const auto text = read_file(out / "results.json");
    REQUIRE(text);
    return json::parse(*text);
}

bool one_line(const std::string& text) {
    return !text.empty() && text.find('\n') == text.size() - 1;
}

}  // namespace

TEST_CASE("infer scores a study without a network and twice the same") {
    const TemporaryFolder folder;
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 10, 21).at(0);
    for (const char* out : {"a", "b"}) {
        const auto ran = program({"infer", (folder.path() / "phantom").string(), "--out",
                                  (folder.path() / out).string(), "--device", "cpu"});
        INFO(ran.output);
        REQUIRE(ran.rc == 0);
    }
    const json a = results_of(folder.path() / "a");
    REQUIRE(a["studies"].size() == 1);
    const json study = a["studies"][0];
    CHECK(study["study_uid"] == phantom.study_uid);
    CHECK(study["state"] == "done");
    CHECK(study["slices"].size() == 10);
    for (const auto label : ml::kLabels) {
        const double p = study["probabilities"][std::string(label)];
        CHECK(p >= 0);
        CHECK(p <= 1);
    }
    CHECK(fs::exists(folder.path() / "a" / study["files"]["sr"].get<std::string>()));
    REQUIRE(study["files"]["overlays"].size() >= 1);
    for (const auto& overlay : study["files"]["overlays"]) {
        const fs::path file = folder.path() / "a" / overlay.get<std::string>();
        CHECK(run({"dcmj2pnm", "+on", file.string(), file.string() + ".png"}).rc == 0);
    }
    CHECK(study["files"]["key_objects"].is_string() == (study["findings"]["any"] == "present"));
    if (study["files"]["key_objects"].is_string())
        CHECK(fs::exists(folder.path() / "a" / study["files"]["key_objects"].get<std::string>()));
    CHECK(results_of(folder.path() / "b")["studies"][0]["probabilities"] == study["probabilities"]);
}

TEST_CASE("infer scores slices of a series that is not eligible and determines nothing") {
    if (!fs::exists(data_folder() / "rsna2019")) {
        MESSAGE("skipped: no test data at " << data_folder().string());
        return;
    }
    const TemporaryFolder folder;
    const auto ran =
        program({"infer", (data_folder() / "rsna2019").string(), "--out", (folder.path() / "out").string()});
    INFO(ran.output);
    REQUIRE(ran.rc == 0);
    const json studies = results_of(folder.path() / "out")["studies"];
    REQUIRE(!studies.empty());
    std::size_t slices = 0;
    for (const auto& study : studies) {
        CHECK(study["probabilities"].is_null());
        CHECK(study["findings"]["any"] == "undetermined");
        CHECK(!study["reasons"].empty());
        slices += study["slices"].size();
    }
    CHECK(slices == 16);
}

TEST_CASE("what is not DICOM gets one line from infer") {
    const TemporaryFolder folder;
    const fs::path text = folder.path() / "notes.txt";
    std::ofstream(text) << "not DICOM at all\n";
    const auto wrong = program({"infer", text.string(), "--out", (folder.path() / "out").string()});
    CHECK(wrong.rc == 1);
    const auto missing = program({"infer", "/no/such/file", "--out", (folder.path() / "out").string()});
    CHECK(missing.rc == 1);
    CHECK_MESSAGE(one_line(missing.output), missing.output);
    const auto nothing = program({"send", "A@127.0.0.1:1", folder.path().string()});
    CHECK(nothing.rc == 1);
    CHECK(nothing.output.find("no DICOM object was found") != std::string::npos);
    const auto model = program({"infer", text.string(), "--out", "x", "--model", "/no/such/model"});
    CHECK(model.rc == 1);
    CHECK_MESSAGE(model.output.find("no model '/no/such/model'") != std::string::npos, model.output);
    CHECK_MESSAGE(one_line(model.output), model.output);
    const auto slice = make_phantoms(folder.path() / "phantom", 1, 1, 22).at(0).slices.at(0);
    const auto out = program({"infer", slice.string(), "--out", (text / "out").string()});
    CHECK(out.rc == 1);
    CHECK_MESSAGE(out.output.find("cannot make folder") != std::string::npos, out.output);
    const auto device = program({"infer", text.string(), "--out", "x", "--device", "tpu"});
    CHECK(device.rc == 2);
    CHECK_MESSAGE(one_line(device.output), device.output);
}

TEST_CASE("every command has help and wrong usage is 2 with one line") {
    // Every start loads LibTorch: one of each kind.
    const std::vector<std::vector<std::string>> commands = {{},
                                                            {"init"},
                                                            {"serve"},
                                                            {"config", "check"},
                                                            {"send"},
                                                            {"infer"},
                                                            {"explain"},
                                                            {"studies", "complete"},
                                                            {"jobs", "list"},
                                                            {"outbox", "retry"},
                                                            {"phantom"},
                                                            {"train", "run"},
                                                            {"models", "info"},
                                                            {"bench"},
                                                            {"report", "read"},
                                                            {"archive", "verify"}};
    for (auto words : commands) {
        words.push_back("--help");
        const auto help = program(words);
        std::string all;
        for (const auto& word : words) all += word + " ";
        INFO(all);
        CHECK(help.rc == 0);
        CHECK(help.output.find("Usage") != std::string::npos);
    }
    for (const auto& words :
         std::vector<std::vector<std::string>>{{},
                                               {"nonsense"},
                                               {"init"},
                                               {"studies"},
                                               {"studies", "show"},
                                               {"jobs", "retry", "x"},
                                               {"init", "x", "--dimse-port", "many"},
                                               {"infer", "x"},
                                               {"studies", "list", "--nonsense"},
                                               {"init", "x", "--dimse-port", "70000"},
                                               {"init", "x", "--ae-title", "FAR_TOO_LONG_A_TITLE"},
                                               {"init", "x", "--destination", "PACS@nowhere"},
                                               {"models", "info"},
                                               {"models", "info", "--preset", "none"}}) {
        const auto wrong = program(words);
        CHECK_MESSAGE(wrong.rc == 2, wrong.output);
        CHECK_MESSAGE(one_line(wrong.output), wrong.output);
    }
    CHECK(program({"nonsense"}).output.find("there is no command 'nonsense'") != std::string::npos);
    CHECK(program({"--version"}).output.starts_with("scopenode 0."));
}

TEST_CASE("the presets amount to what the paper says") {
    const auto paper = program({"models", "info", "--preset", "efficient_scopeformer", "--json"});
    REQUIRE(paper.rc == 0);
    const json big = json::parse(paper.output);
    for (const char* key : {"paper", "trainable", "stored"}) CHECK(big["parameters"][key].get<long>() > 0);
    CHECK(big["gmac_per_slice"].get<double>() > 1);
    CHECK(big["input_shape"] == json({1, 3, 256, 256}));
    const json nano =
        json::parse(program({"models", "info", "--preset", "scopeformer_nano", "--json"}).output);
    CHECK(nano["parameters"]["trainable"].get<long>() <= 2000000);
    CHECK(nano["gmac_per_slice"].get<double>() <= 0.3);
}

TEST_CASE("infer in bfloat16 stays near 32-bit floats and other precisions are refused") {
    const TemporaryFolder folder;
    make_phantoms(folder.path() / "phantom", 1, 10, 21);
    const auto infer = [&](const char* precision) {
        return program({"infer", (folder.path() / "phantom").string(), "--out",
                        (folder.path() / precision).string(), "--precision", precision, "--device", "cpu"});
    };
    REQUIRE(infer("fp32").rc == 0);
    REQUIRE(infer("bf16").rc == 0);
    const json exact = results_of(folder.path() / "fp32")["studies"][0]["probabilities"],
               near = results_of(folder.path() / "bf16")["studies"][0]["probabilities"];
    CHECK(exact != near);
    for (const auto& [label, p] : exact.items())
        CHECK(near[label].get<double>() == doctest::Approx(p.get<double>()).epsilon(0.02));
    const auto refused = infer("int8");
    CHECK(refused.rc == 2);
    CHECK(one_line(refused.output));
}
