#include "workflows/results/bundle_parts.h"
#include "workflows/results/object_header.h"
#include "workflows/results/sr_tree.h"

namespace scopenode::workflows {
namespace {

using T = DSRTypes;

std::string description(const StudyAnalysis& analysis, const std::vector<std::size_t>& places) {
    std::string text = analysis.manifest.demonstration ? "DEMONSTRATION, not for patients. " : "";
    text += "Key slices of an automated analysis, strongest finding first:";
    for (std::size_t i = 0; i < places.size(); ++i)
        text += fmt::format("{} slice {} of {} from below (z = {:.1f} mm)", i == 0 ? "" : ",", places[i] + 1,
                            analysis.slices.size(), analysis.slices[places[i]].z_mm);
    return text + ". AI result, not a diagnosis.";
}

}  // namespace

Result<EncodedObject> encode_key_objects(const StudyAnalysis& analysis, const ReportContext& context,
                                         const std::vector<std::size_t>& places) {
    EncodedObject object = named_object(analysis, context, "ko", kKeyObjectSelection, "ko", 0);
    DcmFileFormat file;
    DcmDataset& d = *file.getDataset();
    SCOPENODE_TRY(guard(Code::kInternal, [&]() -> Status {
        Tree tree(T::DT_KeyObjectSelectionDocument, "of_interest", "2010");
        put_observer(tree, analysis, context);
        tree.text(T::RT_contains, "key_object_description", description(analysis, places));
        for (const std::size_t place : places) tree.image(T::RT_contains, analysis.slices.at(place), nullptr);
        return tree.write(d);
    }));
    Header to;
    put_common(to, d, analysis, context, object, {"ko", "KO", "9003", "ScopeNode ICH key slices"});
    const DicomTime time = time_of(analysis, context);
    to.put(d, DCM_ContentDate, time.date);
    to.put(d, DCM_ContentTime, time.time);
    to.put(d, DCM_InstanceNumber, std::to_string(context.revision));
    to.empty_sequence(d, DCM_ReferencedPerformedProcedureStepSequence);
    std::vector<AnalysedSlice> chosen;
    for (const std::size_t place : places) chosen.push_back(analysis.slices.at(place));
    put_evidence(to, d, DCM_CurrentRequestedProcedureEvidenceSequence, analysis, chosen);
    SCOPENODE_TRY(to.status());
    SCOPENODE_ASSIGN(object.bytes, part10_bytes(file));
    return object;
}

}  // namespace scopenode::workflows
