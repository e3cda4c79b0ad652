#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "workflows/training/gate_set.h"

namespace scopenode::workflows {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

GateCheck point_check(std::string name, const GateSet& set, std::string finding, double value, double limit,
                      long n) {
    GateCheck check{std::move(name), set.name(), std::move(finding)};
    check.value = value;
    check.low = check.high = kNaN;
    check.limit = limit;
    check.n = n;
    return check;
}

bool usable(const ml::Probabilities& scores) {
    return std::all_of(scores.begin(), scores.end(), [](double p) { return p >= 0 && p <= 1; });
}

long negatives_of(const ml::Column& column) {
    return static_cast<long>(column.truth.size()) - column.positives;
}

ml::Column column_of(const GateSet& set, ml::Probabilities JudgedStudy::*model) {
    return ml::column_of(set.said(model), set.truth(), 0);
}

std::string few_words(long positives, long negatives, long fewest) {
    return fmt::format(" {} positive and {} negative studies are too few to decide (at least {} each).",
                       positives, negatives, fewest);
}

/// Sensitivity or specificity, champion and candidate.
void check_share(const char* name, const GateSet& set, const ml::Share& champion, const ml::Share& candidate,
                 bool thresholds_are_numbers, const GateRules& rules, Checks& out) {
    const double drop = thresholds_are_numbers ? candidate.value() - champion.value() : kNaN;
    GateCheck check = point_check(name, set, "any", drop, -rules.threshold_drop, candidate.of);
    // A hair of tolerance: 0.90 - 0.95 is not exactly -0.05.
    check.passed = drop >= check.limit - 1e-12;
    check.decisive = candidate.of >= rules.fewest_at_threshold || !thresholds_are_numbers;
    check.text = fmt::format(
        "The {} of any on the {} studies at each model's own threshold: candidate {:.3f}, champion {:.3f} "
        "({} studies); "
        "it may fall by at most {:g}.",
        name, set.name(), candidate.value(), champion.value(), candidate.of, rules.threshold_drop);
    if (!thresholds_are_numbers) check.text += " A threshold is no number between 0 and 1.";
    if (!check.decisive)
        check.text += fmt::format(" Too few to decide (at least {}).", rules.fewest_at_threshold);
    out.push_back(std::move(check));
}

GateCheck subgroup_check(const GateSet& set, const std::string& group, const ml::Column& champion,
                         const ml::Column& candidate, const GateRules& rules) {
    const double first = ml::auroc(champion.scores, champion.truth);
    const double second = ml::auroc(candidate.scores, candidate.truth);
    GateCheck check = point_check("subgroup", set, "any", second - first, -rules.subgroup_drop,
                                  static_cast<long>(candidate.truth.size()));
    check.group = group;
    check.passed = check.value >= check.limit - 1e-12;
    const long positives = candidate.positives, negatives = negatives_of(candidate);
    check.decisive = std::min(positives, negatives) >= rules.fewest_in_subgroup;
    check.text = fmt::format(
        "AUROC of any among the {} studies with {}: candidate {:.3f}, champion {:.3f}, difference {:+.3f}; "
        "it may fall "
        "by at most {:g}.",
        set.name(), group, second, first, check.value, rules.subgroup_drop);
    if (!check.decisive) check.text += few_words(positives, negatives, rules.fewest_in_subgroup);
    return check;
}

/// What stands for all values of a key that have too few studies to be compared at all.
GateCheck small_subgroups(const GateSet& set, const std::string& key, long values, long studies,
                          const GateRules& rules) {
    GateCheck check = point_check("subgroup", set, "any", kNaN, -rules.subgroup_drop, studies);
    check.group = key + ": all small ones";
    check.decisive = false;
    check.text = fmt::format(
        "{} value{} of {} with {} of the {} studies {} not compared: fewer than {} studies, or only one "
        "class.",
        values, values == 1 ? "" : "s", key, studies, set.name(), values == 1 ? "is" : "are",
        rules.subgroup_studies);
    return check;
}

}  // namespace

