#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/unit/workflows/gate_simulation.h"

using namespace scopenode;
using namespace scopenode::workflows;
using nlohmann::json;
using test::find_check;
using test::SimulatedSet;
using test::Simulator;

namespace {

/// A candidate that is plainly better on both sets, on enough patients.
GateInput better(unsigned seed, int patients = 400, double gain = 0.1) {
    SimulatedSet set;
    set.patients = patients;
    set.champion = 0.82;
    set.candidate = 0.82 + gain;
    set.findings = true;
    Simulator simulator(seed);
    auto input = test::simulated_input(simulator, set, set);
    int i = 0;
    for (auto* studies : {&input.newest, &input.golden})
        for (auto& study : *studies)
            study.groups = {{"device", ++i % 2 ? "GE" : "Siemens"}, {"sex", i % 3 ? "F" : "M"}};
    return input;
}

const GateRules kRules = [] {
    GateRules rules;
    rules.resamples = 200;
    return rules;
}();

const GateCheck& the(const Verdict& verdict, const std::string& name, const std::string& set,
                     const std::string& finding) {
    const GateCheck* found = find_check(verdict, name, set, finding);
    REQUIRE_MESSAGE(found, name);
    return *found;
}

void each_study(GateInput& input, const std::function<void(JudgedStudy&)>& change) {
    for (auto* studies : {&input.newest, &input.golden})
        std::for_each(studies->begin(), studies->end(), change);
}

}  // namespace

TEST_CASE("a plainly better candidate passes and says by how much") {
    const auto verdict = judge_candidate(better(1), kRules);
    CAPTURE(verdict_table(verdict));
    CHECK(verdict.passed);
    CHECK(verdict.reasons.empty());
    const auto& superior = the(verdict, "superiority", "newest", "any");
    CHECK(superior.low > 0);
    CHECK(superior.value > superior.low);
    CHECK(superior.high > superior.value);
    CHECK(superior.n == 400);
    CHECK(superior.text.find("shown to be better") != std::string::npos);
    CHECK(the(verdict, "non-inferiority", "golden", "any").limit == -0.02);
    CHECK(the(verdict, "subgroup", "newest", "any").group == "device: GE");
    CHECK(the(verdict, "latency", "", "").value == 1);
}

TEST_CASE("the order of the studies does not matter") {
    auto input = better(2, 80);
    const auto before = verdict_json(judge_candidate(input, kRules));
    std::shuffle(input.newest.begin(), input.newest.end(), std::mt19937(1));
    std::shuffle(input.golden.begin(), input.golden.end(), std::mt19937(2));
    CHECK(verdict_json(judge_candidate(input, kRules)) == before);
    GateRules other = kRules;
    other.seed = 2;
    CHECK(verdict_json(judge_candidate(input, other)) != before);
}

TEST_CASE("champion and candidate changed over flip the sign and the verdict") {
    const auto input = better(3);
    auto flipped = input;
    each_study(flipped, [](JudgedStudy& s) { std::swap(s.champion, s.candidate); });
    const auto a = judge_candidate(input, kRules), b = judge_candidate(flipped, kRules);
    CHECK(a.passed);
    CHECK_FALSE(b.passed);
    const auto &up = the(a, "superiority", "newest", "any"), &down = the(b, "superiority", "newest", "any");
    CHECK(up.value == -down.value);
    CHECK(up.low == doctest::Approx(-down.high).epsilon(1e-12));
    CHECK(the(a, "sensitivity", "golden", "any").value == -the(b, "sensitivity", "golden", "any").value);
}

TEST_CASE("the same model twice is refused for want of superiority and for nothing else") {
    auto input = better(4, 600);
    each_study(input, [](JudgedStudy& s) { s.candidate = s.champion; });
    const auto verdict = judge_candidate(input, kRules);
    CHECK_FALSE(verdict.passed);
    REQUIRE(verdict.reasons.size() == 1);
    CHECK(verdict.reasons[0].find("not shown to be better") != std::string::npos);
    CHECK(the(verdict, "non-inferiority", "golden", "any").passed);
}

TEST_CASE("studies of one patient are resampled together") {
    // Each study four times: of the same patient they tell nothing more, of four patients they seem to.
    const auto once = better(5, 60, 0.05);
    auto together = once, apart = once;
    for (auto* input : {&together, &apart})
        for (int copy = 1; copy < 4; ++copy)
            for (JudgedStudy study : once.newest) {
                study.study += "." + std::to_string(copy);
                if (input == &apart) study.patient += "." + std::to_string(copy);
                input->newest.push_back(study);
            }
    const auto a = judge_candidate(once, kRules), b = judge_candidate(together, kRules),
               c = judge_candidate(apart, kRules);
    const auto &first = the(a, "superiority", "newest", "any"),
               &same = the(b, "superiority", "newest", "any"), &more = the(c, "superiority", "newest", "any");
    CHECK(same.n == 240);
    CHECK(same.value == doctest::Approx(first.value));
    CHECK(same.low == doctest::Approx(first.low).epsilon(1e-9));
    CHECK(more.value - more.low < 0.7 * (same.value - same.low));
}

