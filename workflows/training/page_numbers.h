#pragma once
#include <string>
#include <vector>

#include "ml/curves.h"
#include "workflows/training/gate.h"

namespace scopenode::workflows {

// The numbers of a training page, worked out once for the page and for its JSON.

struct ModelNumbers {
    double auroc = 0, auprc = 0, ece = 0, brier = 0, threshold = 0;
    ml::Confusion counts;  ///< at the threshold
    std::vector<ml::CurvePoint> roc, precision_recall;
    std::vector<ml::ReliabilityBin> reliability;
};

struct FindingNumbers {
    long positives = 0, negatives = 0, unknown = 0;
    ModelNumbers champion, candidate;
};

struct SubgroupNumbers {
    std::string key, value;
    long studies = 0, positives = 0;
    double champion = 0, candidate = 0;  ///< AUROC of any; NaN where a class is empty
};

struct SetNumbers {
    std::string name;
    long studies = 0, patients = 0;
    double champion_log_loss = 0, candidate_log_loss = 0;  ///< weighted
    std::array<FindingNumbers, ml::kLabelCount> findings;
    std::vector<SubgroupNumbers> subgroups;  ///< the largest first
};

SetNumbers numbers_of(const std::string& name, const std::vector<JudgedStudy>& studies,
                      const GateInput& input);

}  // namespace scopenode::workflows
