#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>

#include "base/core/files.h"
#include "ml/metrics.h"

using namespace scopenode;
using namespace scopenode::ml;
using nlohmann::json;

namespace {

struct Case {
    std::vector<Probabilities> probabilities;
    std::vector<Truth> truth;
    double threshold = 0.5;
};

/// Scores that tell something of the truth, with ties where `steps` is small, and unknown labels.
Case random_case(unsigned seed, int slices, int steps, double unknown, double threshold) {
    std::mt19937 draw(seed);
    const auto unit = [&draw] { return static_cast<double>(draw()) / 4294967296.0; };
    Case out;
    out.threshold = threshold;
    for (int i = 0; i < slices; ++i) {
        Probabilities p{};
        Truth t{};
        for (std::size_t k = 0; k < kLabelCount; ++k) {
            const bool positive = unit() < 0.08 + 0.05 * double(k);
            const double raw = 0.7 * unit() + (positive ? 0.3 : 0);
            p[k] = steps > 0 ? std::round(raw * steps) / steps : raw;  // 0 and 1 among them: the clip
            if (unit() >= unknown) t[k] = positive;
        }
        out.probabilities.push_back(p);
        out.truth.push_back(t);
    }
    return out;
}

json as_json(const Case& one) {
    json truth = json::array();
    for (const Truth& row : one.truth) {
        json labels = json::array();
        for (const auto& label : row) labels.push_back(label ? json(*label ? 1 : 0) : json());
        truth.push_back(labels);
    }
    return {{"probabilities", one.probabilities}, {"truth", truth}, {"threshold", one.threshold}};
}

void check_equal(const char* name, double ours, const json& theirs) {
    CAPTURE(name);
    if (theirs.is_null()) {
        CHECK(std::isnan(ours));
        return;
    }
    CHECK(std::abs(ours - theirs.get<double>()) < 1e-9);
}

void check_share(const char* name, const Share& ours, const json& theirs) {
    CAPTURE(name);
    CHECK(ours.hits == theirs[0]);
    CHECK(ours.of == theirs[1]);
    check_equal(name, ours.low(), theirs[2]);
    check_equal(name, ours.high(), theirs[3]);
}

void check_case(const Case& one, const json& expected) {
    const auto figures = figures_of(
        one.probabilities, one.truth,
        {one.threshold, one.threshold, one.threshold, one.threshold, one.threshold, one.threshold});
    for (std::size_t k = 0; k < kLabelCount; ++k) {
        CAPTURE(kLabels[k]);
        const json& label = expected["labels"][k];
        const Column column = column_of(one.probabilities, one.truth, k);
        check_equal("auroc", auroc(column.scores, column.truth), label["auroc"]);
        check_equal("auprc", auprc(column.scores, column.truth), label["auprc"]);
        check_equal("log_loss", figures.log_loss[k], label["log_loss"]);
        check_equal("brier", figures.brier[k], label["brier"]);
        check_equal("ece", calibration_error(column.scores, column.truth), label["ece"]);
        check_share("sensitivity", figures.at_threshold[k].sensitivity(), label["sensitivity"]);
        check_share("specificity", figures.at_threshold[k].specificity(), label["specificity"]);
    }
    const json& all = expected["all"];
    const auto baselines = baselines_of(one.truth);
    check_equal("weighted_log_loss", figures.weighted_log_loss, all["weighted_log_loss"]);
    check_equal("mean_log_loss", figures.mean_log_loss, all["mean_log_loss"]);
    check_equal("paper_eq3", figures.paper_eq3, all["paper_eq3"]);
    check_equal("weighted_accuracy", figures.weighted_accuracy, all["weighted_accuracy"]);
    check_equal("mean_accuracy", figures.mean_accuracy, all["mean_accuracy"]);
    check_equal("all_negative", baselines.all_negative.weighted_accuracy,
                all["all_negative_weighted_accuracy"]);
    check_equal("prevalence_log_loss", baselines.constant_prevalence.weighted_log_loss,
                all["prevalence_log_loss"]);
    check_equal("prevalence_brier", baselines.constant_prevalence.mean_brier, all["prevalence_brier"]);
}

}  // namespace

TEST_CASE("every figure agrees with numpy on random data with ties and unknown labels") {
    const std::string python = "/usr/bin/python3";
    if (std::system((python + " -c 'import numpy' 2>/dev/null").c_str()) != 0) {
        MESSAGE("no numpy: skipped");
        return;
    }
    const std::vector<Case> cases{
        random_case(1, 400, 0, 0, 0.5),   random_case(2, 400, 20, 0.2, 0.5),
        random_case(3, 700, 5, 0.5, 0.4), random_case(4, 31, 10, 0.1, 0.35),
        random_case(5, 12, 4, 0.3, 0.5),  random_case(6, 1000, 100, 0.05, 0.25),
    };
    json written = json::array();
    for (const Case& one : cases) written.push_back(as_json(one));
    const TemporaryFolder folder;
    const auto in = folder.path() / "cases.json", out = folder.path() / "figures.json";
    REQUIRE(write_file(real_files(), in, written.dump()));
    const std::string command = python + " " SCOPENODE_SOURCE_DIR "/tests/unit/ml/metrics_reference.py " +
                                in.string() + " " + out.string();
    REQUIRE(std::system(command.c_str()) == 0);
    const auto text = read_file(out);
    REQUIRE(text);
    const json expected = json::parse(*text);
    REQUIRE(expected.size() == cases.size());
    for (std::size_t i = 0; i < cases.size(); ++i) {
        CAPTURE(i);
        check_case(cases[i], expected[i]);
    }
}
