#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ml/metrics.h"
#include "storage/index/labels.h"

namespace scopenode::workflows {

/// What counts as true of a study and of its slices. Nothing: unknown, never negative.
struct StudyTruth {
    ml::Truth study;
    std::map<std::string, ml::Truth> slices;  ///< by SOP Instance UID, only those somebody labelled
    std::vector<std::string> conflicts;  ///< sentences; what they are about is unknown until somebody decides
};

/// The rule, finding by finding:
/// - an adjudication (the newest) decides; else all readers must agree, or it is a conflict;
/// - a subtype that is present makes `any` present; `any` absent makes every subtype absent; readers who say
///   both are a conflict;
/// - a present slice makes the study present, an absent study makes its slices absent; a study that is absent
///   with a present slice, or present with all `series_slices` absent, is a conflict;
/// - all `series_slices` absent make the study absent.
StudyTruth resolve_truth(std::span<const storage::LabelRow> labels,
                         std::span<const std::string> series_slices);

}  // namespace scopenode::workflows
