#include "base/core/ids.h"
#include "workflows/results/object_header.h"

namespace scopenode::workflows {
namespace {

void predecessor(Header& to, DcmItem& d, const StudyAnalysis& analysis, const ReportContext& context,
                 const EncodedObject& object) {
    if (context.predecessor_sop_instance_uid.empty()) return;
    DcmItem& before = to.item(d, DCM_PredecessorDocumentsSequence);
    DcmItem& its_series = to.item(before, DCM_ReferencedSeriesSequence);
    DcmItem& document = to.item(its_series, DCM_ReferencedSOPSequence);
    to.put(
        document, DCM_ReferencedSOPClassUID,
        context.predecessor_sop_class_uid.empty() ? object.sop_class_uid : context.predecessor_sop_class_uid);
    to.put(document, DCM_ReferencedSOPInstanceUID, context.predecessor_sop_instance_uid);
    to.put(its_series, DCM_SeriesInstanceUID,
           context.predecessor_series_uid.empty() ? object.series_uid : context.predecessor_series_uid);
    to.put(before, DCM_StudyInstanceUID, analysis.header.study_uid);
}

/// All analysed slices; without any the image from which the identity was read.
std::vector<AnalysedSlice> evidence_of(const StudyAnalysis& analysis) {
    const auto& seen = analysis.header;
    if (analysis.slices.empty()) return {{seen.sop_class_uid, seen.sop_instance_uid, 0, {}}};
    return analysis.slices;
}

}  // namespace

std::string model_device_uid(const StudyAnalysis& analysis) {
    return uid_from_text("scopenode model|" + analysis.manifest_sha256);
}

Status write_header(DcmItem& d, const StudyAnalysis& analysis, const ReportContext& context,
                    const EncodedObject& object) {
    Header to;
    put_common(to, d, analysis, context, object, {"sr", "SR", "9001", "ScopeNode ICH findings"});
    to.put(d, DCM_InstanceNumber, std::to_string(context.revision));
    const DicomTime time = time_of(analysis, context);
    to.put(d, DCM_ContentDate, time.date);
    to.put(d, DCM_ContentTime, time.time);
    to.empty_sequence(d, DCM_ReferencedPerformedProcedureStepSequence);

    const CodeTable& codes = CodeTable::embedded();
    DcmItem& scheme = to.item(d, DCM_CodingSchemeIdentificationSequence);
    to.put(scheme, DCM_CodingSchemeDesignator, codes.private_designator());
    to.put(scheme, DCM_CodingSchemeUID, codes.private_uid());
    to.put(scheme, DCM_CodingSchemeName, codes.private_name());

    to.put(d, DCM_CompletionFlag, "COMPLETE");
    to.put(d, DCM_VerificationFlag, "UNVERIFIED");
    to.put(d, DCM_PreliminaryFlag, "PRELIMINARY");
    to.empty_sequence(d, DCM_PerformedProcedureCodeSequence);
    put_evidence(to, d, DCM_CurrentRequestedProcedureEvidenceSequence, analysis, evidence_of(analysis));
    predecessor(to, d, analysis, context, object);
    return to.status();
}

}  // namespace scopenode::workflows
