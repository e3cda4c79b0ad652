#include "workflows/reasons.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace scopenode::workflows {
namespace {

using namespace reasons;

constexpr auto kTable = std::to_array<std::pair<std::string_view, std::string_view>>({
    {kOwnResult, "It is a result of this node."},
    {kUnreadable, "The stored file could not be read."},
    {kNotCt, "It holds no CT images (secondary captures, dose pages, reports, other modalities)."},
    {kEnhancedNotRead, "Multi-frame CT is stored, but not analysed by this version."},
    {kLocalizer, "It is a localizer."},
    {kDerived, "The images are derived, not original."},
    {kNoGeometry, "Position or orientation of the images is not given."},
    {kNotAxial, "The images are not axial, or the gantry is tilted (more than 30 degrees off)."},
    {kNoPixels, "There are no pixels, or fewer than 64 rows or columns."},
    {kRescaleAbsent, "Rescale slope or intercept is not given: the attenuation is unknown."},
    {kRescaleInvalid, "The rescale slope is 0 or no number."},
    {kImplausibleSpacing, "The distance of pixels or of slices cannot be that of a head."},
    {kNotHead, "Body part or description say something other than the head."},
    {kMixedOrientations, "The images do not lie in one stack of one orientation."},
    {kMixedFormat, "Rows, columns, pixel spacing or rescale differ from those of most images of the series."},
    {kDuplicatePosition, "Another image lies at the same position; the first one counts."},
    {kTooFewSlices, "There are too few axial slices."},
    {kImplausibleExtent, "The slices cover a length that is not a head."},
    {kSlicesTooThick, "The slices are thicker than 10 mm."},
    {kGaps, "Slice positions are missing."},
    {kContrastAgent, "A contrast agent was given: enhancement can look like blood."},
    {kSharpKernel, "The convolution kernel is one for bone or lung: noise can hide blood."},
    {kOtherSeriesChosen,
     "Another series of the study is analysed: soft kernel before bone, without contrast agent before with, "
     "then nearest to 5 mm thickness, more slices, lower number."},
    {kUndecodable, "The pixels could not be decoded."},
    {kAlmostEmpty, "There is almost nothing in the pictures."},
    {kHuImplausible, "Air, soft tissue or bone are not where they must be in HU: the rescale is wrong."},
    {kNotAHeadByPixels, "The pixels do not show a head."},
    {kIllegalUids,
     "No report object could be made: UIDs or SOP class of the images are missing or not legal."},
    {kIdentityMismatch, "The images name more than one patient: nothing is reported."},
    {kDemonstrationNotSent, "Results of the demonstration model are not sent beyond this machine."},
    {kRescaleQuirk, "Stored values were turned round by the RSNA rescale quirk before they were read as HU."},
    {kRescaleDoubtful,
     "Stored values are 12 bits unsigned with a rescale intercept above -100: air cannot be at -1000 HU and "
     "the "
     "attenuation may be wrong."},
    {kUnlikeTraining,
     "The pictures are unlike those that the model was trained on: what it says of them is worth less."},
    {kNoTrainingRange,
     "The model does not tell what its training data look like: whether these pictures are like them is not "
     "known."},
    {kOverlaysLeftOut, "The report has no pictures: they could not be made."},
    {kReportNotUnderstood, "A report that answers a result of this node could not be read."},
});

}  // namespace

std::size_t rank(std::string_view code) {
    const auto found =
        std::find_if(kTable.begin(), kTable.end(), [&](const auto& row) { return row.first == code; });
    return static_cast<std::size_t>(found - kTable.begin());
}

std::string_view sentence(std::string_view code) {
    const std::size_t place = rank(code);
    return place < kTable.size() ? kTable[place].second : code;
}

Reason reason(std::string_view code, const std::string& detail) {
    std::string text(sentence(code));
    if (!detail.empty()) text += " " + detail;
    return {std::string(code), text};
}

std::vector<Reason> left_out_remarks(std::span<const std::string> codes) {
    std::map<std::pair<std::size_t, std::string>, int> counts;
    for (const auto& code : codes)
        if (!code.empty()) ++counts[{rank(code), code}];
    std::vector<Reason> remarks;
    for (const auto& [code, count] : counts)
        remarks.push_back(
            reason(code.second, fmt::format("{} of {} images of the series left out.", count, codes.size())));
    return remarks;
}

}  // namespace scopenode::workflows
