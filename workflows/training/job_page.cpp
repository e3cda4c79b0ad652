#include "workflows/training/job_page.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "workflows/training/options.h"

namespace scopenode::workflows {
namespace {

using nlohmann::json;

PageCounts counts_of(const Snapshot& snapshot, Use use, const char* name) {
    PageCounts out;
    out.name = name;
    std::set<std::string> patients;
    for (const SnapshotStudy& study : snapshot.studies) {
        if (study.use != use) continue;
        patients.insert(study.patient);
        ++out.studies;
        out.slices += static_cast<long>(study.slices.size());
        for (std::size_t k = 0; k < ml::kLabelCount; ++k)
            ++(!study.truth[k] ? out.unknown : *study.truth[k] ? out.positives : out.negatives)[k];
    }
    out.patients = static_cast<long>(patients.size());
    return out;
}

double number(const json& from, const char* key) {
    const auto found = from.find(key);
    return found != from.end() && found->is_number() ? found->get<double>() : std::nan("");
}

PageEpoch epoch_of(const storage::TrainingEpochRow& row) {
    const json said = json::parse(row.report, nullptr, false);
    PageEpoch epoch;
    epoch.epoch = row.epoch;
    epoch.auroc.fill(std::nan(""));
    if (!said.is_object()) return epoch;
    epoch.train_loss = number(said, "train_loss");
    epoch.validation_loss = number(said, "validation_loss");
    const json areas = said.value("validation_auroc", json());
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        const json* value = areas.is_array() && areas.size() > k ? &areas[k]
                            : areas.is_object() && areas.contains(ml::kLabels[k])
                                ? &areas[std::string(ml::kLabels[k])]
                                : nullptr;
        if (value && value->is_number()) epoch.auroc[k] = value->get<double>();
    }
    return epoch;
}

}  // namespace

TrainingPage page_of(const JobRecords& r, const GateInput& input, const Verdict& verdict, UtcMs now) {
    TrainingPage page;
    page.job = std::to_string(r.row.id);
    page.asked_by = r.row.requested_by;
    page.started = r.row.started ? iso8601(*r.row.started) : "";
    page.finished = iso8601(now);
    page.champion = {r.champion.id, fmt::format("{} version {}", r.champion.name, r.champion.version),
                     "serves"};
    page.candidate = {r.row.model, fmt::format("{} version {}", r.candidate.name, r.candidate.version),
                      "fine-tuned from " + r.candidate.parent};
    page.facts = {{"preset", r.candidate.preset.name},
                  {"snapshot", r.row.snapshot.substr(0, 16)},
                  {"data", r.candidate.data_snapshot},
                  {"licence of the data", r.candidate.data_licence},
                  {"calibration", r.candidate.calibration.method + " on " + r.candidate.calibration.data}};
    page.data = {
        counts_of(r.snapshot, Use::kLearn, "learnt from"), counts_of(r.snapshot, Use::kJudge, "validation"),
        counts_of(r.snapshot, Use::kHeldOut, "newest"), counts_of(r.snapshot, Use::kGolden, "golden")};
    if (!r.snapshot.left_out.empty())
        page.left_out.push_back({"labelled studies", static_cast<long>(r.snapshot.left_out.size()),
                                 "the first: " + r.snapshot.left_out.front()});
    if (!r.snapshot.conflicts.empty())
        page.left_out.push_back(
            {"contradictory labels", static_cast<long>(r.snapshot.conflicts.size()),
             "unknown until somebody decides; the first: " + r.snapshot.conflicts.front()});
    for (const auto& epoch : r.epochs) page.epochs.push_back(epoch_of(epoch));
    page.gate = input;
    page.verdict = verdict;
    page.demonstration = r.champion.demonstration || r.candidate.demonstration;
    if (r.snapshot.golden_phantoms > 0)
        page.notes.push_back(
            fmt::format("The golden set holds {} phantoms, drawn by seed, because the model that serves "
                        "has learnt from phantoms; training rehearses {} others.",
                        r.snapshot.golden_phantoms, r.snapshot.rehearsal_phantoms));
    page.notes.push_back("Held out patients are chosen by a hash of their identity and never change sides.");
    return page;
}

}  // namespace scopenode::workflows
