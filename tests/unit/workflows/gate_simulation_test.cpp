#include "tests/unit/workflows/gate_simulation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

using namespace scopenode;
using namespace scopenode::workflows;
using test::find_check;
using test::SimulatedSet;
using test::Simulator;

namespace {

const bool kLong = std::getenv("SCOPENODE_LONG") != nullptr;

/// What came of many draws of one situation.
struct Outcome {
    int draws = 0, superior = 0, not_inferior = 0, promoted = 0;
    int naive =
        0;  ///< not inferior on golden by the bootstrap's error and the normal quantile alone; long runs only
};

/// What a plain bootstrap would have said of golden.
bool naively_not_inferior(const std::vector<JudgedStudy>& golden, const GateRules& rules) {
    ml::PairedScores s;
    std::map<std::string, std::uint32_t> patients;
    for (const auto& study : golden) {
        s.first.push_back(study.champion[0]);
        s.second.push_back(study.candidate[0]);
        s.truth.push_back(*study.truth[0] ? 1 : 0);
        s.patient.push_back(
            patients.try_emplace(study.patient, static_cast<std::uint32_t>(patients.size())).first->second);
    }
    const auto d = ml::auc_difference(s, rules.resamples, rules.seed);
    return d.difference - ml::student_quantile(1 - rules.level, 1e9) * d.bootstrap_error > -rules.any_margin;
}

Outcome simulate(const SimulatedSet& newest, const SimulatedSet& golden, int draws, unsigned seed) {
    GateRules rules;
    rules.resamples = kLong ? 500 : 200;
    Simulator simulator(seed);
    Outcome out;
    for (; out.draws < draws; ++out.draws) {
        rules.seed = static_cast<std::uint64_t>(out.draws) + 1;
        const auto input = test::simulated_input(simulator, newest, golden);
        const auto verdict = judge_candidate(input, rules);
        if (kLong) out.naive += naively_not_inferior(input.golden, rules);
        out.superior += find_check(verdict, "superiority", "newest", "any")->passed;
        out.not_inferior += find_check(verdict, "non-inferiority", "golden", "any")->passed;
        out.promoted += verdict.passed;
    }
    return out;
}

/// The smallest count that comes with a chance under 1e-4 when each draw has chance `level`.
int too_many(int draws, double level) {
    double term = std::pow(1 - level, draws), below = 0;
    for (int k = 0; k <= draws; ++k) {
        if (1 - below < 1e-4) return k;
        below += term;
        term *= (draws - k) * level / ((k + 1) * (1 - level));
    }
    return draws + 1;
}

void print(const char* what, const SimulatedSet& newest, const SimulatedSet& golden, const Outcome& o) {
    const auto share = [&](int count) { return static_cast<double>(count) / o.draws; };
    std::string line = fmt::format(
        "{}: {} patients, champion {:.3f}, newest {:+.3f}, golden {:+.3f}, correlation {}, several studies "
        "{}: superior "
        "{:.3f}, not inferior {:.3f}, promoted {:.3f}",
        what, newest.patients, newest.champion, newest.candidate - newest.champion,
        golden.candidate - golden.champion, newest.correlation, newest.several, share(o.superior),
        share(o.not_inferior), share(o.promoted));
    if (kLong) line += fmt::format(" (not inferior by a plain bootstrap {:.3f})", share(o.naive));
    MESSAGE(line);
}

struct Situation {
    int patients;
    double area, correlation, several;
};

std::vector<Situation> situations() {
    // The hardest ones: nearly perfect models on a small set, where the spread of the sets alone would let a
    // third of the candidates through; several studies of a patient.
    std::vector<Situation> out{{24, 0.99, 0.95, 0}, {60, 0.85, 0.7, 0.5}};
    if (!kLong) return out;
    out.clear();
    for (const int patients : {30, 60, 120, 300})
        for (const double area : {0.85, 0.97, 0.99})
            for (const double several : {0.0, 0.5})
                out.push_back({patients, area, several > 0 ? 0.7 : 0.9, several});
    return out;
}

SimulatedSet set_of(const Situation& s, double gain) {
    SimulatedSet out;
    out.patients = s.patients;
    out.champion = s.area;
    out.candidate = s.area + gain;
    out.correlation = s.correlation;
    out.several = s.several;
    return out;
}

}  // namespace

TEST_CASE("equal models are promoted no more often than the level allows") {
    const int draws = kLong ? 1000 : 200, limit = too_many(draws, GateRules{}.level);
    CHECK(limit < draws / 5);
    for (const Situation& s : situations()) {
        const auto newest = set_of(s, 0), golden = set_of(s, 0);
        const Outcome o = simulate(newest, golden, draws, 11);
        print("equal", newest, golden, o);
        CHECK(o.superior < limit);
        CHECK(o.promoted <= o.superior);
    }
}

TEST_CASE("a candidate worse on golden by the margin is promoted no more often than the level allows") {
    const int draws = kLong ? 1000 : 200, limit = too_many(draws, GateRules{}.level);
    for (const Situation& s : situations()) {
        const auto newest = set_of(s, (1 - s.area) / 2), golden = set_of(s, -GateRules{}.any_margin);
        const Outcome o = simulate(newest, golden, draws, 12);
        print("worse on golden", newest, golden, o);
        CHECK(o.not_inferior < limit);
        CHECK(o.promoted <= o.not_inferior);
    }
}

TEST_CASE(
    "a truly better candidate is promoted more often the better it is and the more patients there are") {
    const int draws = kLong ? 1000 : 100;
    std::vector<double> found;
    for (const bool findings : {false, true}) {
        if (findings && !kLong) break;
        for (const int patients : kLong ? std::vector<int>{60, 120, 300} : std::vector<int>{60, 300})
            for (const double gain :
                 kLong ? std::vector<double>{0.03, 0.05, 0.10} : std::vector<double>{0.03, 0.10}) {
                auto newest = set_of({patients, 0.85, 0.7, 0}, gain),
                     golden = set_of({patients, 0.85, 0.7, 0}, 0.02);
                newest.findings = golden.findings = findings;
                const Outcome o = simulate(newest, golden, findings ? 200 : draws, 13);
                print(findings ? "better - all findings known" : "better - any known", newest, golden, o);
                if (!findings) found.push_back(static_cast<double>(o.superior) / o.draws);
            }
    }
    CHECK(found.front() < 0.3);
    CHECK(found.back() > 0.9);
    CHECK(found.front() < found[found.size() / 2]);
    CHECK(found[found.size() / 2 - 1] < found.back());
}
