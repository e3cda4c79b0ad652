#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dctk.h>

#include <algorithm>

#include "base/core/ids.h"
#include "workflows/results/report_parts.h"

namespace scopenode::workflows {
namespace {

Status check(const StudyAnalysis& analysis) {
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
    if (analysis.slices.empty())
        return fail(Code::kInvalidArgument, "a report needs at least one analysed slice");
    for (const AnalysedSlice& slice : analysis.slices)
        if (!is_legal_uid(slice.sop_instance_uid) || !is_legal_uid(slice.sop_class_uid))
            return fail(Code::kInvalidArgument, "slice '{}' has an illegal UID", slice.sop_instance_uid);
    return {};
}

Result<std::string> part10_bytes(DcmFileFormat& file) {
    constexpr E_TransferSyntax kSyntax = EXS_LittleEndianExplicit;
    OFCondition condition = file.validateMetaInfo(kSyntax);
    if (condition.bad()) return fail(Code::kInternal, "no meta header for the report: {}", condition.text());
    std::string buffer(1 << 16, '\0');
    std::string bytes;
    DcmOutputBufferStream stream(buffer.data(), static_cast<offile_off_t>(buffer.size()));
    file.transferInit();
    do {
        condition = file.write(stream, kSyntax, EET_ExplicitLength, nullptr);
        void* piece = nullptr;
        offile_off_t length = 0;
        stream.flushBuffer(piece, length);
        bytes.append(static_cast<const char*>(piece), static_cast<std::size_t>(length));
    } while (condition == EC_StreamNotifyClient);
    file.transferEnd();
    if (condition.bad()) return fail(Code::kInternal, "the report cannot be encoded: {}", condition.text());
    return bytes;
}

}  // namespace

std::string result_uid(const ReportContext& context, const StudyAnalysis& analysis, const std::string& kind,
                       const std::string& sop_class_uid, int index) {
    return uid_from_text(fmt::format("scopenode result|{}|{}|{}|{}|{}|{}|{}", context.node_uid,
                                     analysis.header.study_uid, context.revision, analysis.manifest_sha256,
                                     kind, sop_class_uid, index));
}

Result<EncodedObject> encode_report(const StudyAnalysis& analysis, const ReportContext& context) {
    SCOPENODE_TRY(check(analysis));
    EncodedObject object;
    object.kind = "sr";
    object.sop_class_uid = kComprehensive3dSr;
    object.sop_instance_uid = result_uid(context, analysis, object.kind, object.sop_class_uid, 0);
    object.series_uid = report_series_uid(context, analysis);

    DcmFileFormat file;
    DcmDataset& dataset = *file.getDataset();
    SCOPENODE_TRY(write_tree(dataset, analysis, context, verdicts_of(analysis)));
    SCOPENODE_TRY(write_header(dataset, analysis, context, object));
    SCOPENODE_ASSIGN(object.bytes, part10_bytes(file));
    return object;
}

}  // namespace scopenode::workflows
