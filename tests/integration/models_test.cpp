// Models out of a node and into another, to the bit; Python reads them.
#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "tests/support/node.h"
#include "tests/support/programs.h"

#include <doctest/doctest.h>

using namespace scopenode;
using nlohmann::json;
using test::program;
namespace fs = std::filesystem;

namespace {

bool holds(const test::ProgramResult& ran, const char* part) {
    INFO(ran.output);
    return ran.output.find(part) != std::string::npos;
}

std::string bytes_of(const fs::path& file) {
    const auto bytes = read_file(file);
    REQUIRE(bytes);
    return *bytes;
}

/// The built-in model under another name: another model.
std::string renamed_model(const fs::path& folder) {
    REQUIRE(program({"models", "export", "b1c5801c49f7", folder.string()}).rc == 0);
    json manifest = json::parse(bytes_of(folder / "model.json"));
    manifest["name"] = "Renamed";
    REQUIRE(write_file(real_files(), folder / "model.json", manifest.dump()));
    return folder.string();
}

std::string id_of(const std::string& node, const std::string& name) {
    for (const json& model : json::parse(program({"models", "list", "--json", "--node", node}).output))
        if (model["name"] == name) return model["id"];
    return "";
}

}  // namespace

TEST_CASE("A model goes out and in to the bit and does not serve by that") {
    const TemporaryFolder folder;
    const std::string node = (folder.path() / "node").string(), back = (folder.path() / "back").string();
    REQUIRE(program({"init", node}).rc == 0);
    const std::string model = renamed_model(folder.path() / "model");
    REQUIRE(program({"models", "import", model, "--node", node}).rc == 0);
    CHECK(program({"models", "import", model, "--node", node}).rc == 0);
    const std::string id = id_of(node, "Renamed");
    REQUIRE(id.size() == 12);
    const json all = json::parse(program({"models", "list", "--json", "--node", node}).output);
    CHECK(all.size() == 2);
    for (const json& each : all) CHECK(each["champion"] == (each["id"] == "b1c5801c49f7"));
    REQUIRE(program({"models", "export", id, back, "--node", node}).rc == 0);
    for (const char* file : {"model.json", "weights.safetensors", "metrics.json", "card.md"})
        CHECK(bytes_of(fs::path(back) / file) == bytes_of(fs::path(model) / file));
}

TEST_CASE("A model that would not serve is not taken and nothing is written over") {
    const TemporaryFolder folder;
    const std::string node = (folder.path() / "node").string();
    REQUIRE(program({"init", node}).rc == 0);
    const std::string model = renamed_model(folder.path() / "model");
    std::string weights = bytes_of(fs::path(model) / "weights.safetensors");
    weights[weights.size() / 2] = char(weights[weights.size() / 2] + 1);
    REQUIRE(write_file(real_files(), fs::path(model) / "weights.safetensors", weights));
    const auto damaged = program({"models", "import", model, "--node", node});
    CHECK(damaged.rc == 1);
    CHECK(holds(damaged, "sha256"));
    CHECK(id_of(node, "Renamed").empty());
    // Without a word about its data's licence, or with findings that are not ours.
    const std::string other = renamed_model(folder.path() / "other");
    const std::string text = bytes_of(fs::path(other) / "model.json");
    const auto import_with = [&](const std::string& from, const std::string& to) {
        std::string changed = text;
        const auto at = changed.find(from);
        REQUIRE(at != std::string::npos);
        REQUIRE(
            write_file(real_files(), fs::path(other) / "model.json", changed.replace(at, from.size(), to)));
        const auto refused = program({"models", "import", other, "--node", node});
        CHECK(refused.rc != 0);
        return refused;
    };
    CHECK(holds(import_with("synthetic, Apache-2.0", ""), "write it into data_licence and import again"));
    CHECK(holds(import_with("\"demonstration\":true", "\"demonstration\":false"), "never for patients"));
    CHECK(holds(import_with("\"subdural\"]", "\"tumour\"]"), "labels are not ours"));
    CHECK(id_of(node, "Renamed").empty());
    const auto missing = program({"models", "import", (folder.path() / "none").string(), "--node", node});
    CHECK(missing.rc == 1);
    CHECK(holds(missing, "cannot read"));
    const auto no_node = program({"models", "import", model, "--node", folder.path().string()});
    CHECK(no_node.rc == 1);
    const auto full = program({"models", "export", "b1c5801c49f7", model});
    CHECK(full.rc == 1);
    CHECK(holds(full, "not empty"));
    const auto unknown =
        program({"models", "export", "0123456789ab", (folder.path() / "x").string(), "--node", node});
    CHECK(unknown.rc == 1);
    CHECK(holds(unknown, "no model 0123456789ab"));
}

TEST_CASE("The example of the documentation reads a model in Python") {
    const TemporaryFolder folder;
    const std::string model = (folder.path() / "model").string();
    REQUIRE(program({"models", "export", "b1c5801c49f7", model}).rc == 0);
    const auto ran = test::run({"/usr/bin/python3", SCOPENODE_SOURCE_DIR "/docs/read_model.py", model});
    CHECK(ran.rc == 0);
    const json info =
        json::parse(program({"models", "info", "--preset", "scopeformer_nano", "--json"}).output);
    CHECK(holds(
        ran, ("scopeformer_nano 470 tensors " + info["parameters"]["stored"].dump() + " numbers").c_str()));
}

TEST_CASE("The table of presets in the documentation is what the program counts") {
    const auto ran = test::run(
        {"/usr/bin/python3", SCOPENODE_SOURCE_DIR "/docs/make_presets.py", SCOPENODE_PROGRAM, "--check"});
    INFO(ran.output);
    CHECK(ran.rc == 0);
}