TEST_CASE("a class that only a few patients have is too little") {
    auto input = better(5, 200, 0.08);
    int positives = 0;
    for (auto& study : input.newest)
        if (*study.truth[0]) study.patient = "p" + std::to_string(positives++ % 4);
    CHECK_FALSE(the(judge_candidate(input, kRules), "enough data", "newest", "any").passed);
    // Without a patient each study is its own.
    for (auto& study : input.newest) study.patient.clear();
    CHECK(the(judge_candidate(input, kRules), "enough data", "newest", "any").passed);
}

TEST_CASE("scores that are no probabilities never promote") {
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), 1.01, -0.01, std::numeric_limits<double>::infinity()})
        for (const bool candidate : {true, false})
            for (const std::size_t label : {std::size_t{0}, std::size_t{3}}) {
                auto input = better(6);
                auto& study = input.golden[17];
                (candidate ? study.candidate : study.champion)[label] = bad;
                const auto verdict = judge_candidate(input, kRules);
                CHECK_FALSE(verdict.passed);
                CHECK(verdict.reasons.front().find("no probability") != std::string::npos);
            }
    auto all = better(6);
    each_study(all, [](JudgedStudy& s) { s.candidate.fill(std::numeric_limits<double>::quiet_NaN()); });
    CHECK_FALSE(judge_candidate(all, kRules).passed);
    auto times = better(6);
    times.candidate_ms_per_slice = std::numeric_limits<double>::quiet_NaN();
    CHECK(judge_candidate(times, kRules).reasons.size() == 1);
    auto thresholds = better(6);
    thresholds.champion_thresholds[0] = std::numeric_limits<double>::quiet_NaN();
    CHECK_FALSE(judge_candidate(thresholds, kRules).passed);
}

TEST_CASE("unknown truth never promotes and is never taken for negative") {
    auto input = better(7);
    each_study(input, [](JudgedStudy& s) { s.truth = {}; });
    const auto nothing = judge_candidate(input, kRules);
    CHECK_FALSE(nothing.passed);
    CHECK(nothing.reasons.front().find("0 studies with a known truth") != std::string::npos);
    CHECK_FALSE(judge_candidate({}, kRules).passed);
    // Studies of which nothing is known change no number of the others.
    auto some = better(7), fewer = some;
    for (std::size_t i = 0; i < 50; ++i) some.newest[i].truth = {};
    fewer.newest.erase(fewer.newest.begin(), fewer.newest.begin() + 50);
    const auto a = judge_candidate(some, kRules), b = judge_candidate(fewer, kRules);
    CHECK(the(a, "superiority", "newest", "any").low == the(b, "superiority", "newest", "any").low);
    CHECK(the(a, "superiority", "newest", "any").n == 350);
}

TEST_CASE("labels shuffled among the studies are refused") {
    auto input = better(8);
    for (auto* studies : {&input.newest, &input.golden}) {
        std::vector<ml::Truth> labels;
        for (const auto& study : *studies) labels.push_back(study.truth);
        std::shuffle(labels.begin(), labels.end(), std::mt19937(3));
        for (std::size_t i = 0; i < labels.size(); ++i) (*studies)[i].truth = labels[i];
    }
    const auto verdict = judge_candidate(input, kRules);
    CHECK_FALSE(verdict.passed);
    CHECK_FALSE(the(verdict, "above chance", "newest", "any").passed);
    CHECK_FALSE(the(verdict, "above chance", "golden", "any").passed);
}

TEST_CASE("too few studies or a study that stands twice in a set are the first reason") {
    auto input = better(9);
    input.golden.resize(15);
    auto verdict = judge_candidate(input, kRules);
    CHECK_FALSE(verdict.passed);
    CHECK(verdict.reasons.front().find("The golden set has 15 studies") != std::string::npos);
    input = better(9);
    input.newest.push_back(input.newest.front());
    verdict = judge_candidate(input, kRules);
    CHECK_FALSE(verdict.passed);
    CHECK(verdict.reasons.front().find("1 stand in it more than once") != std::string::npos);
}

