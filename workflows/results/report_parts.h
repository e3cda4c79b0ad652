#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "workflows/results/report.h"

class DcmItem;

/// The parts of encode_report(), for its own files only.
namespace scopenode::workflows {

inline constexpr std::string_view kComprehensive3dSr = "1.2.840.10008.5.1.4.1.1.88.34";
inline constexpr std::string_view kManufacturer = "ScopeNode";
inline constexpr std::string_view kIntendedUse =
    "Result of a computer program, not a diagnosis. ScopeNode is not a medical device. A physician reads the "
    "images.";

/// What the report says of one finding.
struct Verdict {
    Presence presence = Presence::kUndetermined;
    std::optional<double> probability;  ///< study level; nothing when undetermined
    bool not_a_number = false;          ///< the model gave no number: said so, never written as 0
    std::vector<std::size_t>
        sources;  ///< slices at or over the threshold; the highest one when present without any
};
using Verdicts = std::array<Verdict, ml::kLabelCount>;
Verdicts verdicts_of(const StudyAnalysis& analysis);

/// "epidural hemorrhage"
std::string finding_name(std::size_t label);
std::string tracking_identifier(std::size_t label, Presence presence);
/// The same for every revision and model of a study, so that corrections can be matched.
std::string tracking_uid(const std::string& study_uid, std::size_t label);
std::string conclusion_words(const StudyAnalysis& analysis, const Verdicts& verdicts);

/// The UID of the report's series and of the device that the model is.
std::string report_series_uid(const ReportContext& context, const StudyAnalysis& analysis);
std::string model_device_uid(const StudyAnalysis& analysis);
std::string series_description(const StudyAnalysis& analysis);

Status write_tree(DcmItem& dataset, const StudyAnalysis& analysis, const ReportContext& context,
                  const Verdicts& verdicts);
Status write_header(DcmItem& dataset, const StudyAnalysis& analysis, const ReportContext& context,
                    const EncodedObject& object);

}  // namespace scopenode::workflows
