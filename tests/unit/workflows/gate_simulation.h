#pragma once
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "ml/paired_auc.h"
#include "workflows/training/gate.h"

namespace scopenode::test {

/// Studies whose truth and true areas are known: scores of both classes are normal with the same spread, both
/// models' with a correlation, and turned into probabilities that are calibrated for the model's true area.
struct SimulatedSet {
    int patients = 100;
    double prevalence = 0.4;
    double champion = 0.85, candidate = 0.85;  ///< true areas
    double correlation = 0.7;
    double several = 0;     ///< share of the patients with two or three studies, whose scores are alike
    bool findings = false;  ///< truth of the five findings too; unknown otherwise
    std::string prefix = "s";
};

class Simulator {
  public:
    explicit Simulator(unsigned seed) : draw_(seed) {}

    std::vector<workflows::JudgedStudy> set(const SimulatedSet& what) {
        std::vector<workflows::JudgedStudy> out;
        for (int p = 0; p < what.patients; ++p) add_patient(what, p, out);
        return out;
    }
    double unit() { return std::uniform_real_distribution<double>()(draw_); }
    std::mt19937& engine() { return draw_; }

  private:
    double normal() { return normal_(draw_); }
    /// Two numbers with the set's correlation.
    std::pair<double, double> pair(double correlation) {
        const double both = std::sqrt(correlation) * normal(), rest = std::sqrt(1 - correlation);
        const double first = both + rest * normal();
        return {first, both + rest * normal()};
    }
    static double probability(double score, double area, double prevalence, bool positive) {
        const double apart = std::sqrt(2.0) * ml::student_quantile(area, 1e9);
        const double x = score + (positive ? apart : 0);
        return 1 / (1 + std::exp(-(std::log(prevalence / (1 - prevalence)) + apart * x - apart * apart / 2)));
    }
    void add_patient(const SimulatedSet& what, int number, std::vector<workflows::JudgedStudy>& out) {
        const double alike = what.several > 0 ? 0.6 : 0;
        const int studies = unit() < what.several ? (unit() < 0.5 ? 2 : 3) : 1;
        const auto patients = pair(what.correlation);
        const bool positive = unit() < what.prevalence;
        for (int i = 0; i < studies; ++i) {
            workflows::JudgedStudy study;
            study.patient = what.prefix + std::to_string(number);
            study.study = study.patient + "." + std::to_string(i);
            for (std::size_t k = 0; k < (what.findings ? ml::kLabelCount : 1); ++k) {
                const bool truth = positive && (k == 0 || unit() < 0.4);
                const double share = k == 0 ? what.prevalence : 0.4 * what.prevalence;
                const auto own = pair(what.correlation);
                const double a = std::sqrt(alike) * patients.first + std::sqrt(1 - alike) * own.first;
                const double b = std::sqrt(alike) * patients.second + std::sqrt(1 - alike) * own.second;
                study.truth[k] = truth;
                study.champion[k] = probability(a, what.champion, share, truth);
                study.candidate[k] = probability(b, what.candidate, share, truth);
            }
            out.push_back(std::move(study));
        }
    }
    std::mt19937 draw_;
    std::normal_distribution<double> normal_;
};

/// Both sets, equally fast models, thresholds at a half.
inline workflows::GateInput simulated_input(Simulator& simulator, SimulatedSet newest, SimulatedSet golden) {
    newest.prefix = "n";
    golden.prefix = "g";
    workflows::GateInput out;
    out.newest = simulator.set(newest);
    out.golden = simulator.set(golden);
    out.champion_thresholds.fill(0.5);
    out.candidate_thresholds.fill(0.5);
    out.champion_ms_per_slice = out.candidate_ms_per_slice = 20;
    return out;
}

inline const workflows::GateCheck* find_check(const workflows::Verdict& verdict, const std::string& name,
                                              const std::string& set, const std::string& finding) {
    for (const auto& check : verdict.checks)
        if (check.name == name && check.set == set && check.finding == finding) return &check;
    return nullptr;
}

}  // namespace scopenode::test