TEST_CASE("each further check refuses by itself what the others let pass") {
    struct Fault {
        const char *check, *set;
        std::function<void(GateInput&)> make;
    };
    const auto second_device = [](JudgedStudy& s) { return s.groups["device"] == "Siemens"; };
    const std::vector<Fault> faults{
        {"sensitivity", "newest", [](GateInput& in) { in.candidate_thresholds[0] = 0.9; }},
        {"specificity", "golden", [](GateInput& in) { in.candidate_thresholds[0] = 0.05; }},
        {"latency", "", [](GateInput& in) { in.candidate_ms_per_slice = 31; }},
        // The order stays, the probabilities become wrong.
        {"calibration error", "golden",
         [](GateInput& in) {
             for (auto& s : in.golden) s.candidate[0] = 0.4 + 0.2 * s.candidate[0];
         }},
        {"log loss", "newest",
         [](GateInput& in) {
             for (auto& s : in.newest)
                 for (auto& p : s.candidate) p = p > 0.5 ? 1 - 1e-9 * (1 - p) : 1e-9 * p;
         }},
        {"subgroup", "newest",
         [&](GateInput& in) {
             for (auto& s : in.newest)
                 if (second_device(s) && *s.truth[0]) s.candidate[0] *= 0.5;
         }},
    };
    REQUIRE(judge_candidate(better(1), kRules).passed);
    for (const Fault& fault : faults) {
        CAPTURE(fault.check);
        auto input = better(1);
        fault.make(input);
        const auto verdict = judge_candidate(input, kRules);
        CHECK_FALSE(verdict.passed);
        CHECK(std::any_of(verdict.checks.begin(), verdict.checks.end(), [&](const GateCheck& c) {
            return c.name == fault.check && c.set == fault.set && c.decisive && !c.passed;
        }));
    }
}

TEST_CASE("a lost finding refuses where there are enough cases and is only said where there are not") {
    const auto lose = [](GateInput& input) {
        each_study(input, [](JudgedStudy& s) { s.candidate[2] = 1 - s.candidate[2]; });
    };
    auto input = better(10);
    lose(input);
    const auto many = judge_candidate(input, kRules);
    CHECK_FALSE(many.passed);
    CHECK_FALSE(the(many, "non-inferiority", "newest", "intraparenchymal").passed);
    // 10 to 49 cases: refused when the loss is shown.
    GateRules rules = kRules;
    rules.fewest_to_show = 1000;
    const auto middle = judge_candidate(input, rules);
    CHECK_FALSE(middle.passed);
    CHECK(the(middle, "no proven loss", "newest", "intraparenchymal").high < 0);
    rules.fewest = 1000;
    const auto few = judge_candidate(input, rules);
    const auto& said = the(few, "no proven loss", "newest", "intraparenchymal");
    CHECK_FALSE(said.decisive);
    CHECK(said.text.find("too few to decide") != std::string::npos);
}

TEST_CASE("subgroups that are too small are named and decide nothing") {
    auto input = better(11);
    for (std::size_t i = 0; i < 9; ++i) input.newest[i].groups["device"] = "Rare " + std::to_string(i % 3);
    input.newest[20].groups.clear();
    const auto verdict = judge_candidate(input, kRules);
    const auto found = std::find_if(verdict.checks.begin(), verdict.checks.end(),
                                    [](const GateCheck& c) { return c.group == "device: all small ones"; });
    REQUIRE(found != verdict.checks.end());
    CHECK_FALSE(found->decisive);
    CHECK(found->n == 10);
    CHECK(found->text.find("4 values of device") != std::string::npos);
    CHECK(verdict.passed);
}

TEST_CASE("a verdict survives being written and read and one at odds with its checks is refused") {
    auto input = better(12, 60, 0.02);
    input.newest[0].groups["device"] = "bad \xff name\n";
    input.newest[1].groups["sex"] = "\"</script>";
    const auto verdict = judge_candidate(input, kRules);
    const std::string text = verdict_json(verdict);
    const auto read = parse_verdict(text);
    REQUIRE(read);
    CHECK(verdict_json(*read) == text);
    REQUIRE(read->rules);
    CHECK(read->rules->level == verdict.rules->level);
    auto without = nlohmann::json::parse(text);  // as older versions wrote it
    without["rules"].erase("seed");
    CHECK(parse_verdict(without.dump())->rules->seed == 1);
    without.erase("rules");
    CHECK_FALSE(parse_verdict(without.dump())->rules);
    CHECK(read->checks.size() == verdict.checks.size());
    CHECK(read->reasons == verdict.reasons);
    CHECK(std::isnan(the(*read, "sensitivity", "newest", "any").low));
    auto other = json::parse(text);
    other["passed"] = true;
    CHECK(parse_verdict(other.dump()).error().code == Code::kCannotUnderstand);
    CHECK_FALSE(parse_verdict(R"({"passed":true,"reasons":[],"checks":[]})"));
    for (const char* broken : {"", "[]", "{}", R"({"passed":1,"reasons":[],"checks":[{}]})", "{\"passed\":"})
        CHECK(parse_verdict(broken).error().code == Code::kCannotUnderstand);
}

TEST_CASE("the table stays under 100 columns whatever the names are") {
    auto input = better(13, 60, 0.02);
    for (auto& study : input.newest)
        study.groups["a device\twith a very long name indeed"] = std::string(300, 'x');
    const auto verdict = judge_candidate(input, kRules);
    const std::string table = verdict_table(verdict);
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);)
        if (line.find("xxxx") == std::string::npos) CHECK_MESSAGE(line.size() < 100, line);
    CHECK(table.find("NOT PASSED") != std::string::npos);
    CHECK(table.find("\t") == std::string::npos);
    CHECK(table.find("did NOT pass") != std::string::npos);
}
