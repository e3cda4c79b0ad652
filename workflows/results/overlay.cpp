#include "ml/figures/grids.h"
#include "ml/figures/key_slice.h"
#include "workflows/results/bundle_parts.h"
#include "workflows/results/object_header.h"

namespace scopenode::workflows {
namespace {

std::string with_capital(std::string text) {
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
}

bool any_present(const Verdicts& verdicts) {
    for (const Verdict& verdict : verdicts)
        if (verdict.presence == Presence::kPresent) return true;
    return false;
}

ml::Legend::Bar bar_of(const StudyAnalysis& analysis, const Verdict& verdict, std::size_t label) {
    ml::Legend::Bar bar;
    bar.name = with_capital(finding_name(label));
    if (verdict.presence == Presence::kUndetermined || !verdict.probability) {
        bar.value = "undetermined";
        return bar;
    }
    bar.strong = verdict.presence == Presence::kPresent;
    bar.value = ml::probability(*verdict.probability);
    bar.share = *verdict.probability;
    bar.mark = analysis.manifest.thresholds[label];
    return bar;
}

std::string title_of(const StudyAnalysis& analysis, const Verdicts& verdicts) {
    if (!analysis.determined) return "AI result: undetermined";
    if (any_present(verdicts)) return "AI result: hemorrhage suspected";
    for (const Verdict& verdict : verdicts)
        if (verdict.presence == Presence::kUndetermined)
            return "AI result: not all findings could be determined";
    return "AI result: no finding over the threshold";
}

ml::Legend legend_of(const StudyAnalysis& analysis, const ReportContext& context, const Verdicts& verdicts,
                     const KeySlice* slice) {
    ml::Legend legend;
    if (analysis.manifest.demonstration) legend.warning = "DEMONSTRATION - not for patients";
    legend.title = title_of(analysis, verdicts);
    if (analysis.determined)
        for (std::size_t label = 0; label < ml::kLabelCount; ++label)
            legend.bars.push_back(bar_of(analysis, verdicts[label], label));
    if (slice) {
        legend.facts.push_back(position_words(analysis, *slice));
        if (!any_present(verdicts)) legend.facts.push_back("The slice with the highest score is shown.");
    }
    if (!analysis.determined) {
        legend.facts.push_back("No statement about hemorrhage. Undetermined does not mean absent.");
        for (const Reason& reason : analysis.reasons)
            legend.facts.push_back(reason.code + ": " + reason.text);
    }
    legend.facts.push_back(fmt::format("{}, version {}, id {}", analysis.manifest.name,
                                       analysis.manifest.version, analysis.model_id));
    legend.facts.push_back(
        fmt::format("ScopeNode {}, result revision {}", context.program_version, context.revision));
    if (slice && !slice->heat.values.empty()) {
        legend.explains_heat = true;
        legend.notes.push_back(
            "Colour: where the model found evidence for the suspected findings (Grad-CAM). "
            "Coarse, not a segmentation. Line: around the strongest area.");
    } else if (slice && any_present(verdicts)) {
        legend.notes.push_back("The model's map has no evidence in this slice: nothing is coloured.");
    }
    if (analysis.determined)
        legend.notes.push_back("Bars: probability of the whole study; the mark is the threshold.");
    legend.notes.push_back("AI result, not a diagnosis. A physician reads the original images.");
    return legend;
}

void put_pixels(Header& to, DcmItem& d, const ml::Canvas& canvas, const std::vector<std::uint8_t>& rgb) {
    to.put_number(d, DCM_SamplesPerPixel, 3);
    to.put(d, DCM_PhotometricInterpretation, "RGB");
    to.put_number(d, DCM_PlanarConfiguration, 0);
    to.put_number(d, DCM_Rows, static_cast<std::size_t>(canvas.pixel_height()));
    to.put_number(d, DCM_Columns, static_cast<std::size_t>(canvas.pixel_width()));
    to.put_number(d, DCM_BitsAllocated, 8);
    to.put_number(d, DCM_BitsStored, 8);
    to.put_number(d, DCM_HighBit, 7);
    to.put_number(d, DCM_PixelRepresentation, 0);
    to.check(d.putAndInsertUint8Array(DCM_PixelData, rgb.data(), rgb.size()), DCM_PixelData);
}

}  // namespace

Result<EncodedObject> encode_overlay(const StudyAnalysis& analysis, const ReportContext& context,
                                     const Verdicts& verdicts, const KeySlice* slice, int number) {
    EncodedObject object =
        named_object(analysis, context, fmt::format("sc-{}", number), kSecondaryCapture, "sc", number);
    const ml::Legend legend = legend_of(analysis, context, verdicts, slice);
    const auto draw = [&] {
        if (!slice) return ml::draw_words(legend);
        const auto& spacing = slice->header.pixel_spacing_mm;
        return ml::draw_key_slice({slice->image, spacing ? (*spacing)[0] : 0, spacing ? (*spacing)[1] : 0,
                                   edge_letters(slice->header), slice->heat, slice->outline},
                                  legend);
    };
    const ml::KeyPicture picture = draw();
    SCOPENODE_ASSIGN(const auto rgb, picture.canvas.rgb());

    DcmFileFormat file;
    DcmItem& d = *file.getDataset();
    Header to;
    put_common(to, d, analysis, context, object, {"sc", "OT", "9002", "ScopeNode ICH overlays"});
    const DicomTime time = time_of(analysis, context);
    to.put(d, DCM_ContentDate, time.date);
    to.put(d, DCM_ContentTime, time.time);
    // Revisions share the series: their pictures follow one another.
    to.put(d, DCM_InstanceNumber, std::to_string(100 * context.revision + number));
    to.put(d, DCM_BodyPartExamined, "HEAD");
    to.put(d, DCM_ConversionType, "WSD");
    to.put(d, DCM_ImageType, "DERIVED\\SECONDARY");
    to.put(d, DCM_BurnedInAnnotation, "NO");  // of the patient nothing is written into the pixels
    to.put(d, DCM_LossyImageCompression, "00");
    to.put(d, DCM_ImageComments,
           clipped(legend.title + ". " + (slice ? position_words(analysis, *slice) : ""), 1024));
    const auto edges = slice ? edge_letters(slice->header) : std::array<std::string, 4>{};
    to.put(d, DCM_PatientOrientation, edges[1].empty() || edges[3].empty() ? "" : edges[1] + "\\" + edges[3]);
    if (slice) {
        to.put(d, DCM_DerivationDescription,
               clipped(slice->heat.values.empty() ? "Brain window with a legend"
                                                  : "Brain window with Grad-CAM of the model and a legend",
                       1024));
        DcmItem& derived = to.item(d, DCM_SourceImageSequence);
        to.put(derived, DCM_ReferencedSOPClassUID, analysis.slices[slice->place].sop_class_uid);
        to.put(derived, DCM_ReferencedSOPInstanceUID, analysis.slices[slice->place].sop_instance_uid);
        to.code(derived, DCM_PurposeOfReferenceCodeSequence,
                CodeTable::embedded().concept_of("source_image"));
    }
    put_pixels(to, d, picture.canvas, rgb);
    SCOPENODE_TRY(to.status());
    SCOPENODE_ASSIGN(object.bytes, part10_bytes(file));
    return object;
}

}  // namespace scopenode::workflows
