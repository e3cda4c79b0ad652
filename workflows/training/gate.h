#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "ml/metrics.h"

namespace scopenode::workflows {

/// A study of which the truth is known, and what both models say of it.
struct JudgedStudy {
    std::string study, patient;                 ///< an empty patient: a patient of its own
    std::map<std::string, std::string> groups;  ///< "device", "age", "sex" -> value; missing: unknown
    ml::Truth truth;
    ml::Probabilities champion{}, candidate{};  ///< calibrated study probabilities
};

/// What is asked of a candidate, set before it is looked at.
struct GateRules {
    double level = 0.05;  ///< one-sided, of every interval
    int resamples = 2000;
    std::uint64_t seed = 1;
    long fewest_studies = 20;    ///< in each set, with known truth of any
    long fewest_of_class = 5;    ///< patients with and patients without a hemorrhage among them
    double any_margin = 0.02;    ///< AUROC of any on golden; 0.005 is the literature's for large sets
    double class_margin = 0.05;  ///< AUROC of each other finding on both sets
    long fewest = 10;            ///< positives and negatives for another finding to decide at all
    /// Positives and negatives from which non-inferiority of another finding has to be shown. With fewer even
    /// an unchanged model could hardly show it, and the candidate fails only where it is shown to be worse.
    long fewest_to_show = 50;
    double threshold_drop = 0.05;  ///< of sensitivity and specificity of any at the models' own thresholds
    long fewest_at_threshold = 50;
    double ece_rise = 0.03;
    double log_loss_ratio = 1.05;
    long fewest_for_ece = 150;  ///< ten in each of 15 bins; below, an ECE is mostly chance
    double subgroup_drop = 0.05;
    long subgroup_studies = 20;    ///< with both classes, for a subgroup to be compared
    long fewest_in_subgroup = 25;  ///< positives and negatives for a subgroup to decide
    double latency_ratio = 1.5;
};

struct GateInput {
    std::vector<JudgedStudy> golden, newest;  ///< sealed sets; no study of them was learnt from
    ml::Probabilities champion_thresholds{}, candidate_thresholds{};
    double champion_ms_per_slice = 0, candidate_ms_per_slice = 0;
};

/// One question and its answer. Numbers that do not exist are NaN, and then nothing has passed.
struct GateCheck {
    std::string name{};
    std::string set{};         ///< "golden", "newest" or "" (of both)
    std::string finding{};     ///< "" or a label
    std::string group{};       ///< "" or "device: VALUE"
    double value = 0;          ///< mostly candidate minus champion; as `text` says
    double low = 0, high = 0;  ///< one-sided interval ends at the rules' level; NaN for a point estimate
    double limit = 0;
    long n = 0;  ///< studies (latency: 0)
    bool passed = false;
    bool decisive = true;  ///< false: said, not deciding: too few cases
    std::string text{};    ///< a sentence for people
};

struct Verdict {
    bool passed = false;
    std::vector<GateCheck> checks;     ///< the most important first
    std::vector<std::string> reasons;  ///< why not: sentences, the most important first; empty when passed
    std::optional<GateRules> rules;    ///< that it was made by; verdicts of older versions have none
};

/// Whether the candidate may take the champion's place: every decisive check has to pass. A candidate no
/// better than the champion on `newest`, or worse on `golden` by `any_margin` or more, passes with a chance
/// of at most `level` (docs/measured.md has the simulation). Pure; the order of the studies does not matter;
/// same input and rules, same verdict. Thread-safe.
Verdict judge_candidate(const GateInput& input, const GateRules& rules);

std::string verdict_json(const Verdict& verdict);
/// What verdict_json wrote. kCannotUnderstand for anything else, also for a verdict at odds with its checks.
Result<Verdict> parse_verdict(const std::string& json);
/// For a person, under 100 columns.
std::string verdict_table(const Verdict& verdict);

}  // namespace scopenode::workflows
