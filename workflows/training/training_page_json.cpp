#include <cmath>
#include <nlohmann/json.hpp>

#include "workflows/training/page_numbers.h"
#include "workflows/training/training_page.h"

namespace scopenode::workflows {
namespace {

using nlohmann::ordered_json;

ordered_json number(double value) {
    return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

template <class Values>
ordered_json by_label(const Values& values) {
    ordered_json out;
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) out[std::string(ml::kLabels[k])] = values[k];
    return out;
}

ordered_json points(const std::vector<ml::CurvePoint>& curve) {
    ordered_json out = ordered_json::array();
    for (const auto& point : curve) out.push_back({point.x, point.y});
    return out;
}

ordered_json share(const ml::Share& s) {
    return {{"value", number(s.value())},
            {"low", number(s.low())},
            {"high", number(s.high())},
            {"hits", s.hits},
            {"of", s.of}};
}

ordered_json model_json(const ModelNumbers& m) {
    ordered_json bins = ordered_json::array();
    for (const auto& bin : m.reliability)
        bins.push_back({{"mean", bin.mean}, {"studies", bin.studies}, {"positives", bin.positives}});
    return {{"auroc", number(m.auroc)},
            {"auprc", number(m.auprc)},
            {"ece", number(m.ece)},
            {"brier", number(m.brier)},
            {"threshold", number(m.threshold)},
            {"sensitivity", share(m.counts.sensitivity())},
            {"specificity", share(m.counts.specificity())},
            {"true_positives", m.counts.true_positives},
            {"false_positives", m.counts.false_positives},
            {"true_negatives", m.counts.true_negatives},
            {"false_negatives", m.counts.false_negatives},
            {"roc", points(m.roc)},
            {"precision_recall", points(m.precision_recall)},
            {"reliability", bins}};
}

ordered_json set_json(const SetNumbers& set) {
    ordered_json findings;
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        const FindingNumbers& f = set.findings[k];
        findings[std::string(ml::kLabels[k])] = {{"positives", f.positives},
                                                 {"negatives", f.negatives},
                                                 {"unknown", f.unknown},
                                                 {"champion", model_json(f.champion)},
                                                 {"candidate", model_json(f.candidate)}};
    }
    ordered_json groups = ordered_json::array();
    for (const auto& g : set.subgroups)
        groups.push_back({{"key", g.key},
                          {"value", g.value},
                          {"studies", g.studies},
                          {"positives", g.positives},
                          {"champion", number(g.champion)},
                          {"candidate", number(g.candidate)}});
    return {{"studies", set.studies},
            {"patients", set.patients},
            {"weighted_log_loss",
             {{"champion", number(set.champion_log_loss)}, {"candidate", number(set.candidate_log_loss)}}},
            {"findings", findings},
            {"subgroups", groups}};
}

ordered_json head_json(const TrainingPage& page) {
    const auto model = [](const PageModel& m) {
        return ordered_json{{"id", m.id}, {"name", m.name}, {"note", m.note}};
    };
    ordered_json facts = ordered_json::array();
    for (const auto& [what, value] : page.facts) facts.push_back({{"what", what}, {"value", value}});
    return {{"job", page.job},
            {"asked_by", page.asked_by},
            {"started", page.started},
            {"finished", page.finished},
            {"demonstration", page.demonstration},
            {"not_for_patients", page.demonstration},
            {"champion", model(page.champion)},
            {"candidate", model(page.candidate)},
            {"facts", facts}};
}

}  // namespace

std::string training_page_json(const TrainingPage& page) {
    ordered_json out = head_json(page);
    out["data"] = ordered_json::array();
    for (const PageCounts& set : page.data)
        out["data"].push_back({{"name", set.name},
                               {"patients", set.patients},
                               {"studies", set.studies},
                               {"slices", set.slices},
                               {"positives", by_label(set.positives)},
                               {"negatives", by_label(set.negatives)},
                               {"unknown", by_label(set.unknown)}});
    out["left_out"] = ordered_json::array();
    for (const PageLeftOut& left : page.left_out)
        out["left_out"].push_back({{"what", left.what}, {"count", left.count}, {"why", left.why}});
    out["kept_epoch"] = page.kept_epoch;
    out["epochs"] = ordered_json::array();
    for (const PageEpoch& e : page.epochs) {
        std::array<ordered_json, ml::kLabelCount> areas;
        for (std::size_t k = 0; k < ml::kLabelCount; ++k) areas[k] = number(e.auroc[k]);
        out["epochs"].push_back({{"epoch", e.epoch},
                                 {"train_loss", number(e.train_loss)},
                                 {"validation_loss", number(e.validation_loss)},
                                 {"validation_auroc", by_label(areas)}});
    }
    out["sets"] = {{"newest", set_json(numbers_of("newest", page.gate.newest, page.gate))},
                   {"golden", set_json(numbers_of("golden", page.gate.golden, page.gate))}};
    out["ms_per_slice"] = {{"champion", number(page.gate.champion_ms_per_slice)},
                           {"candidate", number(page.gate.candidate_ms_per_slice)}};
    out["verdict"] = ordered_json::parse(verdict_json(page.verdict));
    out["notes"] = page.notes;
    return out.dump(1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace scopenode::workflows
