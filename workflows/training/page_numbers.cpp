#include "workflows/training/page_numbers.h"

#include <algorithm>

#include "workflows/training/gate_set.h"

namespace scopenode::workflows {
namespace {

ModelNumbers model_numbers(const GateSet& set, ml::Probabilities JudgedStudy::*model, std::size_t label,
                           double threshold) {
    const ml::Column column = ml::column_of(set.said(model), set.truth(), label);
    ModelNumbers out;
    out.auroc = ml::auroc(column.scores, column.truth);
    out.auprc = ml::auprc(column.scores, column.truth);
    out.ece = ml::calibration_error(column.scores, column.truth);
    out.brier = ml::brier(column.scores, column.truth);
    out.threshold = threshold;
    out.counts = ml::confusion(column.scores, column.truth, threshold);
    out.roc = ml::roc_curve(column.scores, column.truth);
    out.precision_recall = ml::precision_recall_curve(column.scores, column.truth);
    out.reliability = ml::reliability(column.scores, column.truth);
    return out;
}

std::vector<SubgroupNumbers> subgroups_of(const GateSet& set) {
    std::vector<SubgroupNumbers> out;
    for (const std::string& key : group_keys(set.studies())) {
        std::map<std::string, SubgroupNumbers> by_value;
        for (const JudgedStudy* study : set.studies())
            if (study->truth[0]) by_value[group_value(*study, key)].studies += 1;
        for (auto& [value, group] : by_value) {
            const auto in = set.paired(0, [&](const JudgedStudy& s) { return group_value(s, key) == value; });
            group.key = key;
            group.value = value;
            group.positives = std::count(in.truth.begin(), in.truth.end(), 1);
            group.champion = ml::auroc(in.first, in.truth);
            group.candidate = ml::auroc(in.second, in.truth);
            out.push_back(group);
        }
    }
    std::stable_sort(out.begin(), out.end(), [](const SubgroupNumbers& a, const SubgroupNumbers& b) {
        return a.key != b.key ? a.key < b.key : a.studies > b.studies;
    });
    return out;
}

}  // namespace

SetNumbers numbers_of(const std::string& name, const std::vector<JudgedStudy>& studies,
                      const GateInput& input) {
    const GateSet set(name, studies);
    SetNumbers out;
    out.name = name;
    out.studies = static_cast<long>(studies.size());
    std::vector<std::string> patients;
    for (const JudgedStudy& study : studies)
        patients.push_back(study.patient.empty() ? "study " + study.study : "patient " + study.patient);
    std::sort(patients.begin(), patients.end());
    out.patients = std::unique(patients.begin(), patients.end()) - patients.begin();
    const auto truth = set.truth();
    out.champion_log_loss = ml::figures_of(set.said(&JudgedStudy::champion), truth).weighted_log_loss;
    out.candidate_log_loss = ml::figures_of(set.said(&JudgedStudy::candidate), truth).weighted_log_loss;
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        FindingNumbers& f = out.findings[k];
        for (const ml::Truth& labels : truth)
            (!labels[k] ? f.unknown : *labels[k] ? f.positives : f.negatives) += 1;
        f.champion = model_numbers(set, &JudgedStudy::champion, k, input.champion_thresholds[k]);
        f.candidate = model_numbers(set, &JudgedStudy::candidate, k, input.candidate_thresholds[k]);
    }
    out.subgroups = subgroups_of(set);
    return out;
}

}  // namespace scopenode::workflows
