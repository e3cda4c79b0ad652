#include "dicom_node/dimse/messages.h"

#include "dicom_node/dimse/text.h"
#include "storage/dicom/parse.h"

namespace scopenode::dicom_node {
namespace {

/// Messages are lists of UIDs: 100,000 of them fit.
constexpr std::size_t kMostMessageBytes = std::size_t{32} << 20;

OFCondition next_fragment(T_ASC_Association* association, int timeout_seconds, DUL_PDV& fragment) {
    if (DUL_NextPDV(&association->DULassociation, &fragment).good()) return EC_Normal;
    if (!ASC_dataWaiting(association, timeout_seconds)) return DIMSE_NODATAAVAILABLE;
    const OFCondition read =
        DUL_ReadPDVs(&association->DULassociation, nullptr, DUL_NOBLOCK, timeout_seconds);
    if (read != DUL_PDATAPDUARRIVED) return read.good() ? DIMSE_READPDVFAILED : read;
    return DUL_NextPDV(&association->DULassociation, &fragment);
}

}  // namespace

OFCondition read_fragments(T_ASC_Association* association, T_ASC_PresentationContextID context,
                           int timeout_seconds, const std::function<void(std::string_view)>& take) {
    DUL_PDV fragment{};
    while (!fragment.lastPDV) {
        if (const auto read = next_fragment(association, timeout_seconds, fragment); read.bad()) return read;
        if (fragment.pdvType != DUL_DATASETPDV) return DIMSE_UNEXPECTEDPDVTYPE;
        if (fragment.presentationContextID != context) return DIMSE_UNEXPECTEDPDVTYPE;
        take({static_cast<const char*>(fragment.data), fragment.fragmentLength});
    }
    return EC_Normal;
}

OFCondition receive_message_data(T_ASC_Association* association, T_ASC_PresentationContextID id,
                                 int timeout_seconds, DcmDataset& into, Status& read) {
    T_ASC_PresentationContext context{};
    OFCondition done = ASC_findAcceptedPresentationContext(association->params, id, &context);
    if (done.bad()) return done;
    std::string bytes;
    done = read_fragments(association, id, timeout_seconds, [&](std::string_view part) {
        if (read && bytes.size() + part.size() > kMostMessageBytes)
            read = fail(Code::kCannotUnderstand, "the message is longer than {} MB", kMostMessageBytes >> 20);
        if (read) bytes += part;
    });
    if (done.good() && read)
        read = storage::parse_data_set(into, bytes, uid_text(context.acceptedTransferSyntax));
    return done;
}

}  // namespace scopenode::dicom_node