void check_usable(const GateSet& set, Checks& out) {
    long scores = 0, repeated = 0;
    std::set<std::string> seen;
    for (const JudgedStudy* study : set.studies()) {
        scores += usable(study->champion) && usable(study->candidate) ? 0 : 1;
        repeated += seen.insert(study->study).second ? 0 : 1;
    }
    GateCheck check = point_check("usable studies", set, "", static_cast<double>(scores + repeated), 0,
                                  static_cast<long>(set.studies().size()));
    check.passed = scores + repeated == 0;
    check.text =
        check.passed
            ? fmt::format(
                  "Every one of the {} {} studies is in it once and has probabilities of both models.",
                  check.n, set.name())
            : fmt::format(
                  "Of the {} {} studies, {} have a score that is no probability and {} stand in it more "
                  "than once: nothing can be concluded from such a set.",
                  check.n, set.name(), scores, repeated);
    out.push_back(std::move(check));
}

void check_enough(const GateSet& set, const GateRules& rules, Checks& out) {
    const auto counts = ml::auc_difference(set.paired(0), 0, 0);
    const long patients = std::min(counts.positive_patients, counts.negative_patients);
    GateCheck check = point_check("enough data", set, "any", static_cast<double>(patients),
                                  static_cast<double>(rules.fewest_of_class), counts.studies);
    check.passed = counts.studies >= rules.fewest_studies && patients >= rules.fewest_of_class;
    check.text = fmt::format(
        "The {} set has {} studies with a known truth of any: {} positive ones of {} patients, {} negative "
        "ones of {}; at "
        "least {} studies with {} patients of either kind are needed.",
        set.name(), counts.studies, counts.positives, counts.positive_patients, counts.negatives,
        counts.negative_patients, rules.fewest_studies, rules.fewest_of_class);
    out.push_back(std::move(check));
}

void check_findings(const GateSet& set, const GateRules& rules, Checks& out) {
    for (std::size_t k = 1; k < ml::kLabelCount; ++k) {
        const auto d = ml::auc_difference(set.paired(k), rules.resamples, seed_of(rules, set.name(), k));
        const long fewer = std::min(d.positives, d.negatives);
        const bool has_to_show = fewer >= rules.fewest_to_show;
        GateCheck check = point_check(has_to_show ? "non-inferiority" : "no proven loss", set,
                                      std::string(ml::kLabels[k]), d.difference, 0, d.studies);
        check.low = d.low_beside_margin(rules.level, rules.class_margin);
        check.high = d.high(rules.level);
        check.decisive = fewer >= rules.fewest;
        check.text = fmt::format(
            "AUROC of {} on the {} studies: candidate {:.3f}, champion {:.3f}, difference {:+.3f} ({:g} % "
            "test bound ",
            ml::kLabels[k], set.name(), d.second, d.first, d.difference, 100 * (1 - rules.level));
        if (has_to_show) {
            check.limit = -rules.class_margin;
            check.passed = check.low > check.limit;
            check.text += fmt::format("{:+.3f}): that at most {:g} is lost is {}.", check.low,
                                      rules.class_margin, check.passed ? "shown" : "not shown");
        } else {
            check.passed = check.high >= check.limit;
            check.text += std::isnan(check.high)
                              ? std::string("does not exist): nothing can be said of a loss.")
                              : fmt::format("{:+.3f}): a loss is {}.", check.high,
                                            check.passed ? "not shown" : "shown");
        }
        if (!check.decisive) check.text += few_words(d.positives, d.negatives, rules.fewest);
        out.push_back(std::move(check));
    }
}

void check_thresholds(const GateSet& set, const GateInput& input, const GateRules& rules, Checks& out) {
    const double before = input.champion_thresholds[0], after = input.candidate_thresholds[0];
    const bool numbers = before >= 0 && before <= 1 && after >= 0 && after <= 1;
    const auto old = column_of(set, &JudgedStudy::champion), now = column_of(set, &JudgedStudy::candidate);
    const auto champion = ml::confusion(old.scores, old.truth, before);
    const auto candidate = ml::confusion(now.scores, now.truth, after);
    check_share("sensitivity", set, champion.sensitivity(), candidate.sensitivity(), numbers, rules, out);
    check_share("specificity", set, champion.specificity(), candidate.specificity(), numbers, rules, out);
}

