#include <nlohmann/json.hpp>

#include "storage/index/catalog.h"
#include "workflows/intake.h"
#include "workflows/training/labels.h"
#include "workflows/training/truth.h"

namespace scopenode::workflows {
namespace {

using namespace storage;
using nlohmann::ordered_json;

ordered_json label_json(const LabelRow& row, bool counts) {
    return {{"id", row.id},
            {"study_uid", row.study_uid},
            {"sop_instance_uid", row.sop_instance_uid},
            {"finding", row.finding},
            {"value", row.value ? "present" : "absent"},
            {"counts", counts},
            {"source", row.source},
            {"origin", row.origin},
            {"reader", row.reader},
            {"calling_ae", row.caller},
            {"read_at", row.read_at ? ordered_json(iso8601(*row.read_at)) : ordered_json()},
            {"answers", row.result},
            {"reader_saw_result", row.saw_result},
            {"added", iso8601(row.added)}};
}

/// Every labelled study that is here, with its truth and the slices of its eligible series.
struct Resolved {
    std::string study_uid;
    std::vector<std::string> slices;
    StudyTruth truth;
};
Result<std::vector<Resolved>> resolve_all(Connection& db, const config::Settings& settings) {
    SCOPENODE_ASSIGN(const auto uids, labelled_studies(db));
    std::vector<Resolved> all;
    for (const std::string& uid : uids) {
        SCOPENODE_ASSIGN(const auto study, find_study(db, uid));
        if (!study) continue;
        SCOPENODE_ASSIGN(const auto set, eligible_set(db, study->id));
        SCOPENODE_ASSIGN(auto rows, labels_of_study(db, uid));
        Resolved one{uid, {}, {}};
        for (const InstanceRow& slice : set.slices) one.slices.push_back(slice.sop_instance_uid);
        one.truth = resolve_truth(counted_labels(std::move(rows), settings.training), one.slices);
        all.push_back(std::move(one));
    }
    return all;
}

std::string cell(const std::optional<bool>& label) {
    return label ? (*label ? "1" : "0") : "";
}

}  // namespace

Result<std::string> labels_list(Index& index, const config::Settings& settings, const LabelFilter& filter,
                                bool json) {
    SCOPENODE_ASSIGN(const auto rows, index.read([&](Connection& db) { return list_labels(db, filter); }));
    SCOPENODE_ASSIGN(const auto counts, index.read(count_labels));
    ordered_json all = ordered_json::array();
    std::string text;
    for (const LabelRow& row : rows) {
        const bool counts_too = !counted_labels({row}, settings.training).empty();
        all.push_back(label_json(row, counts_too));
        text += fmt::format(
            "{}  {} {}  {}  {}{}{}\n", row.id, row.finding, row.value ? "present" : "absent",
            row.sop_instance_uid.empty() ? "study " + row.study_uid : "slice " + row.sop_instance_uid,
            row.source, row.reader.empty() ? "" : " by " + row.reader,
            counts_too ? "" : "  pending: " + row.caller + " may not label (training.label_callers)");
    }
    if (json)
        return ordered_json{{"labels", all}, {"total", counts.labels}, {"waiting_for_study", counts.pending}}
            .dump(2);
    return text + fmt::format("{} labels, {} wait for their study or slice", counts.labels, counts.pending);
}

Result<std::string> labels_export(Index& index, const config::Settings& settings, bool slices) {
    SCOPENODE_ASSIGN(const auto all, index.read([&](Connection& db) { return resolve_all(db, settings); }));
    std::string text = slices ? "ID,Label\n" : fmt::format("study_uid,{}\n", fmt::join(ml::kLabels, ","));
    for (const Resolved& one : all) {
        if (!slices) {
            text += one.study_uid;
            for (const auto& label : one.truth.study) text += "," + cell(label);
            text += "\n";
            continue;
        }
        for (const auto& [uid, truth] : one.truth.slices)
            for (std::size_t k = 0; k < ml::kLabelCount; ++k)
                if (truth[k]) text += fmt::format("{}_{},{}\n", uid, ml::kLabels[k], cell(truth[k]));
    }
    return text;
}

Result<std::string> labels_conflicts(Index& index, const config::Settings& settings, bool json) {
    SCOPENODE_ASSIGN(const auto all, index.read([&](Connection& db) { return resolve_all(db, settings); }));
    ordered_json out = ordered_json::array();
    std::string text;
    for (const Resolved& one : all)
        for (const std::string& conflict : one.truth.conflicts) {
            out.push_back({{"study_uid", one.study_uid}, {"text", conflict}});
            text += fmt::format("study {}: {}\n", one.study_uid, conflict);
        }
    if (json) return ordered_json{{"conflicts", out}}.dump(2);
    return text.empty() ? "no contradictions" : text;
}

}  // namespace scopenode::workflows
