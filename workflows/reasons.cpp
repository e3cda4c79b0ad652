#include "workflows/reasons.h"

#include <algorithm>
#include <array>
#include <utility>

namespace scopenode::workflows {
namespace {

using namespace reasons;

constexpr std::array<std::pair<std::string_view, std::string_view>, 22> kTable{{
    {kOwnResult, "It is a result of this node."},
    {kUnreadable, "The stored file could not be read."},
    {kNotCt, "It holds no CT images (secondary captures, dose pages, reports, other modalities)."},
    {kEnhancedNotRead, "Multi-frame CT is stored, but not analysed by this version."},
    {kLocalizer, "It is a localizer."},
    {kDerived, "The images are derived, not original."},
    {kNoGeometry, "Position or orientation of the images is not given."},
    {kNotAxial, "The images are not axial (more than 30 degrees off)."},
    {kNoPixels, "There are no pixels, or fewer than 64 rows or columns."},
    {kNotHead, "Body part or description say something other than the head."},
    {kMixedOrientations, "The images do not lie in one stack of one orientation."},
    {kDuplicatePosition, "Another image lies at the same position; the first one counts."},
    {kTooFewSlices, "There are too few axial slices."},
    {kImplausibleExtent, "The slices cover a length that is not a head."},
    {kOtherSeriesChosen, "Another series of the study is analysed: the one nearest to 5 mm thickness."},
    {kUndecodable, "The pixels could not be decoded."},
    {kIllegalUids,
     "No report object could be made: UIDs or SOP class of the images are missing or not legal."},
    {kIdentityMismatch, "The images name more than one patient: nothing is reported."},
    {kDemonstrationNotSent, "Results of the demonstration model are not sent beyond this machine."},
    {kRescaleQuirk, "Stored values were turned round by the RSNA rescale quirk before they were read as HU."},
    {kRescaleDoubtful,
     "Stored values are 12 bits unsigned with a rescale intercept above -100: air cannot be at -1000 HU and "
     "the "
     "attenuation may be wrong."},
    {kOverlaysLeftOut, "The report has no pictures: they could not be made."},
}};

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

}  // namespace scopenode::workflows