void check_calibration(const GateSet& set, const GateRules& rules, Checks& out) {
    const auto old = column_of(set, &JudgedStudy::champion), now = column_of(set, &JudgedStudy::candidate);
    const double before = ml::calibration_error(old.scores, old.truth);
    const double after = ml::calibration_error(now.scores, now.truth);
    GateCheck ece = point_check("calibration error", set, "any", after - before, rules.ece_rise,
                                static_cast<long>(now.truth.size()));
    ece.passed = ece.value <= ece.limit + 1e-12;
    ece.decisive = ece.n >= rules.fewest_for_ece;
    ece.text = fmt::format(
        "Expected calibration error of any on the {} studies: candidate {:.3f}, champion {:.3f}; it may rise "
        "by at most "
        "{:g}.",
        set.name(), after, before, rules.ece_rise);
    if (!ece.decisive)
        ece.text += fmt::format(" With {} studies it is mostly chance (at least {} to decide).", ece.n,
                                rules.fewest_for_ece);
    out.push_back(std::move(ece));

    const auto truth = set.truth();
    const double loss_before = ml::figures_of(set.said(&JudgedStudy::champion), truth).weighted_log_loss;
    const double loss_after = ml::figures_of(set.said(&JudgedStudy::candidate), truth).weighted_log_loss;
    GateCheck loss = point_check("log loss", set, "", loss_after / loss_before, rules.log_loss_ratio,
                                 std::count_if(truth.begin(), truth.end(), [](const ml::Truth& labels) {
                                     return std::any_of(labels.begin(), labels.end(),
                                                        [](const auto& l) { return l.has_value(); });
                                 }));
    // Both may be zero: two models without a fault.
    loss.passed = loss_after <= rules.log_loss_ratio * loss_before;
    // What the champion has learnt by heart is no limit for one that has learnt something else too: on the
    // golden set order, rates and calibration decide.
    loss.decisive = set.name() == "newest";
    loss.text = fmt::format(
        "Weighted log loss on the {} studies: candidate {:.4f}, champion {:.4f}; it may be at most {:g} "
        "times as large{}.",
        set.name(), loss_after, loss_before, rules.log_loss_ratio,
        loss.decisive ? "" : "; on the golden set that is shown and does not decide");
    out.push_back(std::move(loss));
}

void check_subgroups(const GateSet& set, const GateRules& rules, Checks& out) {
    for (const std::string& key : group_keys(set.studies())) {
        std::set<std::string> values;
        for (const JudgedStudy* study : set.studies()) values.insert(group_value(*study, key));
        long small = 0, in_small = 0;
        for (const std::string& value : values) {
            const auto in_group =
                set.paired(0, [&](const JudgedStudy& s) { return group_value(s, key) == value; });
            const auto positives = std::count(in_group.truth.begin(), in_group.truth.end(), 1);
            const auto all = static_cast<long>(in_group.truth.size());
            if (all < rules.subgroup_studies || positives == 0 || positives == all) {
                ++small;
                in_small += all;
                continue;
            }
            out.push_back(subgroup_check(set, key + ": " + value, {in_group.first, in_group.truth, positives},
                                         {in_group.second, in_group.truth, positives}, rules));
        }
        if (small > 0) out.push_back(small_subgroups(set, key, small, in_small, rules));
    }
}

void check_latency(const GateInput& input, const GateRules& rules, Checks& out) {
    GateCheck check{"latency"};
    const double before = input.champion_ms_per_slice, after = input.candidate_ms_per_slice;
    const bool measured = std::isfinite(before) && std::isfinite(after) && before > 0 && after > 0;
    check.value = measured ? after / before : kNaN;
    check.low = check.high = kNaN;
    check.limit = rules.latency_ratio;
    check.passed = check.value <= check.limit;
    check.text = measured
                     ? fmt::format(
                           "A slice takes the candidate {:.2f} ms and the champion {:.2f} ms; it may take "
                           "at most {:g} times as long.",
                           after, before, rules.latency_ratio)
                     : "The time for a slice was not measured for both models.";
    out.push_back(std::move(check));
}

}  // namespace scopenode::workflows
