#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "ml/labels.h"
#include "ml/manifest.h"
#include "storage/dicom/header.h"

namespace scopenode::workflows {

enum class Presence { kPresent, kAbsent, kUndetermined };
std::string_view word(Presence presence);   ///< "present", "absent", "undetermined"

/// A coded reason, of a series, a slice or a study: one table in workflows/reasons.cpp.
struct Reason {
    std::string code;   ///< "LOCALIZER", "NOT_AXIAL", "TOO_FEW_SLICES", ...
    std::string text;   ///< one sentence
};

/// One analysed slice.
struct AnalysedSlice {
    std::string sop_class_uid, sop_instance_uid;
    double z_mm = 0;
    ml::Scores scores{};          ///< raw
    std::optional<double> distance{}; ///< from the model's training data; nothing: not known
};

/// All that a report says: what the study work computes and results/ encodes.
struct StudyAnalysis {
    storage::InstanceHeader header;            ///< of one eligible slice, read again from its file
    std::string series_uid;
    std::vector<AnalysedSlice> slices;         ///< caudal to cranial; none: no series is eligible, `header` is
                                               ///< of any image of the study, which is the only evidence
    bool determined = true;                    ///< false: out of scope, every finding undetermined
    ml::Scores probabilities{};                ///< study level, calibrated
    std::array<Presence, ml::kLabelCount> findings{};
    std::optional<double> distance;            ///< of the study, see ml::study_distance()
    std::vector<Reason> reasons;
    ml::Manifest manifest;
    std::string model_id, manifest_sha256;
};

/// Judges by thresholds; `undetermined` everywhere when not determined.
std::array<Presence, ml::kLabelCount> judge(const StudyAnalysis& analysis);

/// Paths of result objects; "" and empty: none.
struct ResultFiles {
    std::string sr, key_objects;
    std::vector<std::string> overlays, presentation_states;
};
/// One study of results.json (design section 4), as JSON text.
std::string study_json(const StudyAnalysis& analysis, const std::string& state, int revision,
                       const ResultFiles& files);

}  // namespace scopenode::workflows
