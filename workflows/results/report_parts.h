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
inline constexpr std::string_view kComprehensiveSr = "1.2.840.10008.5.1.4.1.1.88.33";
inline constexpr std::string_view kEnhancedSr = "1.2.840.10008.5.1.4.1.1.88.22";
inline constexpr std::string_view kBasicTextSr = "1.2.840.10008.5.1.4.1.1.88.11";
inline constexpr std::string_view kSecondaryCapture = "1.2.840.10008.5.1.4.1.1.7";
inline constexpr std::string_view kKeyObjectSelection = "1.2.840.10008.5.1.4.1.1.88.59";
inline constexpr std::string_view kPresentationState = "1.2.840.10008.5.1.4.1.1.11.1";
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

/// The slice with the highest raw score of a finding; scores that are no numbers lose.
std::size_t highest_slice(const StudyAnalysis& analysis, std::size_t label);

/// The UID of the device that the model is.
std::string model_device_uid(const StudyAnalysis& analysis);

/// Refuses what cannot become an object: illegal UIDs, no slices, slices of another series.
Status check_reportable(const StudyAnalysis& analysis);
Status write_tree(DcmItem& dataset, const StudyAnalysis& analysis, const ReportContext& context,
                  const Verdicts& verdicts, SrClass sr_class);
/// The same in plain sentences, for systems that know Basic Text SR only.
Status write_plain_tree(DcmItem& dataset, const StudyAnalysis& analysis, const ReportContext& context,
                        const Verdicts& verdicts);
Status write_header(DcmItem& dataset, const StudyAnalysis& analysis, const ReportContext& context,
                    const EncodedObject& object);

}  // namespace scopenode::workflows
