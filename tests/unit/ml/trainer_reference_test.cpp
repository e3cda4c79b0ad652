#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "ml/torch/trainer_batch.h"
#include "ml/torch/trainer_fit.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::ml;
using nlohmann::json;

namespace {

/// Seven slices by formulas that anybody can write down again.
struct LossCase {
    torch::Tensor logits = torch::empty({7, 6}), before = torch::empty({7, 6});
    std::vector<SliceRecord> records{7};
    std::vector<std::size_t> indices;
};

LossCase loss_case(bool all_known, bool weighted) {
    LossCase out;
    for (std::size_t n = 0; n < 7; ++n) {
        out.indices.push_back(n);
        if (weighted) out.records[n].weight = 1 / double(1 + (n * 3) % 7);
        for (std::size_t k = 0; k < kLabelCount; ++k) {
            const auto i = std::int64_t(n), j = std::int64_t(k);
            out.logits[i][j] = 3 * std::sin(1.7 * double(n) + 0.9 * double(k) + 0.3);
            out.before[i][j] = 3 * std::cos(1.1 * double(n) - 0.7 * double(k));
            if (all_known || ((n + 2 * k) % 5 != 0 && n != 3)) out.records[n].labels[k] = (n * k) % 3 == 1;
        }
    }
    return out;
}

json rows_of(const torch::Tensor& tensor) {
    json rows = json::array();
    for (std::int64_t n = 0; n < tensor.size(0); ++n) {
        json row = json::array();
        for (std::int64_t k = 0; k < tensor.size(1); ++k) row.push_back(double(tensor[n][k].item<float>()));
        rows.push_back(row);
    }
    return rows;
}

json as_json(const LossCase& one) {
    json truth = json::array(), weights = json::array();
    for (const SliceRecord& record : one.records) {
        json labels = json::array();
        for (const auto& label : record.labels) labels.push_back(label ? json(*label ? 1 : 0) : json());
        truth.push_back(labels);
        weights.push_back(record.weight);
    }
    return {{"logits", rows_of(one.logits)},
            {"before", rows_of(one.before)},
            {"truth", truth},
            {"weights", weights}};
}

/// Forty studies whose scores tell something of the truth but are far too low.
std::vector<ScoredStudy> studies() {
    std::vector<ScoredStudy> out(40);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const bool positive = (i * 7) % 3 == 0;
        out[i].truth.fill(positive);
        const double line = 1.4 * std::sin(2.3 * double(i)) + (positive ? -0.8 : -2.4);
        out[i].scores.fill(float(1 / (1 + std::exp(-line))));
    }
    return out;
}

void check_losses(const LossCase& one, const json& expected) {
    const auto targets = targets_of(one.records, one.indices);
    const auto near = [](double value) { return doctest::Approx(value).epsilon(1e-5); };
    CHECK(training_loss(Loss::kRsna, one.logits, targets).item<double>() ==
          near(expected["rsna"].get<double>()));
    CHECK(training_loss(Loss::kPaperEq3, one.logits, targets).item<double>() ==
          near(expected["paper_eq3"].get<double>()));
    CHECK(divergence(one.logits, one.before).item<double>() == near(expected["divergence"].get<double>()));
}

void check_all(const std::vector<LossCase>& cases, const json& expected) {
    REQUIRE(expected["losses"].size() == cases.size());
    for (std::size_t i = 0; i < cases.size(); ++i) {
        CAPTURE(i);
        check_losses(cases[i], expected["losses"][i]);
    }
    const auto fitted = fit_platt(studies(), "a test");
    CHECK(fitted.scale[0] == doctest::Approx(expected["platt"][0].get<double>()).epsilon(1e-6));
    CHECK(fitted.offset[0] == doctest::Approx(expected["platt"][1].get<double>()).epsilon(1e-6));
}

/// What trainer_reference.py said of these cases.
constexpr const char* kCommitted = R"({"losses": [
    {"rsna": 1.17539934, "paper_eq3": 7.00223085, "divergence": 0.734910014},
    {"rsna": 0.447960504, "paper_eq3": 2.6585246, "divergence": 0.734910014},
    {"rsna": 0.445006469, "paper_eq3": 3.04569231, "divergence": 0.734910014}],
    "platt": [1.36930659, 1.5078224]})";

}  // namespace

TEST_CASE("losses with weights and distillation and Platt's line are those of numpy") {
    const std::vector<LossCase> cases{loss_case(true, false), loss_case(true, true), loss_case(false, true)};
    check_all(cases, json::parse(kCommitted));

    const std::string python = "/usr/bin/python3";
    if (std::system((python + " -c 'import numpy' 2>/dev/null").c_str()) != 0) {
        MESSAGE("no numpy: only the committed numbers were compared");
        return;
    }
    json written{{"losses", json::array()}};
    for (const LossCase& one : cases) written["losses"].push_back(as_json(one));
    for (const ScoredStudy& study : studies()) {
        written["studies"]["scores"].push_back(double(study.scores[0]));
        written["studies"]["truth"].push_back(*study.truth[0] ? 1 : 0);
    }
    const TemporaryFolder folder;
    const auto in = folder.path() / "cases.json", out = folder.path() / "figures.json";
    REQUIRE(write_file(real_files(), in, written.dump()));
    const std::string command = python + " " SCOPENODE_SOURCE_DIR "/tests/unit/ml/trainer_reference.py " +
                                in.string() + " " + out.string();
    REQUIRE(std::system(command.c_str()) == 0);
    const auto text = read_file(out);
    REQUIRE(text);
    check_all(cases, json::parse(*text));
}

TEST_CASE("divergence is nothing from oneself and moves logits towards what was said before") {
    const LossCase one = loss_case(true, false);
    CHECK(divergence(one.before, one.before).item<double>() == doctest::Approx(0).epsilon(1e-7));
    auto logits = one.logits.clone().set_requires_grad(true);
    divergence(logits, one.before).backward();
    // Downhill is where `before` is.
    CHECK(((logits.grad() * (one.logits - one.before)) >= 0).all().item<bool>());
    const auto large = torch::full({2, 6}, 80.0F);
    CHECK(std::isfinite(divergence(-large, large).item<double>()));
}
