#include "workflows/training/gate.h"

#include <fmt/format.h>
#include <cmath>

#include "workflows/training/gate_set.h"

namespace scopenode::workflows {
namespace {

double percent(double level) {
    return 100 * (1 - level);
}

GateCheck check_skill(const GateSet& set, const ml::AucDifference& any, const GateRules& rules) {
    GateCheck check{"above chance", set.name(), "any"};
    check.value = any.second;
    check.low = any.second_low(rules.level);
    check.high = std::min(1.0, 2 * any.second - check.low);
    check.limit = 0.5;
    check.n = any.studies;
    check.passed = check.low > check.limit;
    check.text = fmt::format(
        "The candidate's AUROC of any on the {} studies is {:.3f} ({:g} % lower bound {:.3f}); that has "
        "to lie above 0.5, where labels at random would put it.",
        set.name(), check.value, percent(rules.level), check.low);
    return check;
}

GateCheck difference_check(std::string name, const GateSet& set, const ml::AucDifference& any, double low,
                           const GateRules& rules) {
    GateCheck check{std::move(name), set.name(), "any"};
    check.value = any.difference;
    check.low = low;
    check.high = any.high(rules.level);
    check.n = any.studies;
    return check;
}

/// (1): a bound by Student's quantile and the larger of the bootstrap's and DeLong's errors, because
/// percentiles of a bootstrap are too narrow in small sets.
GateCheck check_superiority(const GateSet& set, const ml::AucDifference& any, const GateRules& rules) {
    GateCheck check = difference_check("superiority", set, any, any.low(rules.level), rules);
    check.limit = 0;
    check.passed = check.low > 0;
    check.text = fmt::format(
        "AUROC of any on the newest studies: candidate {:.3f}, champion {:.3f}, difference {:+.3f} ({:g} % "
        "test bound {:+.3f}, {} patients): the candidate is {} better.",
        any.second, any.first, any.difference, percent(rules.level), check.low, any.patients,
        check.passed ? "shown to be" : "not shown to be");
    return check;
}

/// (2)
GateCheck check_golden(const GateSet& set, const ml::AucDifference& any, const GateRules& rules) {
    GateCheck check = difference_check("non-inferiority", set, any,
                                       any.low_beside_margin(rules.level, rules.any_margin), rules);
    check.limit = -rules.any_margin;
    check.passed = check.low > check.limit;
    check.text = fmt::format(
        "AUROC of any on the golden studies: candidate {:.3f}, champion {:.3f}, difference {:+.3f} ({:g} % "
        "test bound {:+.3f}, {} patients): that nothing was forgotten (at most {:g} lost) is {}.",
        any.second, any.first, any.difference, percent(rules.level), check.low, any.patients,
        rules.any_margin, check.passed ? "shown" : "not shown");
    return check;
}

}  // namespace

Verdict judge_candidate(const GateInput& input, const GateRules& rules) {
    Verdict out;
    const GateSet newest("newest", input.newest), golden("golden", input.golden);
    for (const GateSet* set : {&newest, &golden}) check_usable(*set, out.checks);
    for (const GateSet* set : {&newest, &golden}) check_enough(*set, rules, out.checks);
    const auto on_newest = ml::auc_difference(newest.paired(0), rules.resamples, seed_of(rules, "newest", 0));
    const auto on_golden = ml::auc_difference(golden.paired(0), rules.resamples, seed_of(rules, "golden", 0));
    out.checks.push_back(check_superiority(newest, on_newest, rules));
    out.checks.push_back(check_golden(golden, on_golden, rules));
    out.checks.push_back(check_skill(newest, on_newest, rules));
    out.checks.push_back(check_skill(golden, on_golden, rules));
    for (const GateSet* set : {&newest, &golden}) {
        check_thresholds(*set, input, rules, out.checks);
        check_findings(*set, rules, out.checks);
        check_calibration(*set, rules, out.checks);
        check_subgroups(*set, rules, out.checks);
    }
    check_latency(input, rules, out.checks);
    for (const GateCheck& check : out.checks)
        if (check.decisive && !check.passed) out.reasons.push_back(check.text);
    out.passed = out.reasons.empty();
    out.rules = rules;
    return out;
}

}  // namespace scopenode::workflows
