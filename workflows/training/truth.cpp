#include "workflows/training/truth.h"

#include <algorithm>

namespace scopenode::workflows {
namespace {

using storage::LabelRow;

/// The readers' words on one finding of one study or slice.
struct Votes {
    const LabelRow* adjudication = nullptr;
    const LabelRow* present = nullptr;
    const LabelRow* absent = nullptr;

    void add(const LabelRow& row) {
        if (row.source == "adjudication") {
            if (!adjudication || row.added >= adjudication->added) adjudication = &row;
        } else {
            (row.value ? present : absent) = &row;
        }
    }
    bool agree() const { return adjudication || !present || !absent; }
    std::optional<bool> value() const {
        if (adjudication) return adjudication->value;
        if (!agree() || (!present && !absent)) return std::nullopt;
        return present != nullptr;
    }
};
using VotesOfAll = std::array<Votes, ml::kLabelCount>;

/// What the readers say of one study or slice, with what follows from it.
ml::Truth settle(const VotesOfAll& votes, const std::string& where, std::vector<std::string>& conflicts) {
    ml::Truth truth;
    std::array<bool, ml::kLabelCount> disputed{};
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        truth[k] = votes[k].value();
        disputed[k] = !votes[k].agree();
        if (disputed[k])
            conflicts.push_back(fmt::format("{}: {} is present for {} and absent for {}", where,
                                            ml::kLabels[k], votes[k].present->reader,
                                            votes[k].absent->reader));
    }
    const bool any_absent = truth[0].has_value() && !*truth[0];
    for (std::size_t k = 1; k < ml::kLabelCount; ++k) {
        if (any_absent && truth[k].value_or(false)) {
            conflicts.push_back(
                fmt::format("{}: {} is present although any is absent", where, ml::kLabels[k]));
            truth[0].reset();
            truth[k].reset();
            disputed[0] = disputed[k] = true;
        } else if (any_absent && !truth[k] && !disputed[k]) {
            truth[k] = false;
        } else if (truth[k].value_or(false) && !truth[0] && !disputed[0]) {
            truth[0] = true;
        }
    }
    return truth;
}

/// Brings study and slices together for one finding.
void reconcile(std::size_t k, std::span<const std::string> series_slices, StudyTruth& out) {
    std::string present;
    for (const auto& [uid, truth] : out.slices)
        if (truth[k].value_or(false)) present = uid;
    const bool all_absent =
        !series_slices.empty() &&
        std::all_of(series_slices.begin(), series_slices.end(), [&](const auto& uid) {
            const auto found = out.slices.find(uid);
            return found != out.slices.end() && found->second[k].has_value() && !*found->second[k];
        });
    auto& study = out.study[k];
    const bool contradicts = study.has_value() && (*study ? all_absent : !present.empty());
    if (contradicts) {
        out.conflicts.push_back(
            *study
                ? fmt::format("study: {} is present although every slice says absent", ml::kLabels[k])
                : fmt::format("study: {} is absent although slice {} says present", ml::kLabels[k], present));
        study.reset();
        for (auto& [uid, truth] : out.slices) truth[k].reset();
    } else if (!present.empty()) {
        study = true;
    } else if (all_absent) {
        study = false;
    } else if (study.has_value() && !*study) {
        for (const std::string& uid : series_slices) out.slices[uid][k] = false;
    }
}

}  // namespace

StudyTruth resolve_truth(std::span<const LabelRow> labels, std::span<const std::string> series_slices) {
    VotesOfAll study{};
    std::map<std::string, VotesOfAll> slices;
    for (const LabelRow& row : labels) {
        const auto finding = std::find(ml::kLabels.begin(), ml::kLabels.end(), row.finding);
        if (finding == ml::kLabels.end()) continue;
        auto& votes = row.sop_instance_uid.empty() ? study : slices[row.sop_instance_uid];
        votes[static_cast<std::size_t>(finding - ml::kLabels.begin())].add(row);
    }
    StudyTruth out;
    out.study = settle(study, "study", out.conflicts);
    for (const auto& [uid, votes] : slices) out.slices[uid] = settle(votes, "slice " + uid, out.conflicts);
    const bool disputed = !out.conflicts.empty();
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        // What readers dispute about the study, its slices do not decide.
        if (disputed && !study[k].agree()) continue;
        reconcile(k, series_slices, out);
    }
    return out;
}

}  // namespace scopenode::workflows
