#pragma once
#include <functional>
#include <span>

#include "ml/paired_auc.h"
#include "workflows/training/gate.h"

namespace scopenode::workflows {

/// The studies of one set in an order of their own, so that the caller's does not matter. Pointers into the
/// input, which has to live on.
class GateSet {
  public:
    GateSet(std::string name, const std::vector<JudgedStudy>& studies);
    const std::string& name() const { return name_; }
    std::span<const JudgedStudy* const> studies() const { return studies_; }

    using Filter = std::function<bool(const JudgedStudy&)>;
    /// Those with known truth of `label`, patients numbered.
    ml::PairedScores paired(std::size_t label, const Filter& filter = nullptr) const;
    /// All truth and one model's probabilities, for ml::figures_of.
    std::vector<ml::Truth> truth() const;
    std::vector<ml::Probabilities> said(ml::Probabilities JudgedStudy::*model) const;

  private:
    std::string name_;
    std::vector<const JudgedStudy*> studies_;
};

/// The value of a group, "unknown" where it is missing or empty.
std::string group_value(const JudgedStudy& study, const std::string& key);
/// Keys of all groups in these sets.
std::vector<std::string> group_keys(std::span<const JudgedStudy* const> studies);
/// The same for the same rules, set and label; another one for each of them.
std::uint64_t seed_of(const GateRules& rules, const std::string& set, std::size_t label);

// The checks behind judge_candidate, each appended to `out`.
using Checks = std::vector<GateCheck>;
void check_usable(const GateSet& set, Checks& out);
void check_enough(const GateSet& set, const GateRules& rules, Checks& out);
void check_findings(const GateSet& set, const GateRules& rules, Checks& out);  ///< all but any
void check_thresholds(const GateSet& set, const GateInput& input, const GateRules& rules, Checks& out);
void check_calibration(const GateSet& set, const GateRules& rules, Checks& out);
void check_subgroups(const GateSet& set, const GateRules& rules, Checks& out);
void check_latency(const GateInput& input, const GateRules& rules, Checks& out);

}  // namespace scopenode::workflows
