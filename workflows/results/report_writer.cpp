#include "base/core/ids.h"
#include "workflows/results/object_header.h"

namespace scopenode::workflows {
Status check_reportable(const StudyAnalysis& analysis) {
    SCOPENODE_TRY(check_codes());
    if (!storage::dictionary_is_loaded())
        return fail(Code::kInternal,
                    "DCMTK's data dictionary is not loaded: no report is written without it");
    if (!is_legal_uid(analysis.header.study_uid) || !is_legal_uid(analysis.series_uid))
        return fail(Code::kInvalidArgument, "a report needs legal study and series UIDs, not '{}' and '{}'",
                    analysis.header.study_uid, analysis.series_uid);
    if (analysis.header.series_uid != analysis.series_uid)
        return fail(Code::kIdentityMismatch,
                    "the header read for the report is of series {}, the slices are of {}",
                    analysis.header.series_uid, analysis.series_uid);
    if (analysis.slices.empty() && (analysis.determined || analysis.reasons.empty()))
        return fail(Code::kInvalidArgument, "a report needs an analysed slice, or reasons why there is none");
    const auto& seen = analysis.header;
    if (analysis.slices.empty() &&
        (!is_legal_uid(seen.sop_instance_uid) || !is_legal_uid(seen.sop_class_uid)))
        return fail(Code::kInvalidArgument, "image '{}' has an illegal UID", seen.sop_instance_uid);
    for (const AnalysedSlice& slice : analysis.slices)
        if (!is_legal_uid(slice.sop_instance_uid) || !is_legal_uid(slice.sop_class_uid))
            return fail(Code::kInvalidArgument, "slice '{}' has an illegal UID", slice.sop_instance_uid);
    return {};
}

std::string result_uid(const ReportContext& context, const StudyAnalysis& analysis, const std::string& kind,
                       const std::string& sop_class_uid, int index) {
    return uid_from_text(fmt::format("scopenode result|{}|{}|{}|{}|{}|{}|{}", context.node_uid,
                                     analysis.header.study_uid, context.revision, analysis.manifest_sha256,
                                     kind, sop_class_uid, index));
}

namespace {
struct SrForm {
    const char* kind;
    std::string_view sop_class_uid;
};
SrForm form_of(SrClass sr_class) {
    switch (sr_class) {
        case SrClass::kComprehensive:
            return {"sr-comprehensive", kComprehensiveSr};
        case SrClass::kEnhanced:
            return {"sr-enhanced", kEnhancedSr};
        case SrClass::kBasicText:
            return {"sr-basic", kBasicTextSr};
        default:
            return {"sr", kComprehensive3dSr};
    }
}
}  // namespace

std::string kind_of(SrClass sr_class) {
    return form_of(sr_class).kind;
}

std::string sop_class_of(SrClass sr_class) {
    return std::string(form_of(sr_class).sop_class_uid);
}

Result<EncodedObject> encode_report(const StudyAnalysis& analysis, const ReportContext& context,
                                    SrClass sr_class) {
    SCOPENODE_TRY(check_reportable(analysis));
    const SrForm form = form_of(sr_class);
    EncodedObject object = named_object(analysis, context, form.kind, form.sop_class_uid, "sr", 0);

    DcmFileFormat file;
    DcmDataset& dataset = *file.getDataset();
    const Verdicts verdicts = verdicts_of(analysis);
    SCOPENODE_TRY(sr_class == SrClass::kBasicText
                      ? write_plain_tree(dataset, analysis, context, verdicts)
                      : write_tree(dataset, analysis, context, verdicts, sr_class));
    SCOPENODE_TRY(write_header(dataset, analysis, context, object));
    SCOPENODE_ASSIGN(object.bytes, part10_bytes(file));
    return object;
}

}  // namespace scopenode::workflows
