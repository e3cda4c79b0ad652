#include <algorithm>

#include "ml/figures/grids.h"
#include "workflows/results/bundle_parts.h"
#include "workflows/results/object_header.h"

namespace scopenode::workflows {
namespace {

constexpr const char* kLayer = "SCOPENODE";

std::string decimal(double value) {
    return fmt::format("{:.6g}", value);
}

/// What stands over the picture; one line each, because viewers differ in how they break lines.
std::string annotation(const StudyAnalysis& analysis, const Verdicts& verdicts) {
    std::string text = analysis.manifest.demonstration ? "DEMONSTRATION - not for patients\r\n" : "";
    for (std::size_t label = 0; label < ml::kLabelCount; ++label)
        if (verdicts[label].presence == Presence::kPresent)
            text += fmt::format("{}: {}\r\n", finding_name(label),
                                ml::probability(verdicts[label].probability.value_or(0)));
    return text + "AI result, not a diagnosis";
}

/// The outline as (0070,0022); its values are single floats in pixels, (1, 1) the corner of the first pixel's
/// middle.
void put_outline(Header& to, DcmItem& annotations, const KeySlice& slice) {
    if (slice.outline.size() < 3) return;
    std::vector<Float32> points;
    for (const auto& [x, y] : slice.outline) {
        points.push_back(static_cast<Float32>(x + 0.5));
        points.push_back(static_cast<Float32>(y + 0.5));
    }
    points.push_back(points[0]);
    points.push_back(points[1]);
    DcmItem& line = to.item(annotations, DCM_GraphicObjectSequence);
    to.put(line, DCM_GraphicAnnotationUnits, "PIXEL");
    to.put_number(line, DCM_GraphicDimensions, 2);
    to.put_number(line, DCM_NumberOfGraphicPoints, points.size() / 2);
    to.check(line.putAndInsertFloat32Array(DCM_GraphicData, points.data(), points.size()), DCM_GraphicData);
    to.put(line, DCM_GraphicType, "POLYLINE");
    to.put(line, DCM_GraphicFilled, "N");
}

void put_annotations(Header& to, DcmItem& d, const StudyAnalysis& analysis, const Verdicts& verdicts,
                     const KeySlice& slice) {
    DcmItem& all = to.item(d, DCM_GraphicAnnotationSequence);
    to.put(all, DCM_GraphicLayer, kLayer);
    DcmItem& words = to.item(all, DCM_TextObjectSequence);
    to.put(words, DCM_BoundingBoxAnnotationUnits, "DISPLAY");
    const Float32 corner[] = {0.02F, 0.02F}, end[] = {0.6F, 0.2F};
    to.check(words.putAndInsertFloat32Array(DCM_BoundingBoxTopLeftHandCorner, corner, 2),
             DCM_BoundingBoxTopLeftHandCorner);
    to.check(words.putAndInsertFloat32Array(DCM_BoundingBoxBottomRightHandCorner, end, 2),
             DCM_BoundingBoxBottomRightHandCorner);
    to.put(words, DCM_BoundingBoxTextHorizontalJustification, "LEFT");
    to.put(words, DCM_UnformattedTextValue, annotation(analysis, verdicts));
    put_outline(to, all, slice);
    DcmItem& layer = to.item(d, DCM_GraphicLayerSequence);
    to.put(layer, DCM_GraphicLayer, kLayer);
    to.put(layer, DCM_GraphicLayerOrder, "1");
    to.put(layer, DCM_GraphicLayerDescription, "Findings of an automated analysis");
}

void put_display(Header& to, DcmItem& d, const KeySlice& slice) {
    DcmItem& area = to.item(d, DCM_DisplayedAreaSelectionSequence);
    to.put(area, DCM_DisplayedAreaTopLeftHandCorner, "1\\1");
    to.put(area, DCM_DisplayedAreaBottomRightHandCorner,
           fmt::format("{}\\{}", slice.image.width, slice.image.height));
    to.put(area, DCM_PresentationSizeMode, "SCALE TO FIT");
    if (const auto& mm = slice.header.pixel_spacing_mm; mm && (*mm)[0] > 0 && (*mm)[1] > 0)
        to.put(area, DCM_PresentationPixelSpacing, decimal((*mm)[0]) + "\\" + decimal((*mm)[1]));
    else
        to.put(area, DCM_PresentationPixelAspectRatio, "1\\1");
    if (slice.rescale_slope) {
        to.put(d, DCM_RescaleIntercept, decimal(*slice.rescale_intercept));
        to.put(d, DCM_RescaleSlope, decimal(*slice.rescale_slope));
        to.put(d, DCM_RescaleType, "HU");
    }
    DcmItem& window = to.item(d, DCM_SoftcopyVOILUTSequence);
    to.put(window, DCM_WindowCenter, "40");
    to.put(window, DCM_WindowWidth, "80");
    to.put(window, DCM_WindowCenterWidthExplanation, "BRAIN");
    to.put(d, DCM_PresentationLUTShape, "IDENTITY");
}

}  // namespace

Result<EncodedObject> encode_presentation_state(const StudyAnalysis& analysis, const ReportContext& context,
                                                const Verdicts& verdicts, const KeySlice& slice, int number) {
    EncodedObject object =
        named_object(analysis, context, fmt::format("pr-{}", number), kPresentationState, "pr", number);
    DcmFileFormat file;
    DcmItem& d = *file.getDataset();
    Header to;
    put_common(to, d, analysis, context, object, {"pr", "PR", "9004", "ScopeNode ICH annotations"});
    const DicomTime time = time_of(analysis, context);
    to.put(d, DCM_InstanceNumber, std::to_string(100 * context.revision + number));
    to.put(d, DCM_BodyPartExamined, "HEAD");
    to.put(d, DCM_ContentLabel, "ICH_FINDINGS");
    to.put(d, DCM_ContentDescription, clipped(position_words(analysis, slice), 64));
    to.put(d, DCM_PresentationCreationDate, time.date);
    to.put(d, DCM_PresentationCreationTime, time.time);
    to.put(d, DCM_ContentCreatorName, std::string(kManufacturer));
    DcmItem& series = to.item(d, DCM_ReferencedSeriesSequence);
    to.image(series, DCM_ReferencedImageSequence, analysis.slices.at(slice.place));
    to.put(series, DCM_SeriesInstanceUID, analysis.series_uid);
    put_annotations(to, d, analysis, verdicts, slice);
    put_display(to, d, slice);
    SCOPENODE_TRY(to.status());
    SCOPENODE_ASSIGN(object.bytes, part10_bytes(file));
    return object;
}

}  // namespace scopenode::workflows
