// Every system of the paper runs forward on a real slice and learns, without its frozen part moving.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/support/data.h"
#include "tests/support/programs.h"

#include <doctest/doctest.h>

using namespace scopenode;
using nlohmann::json;

namespace {

const bool kLong = std::getenv("SCOPENODE_LONG") != nullptr;

/// Fewer pixels than the paper's 256 and one thread: the same network, trained in a sixteenth of the time.
std::vector<std::string> bench_train(const std::string& preset, int pixels, const char* rate,
                                     const std::string& first, const std::string& second) {
    return {SCOPENODE_PROGRAM,
            "bench",
            "train",
            "--preset",
            preset,
            "--input-size",
            std::to_string(pixels),
            "--threads",
            "1",
            "--learning-rate",
            rate,
            "--steps",
            "20",
            "--slices",
            first,
            second};
}

void learns(const std::string& preset, int pixels, const char* rate, bool all_learns = false) {
    const auto folder = test::data_folder() / "rsna2019";
    if (!std::filesystem::exists(folder)) {
        MESSAGE("skipped: no test data in " << folder.string());
        return;
    }
    test::RunOptions options;
    options.limit = std::chrono::seconds(1700);
    const auto ran =
        test::run(bench_train(preset, pixels, rate, (folder / "ID_1b5ac170c_intraparenchymal.dcm").string(),
                              (folder / "ID_00005679d.dcm").string()),
                  options);
    INFO(ran.output);
    REQUIRE(ran.rc == 0);
    const json figures = json::parse(ran.output);
    CHECK(figures["frozen_numbers_moved"] == 0);
    CHECK(figures["learning_tensors_moved"].get<double>() > 0.99);
    CHECK(figures["slices_per_second"].get<double>() > 0);
    CHECK((figures["parameters"]["frozen"].get<long>() == 0) == all_learns);
    const auto losses = figures["losses"].get<std::vector<double>>();
    REQUIRE(losses.size() == 20);
    CHECK(figures["loss_after"].get<double>() < 0.8 * losses.front());
}

}  // namespace

// 16 heads need 16 positions. Tokens of 64 numbers learn slower than those of 512: a higher rate.
TEST_CASE("systems of channel tokens learn and their frozen parts stay") {
    for (const char* preset : {"deep_scopeformer_tr_l8", "efficient_scopeformer"}) {
        CAPTURE(preset);
        learns(preset, 128, "3e-3");
    }
}

TEST_CASE("systems of patch tokens learn and their frozen parts stay") {
    for (const char* preset : {"scopeformer_s", "scopeformer_b", "scopeformer_m", "scopeformer_l4",
                               "scopeformer_l8", "deep_scopeformer_l8"}) {
        CAPTURE(preset);
        learns(preset, 64, "1e-4");
    }
}

// 5, 15 and 17 GB of memory: what a small machine does not have.
TEST_CASE("the three largest systems learn and their frozen parts stay" * doctest::skip(!kLong)) {
    learns("scopeformer_l16", 64, "1e-4");
    learns("scopeformer_2021", 64, "1e-4", true);
    learns("scaled_scopeformer_2021", 64, "1e-4");
}
