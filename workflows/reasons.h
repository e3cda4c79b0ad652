#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "workflows/study.h"

namespace scopenode::workflows {

/// Codes of the table in reasons.cpp. They are stored in the index: a code is never given another meaning.
namespace reasons {
inline constexpr std::string_view kOwnResult = "OWN_RESULT";
inline constexpr std::string_view kUnreadable = "UNREADABLE";
inline constexpr std::string_view kNotCt = "NOT_CT";
inline constexpr std::string_view kEnhancedNotRead = "ENHANCED_NOT_READ";
inline constexpr std::string_view kLocalizer = "LOCALIZER";
inline constexpr std::string_view kDerived = "DERIVED";
inline constexpr std::string_view kNoGeometry = "NO_GEOMETRY";
inline constexpr std::string_view kNotAxial = "NOT_AXIAL";
inline constexpr std::string_view kNoPixels = "NO_PIXELS";
inline constexpr std::string_view kNotHead = "NOT_HEAD";
inline constexpr std::string_view kRescaleAbsent = "RESCALE_ABSENT";
inline constexpr std::string_view kRescaleInvalid = "RESCALE_INVALID";
inline constexpr std::string_view kImplausibleSpacing = "IMPLAUSIBLE_SPACING";
inline constexpr std::string_view kMixedOrientations = "MIXED_ORIENTATIONS";
inline constexpr std::string_view kMixedFormat = "MIXED_FORMAT";
inline constexpr std::string_view kDuplicatePosition = "DUPLICATE_POSITION";
inline constexpr std::string_view kTooFewSlices = "TOO_FEW_SLICES";
inline constexpr std::string_view kImplausibleExtent = "IMPLAUSIBLE_EXTENT";
inline constexpr std::string_view kSlicesTooThick = "SLICES_TOO_THICK";
inline constexpr std::string_view kGaps = "GAPS";
inline constexpr std::string_view kContrastAgent = "CONTRAST_AGENT";
inline constexpr std::string_view kSharpKernel = "SHARP_KERNEL";
inline constexpr std::string_view kOtherSeriesChosen = "OTHER_SERIES_CHOSEN";
inline constexpr std::string_view kUndecodable = "UNDECODABLE";
inline constexpr std::string_view kAlmostEmpty = "ALMOST_EMPTY";
inline constexpr std::string_view kHuImplausible = "HU_IMPLAUSIBLE";
inline constexpr std::string_view kNotAHeadByPixels = "NOT_A_HEAD_BY_PIXELS";
inline constexpr std::string_view kIllegalUids = "ILLEGAL_UIDS";
inline constexpr std::string_view kIdentityMismatch = "IDENTITY_MISMATCH";
inline constexpr std::string_view kDemonstrationNotSent = "DEMONSTRATION_NOT_SENT";
inline constexpr std::string_view kRescaleQuirk = "RSNA_RESCALE_QUIRK";
inline constexpr std::string_view kRescaleDoubtful = "RESCALE_DOUBTFUL";
inline constexpr std::string_view kReportNotUnderstood = "REPORT_NOT_UNDERSTOOD";
inline constexpr std::string_view kUnlikeTraining = "UNLIKE_TRAINING_DATA";
inline constexpr std::string_view kNoTrainingRange = "NO_TRAINING_RANGE";
inline constexpr std::string_view kOverlaysLeftOut = "OVERLAYS_LEFT_OUT";
}  // namespace reasons

/// The sentence of a code; the code itself when it is not in the table.
std::string_view sentence(std::string_view code);
/// A reason with its sentence, and with `detail` behind it where there is one.
Reason reason(std::string_view code, const std::string& detail = "");
/// Place of a code in the table, which is the order in which reasons are looked for.
std::size_t rank(std::string_view code);
/// How many images of an eligible series are left out and why. `codes` are the reasons of all its images, ""
/// of one that is used.
std::vector<Reason> left_out_remarks(std::span<const std::string> codes);

}  // namespace scopenode::workflows
