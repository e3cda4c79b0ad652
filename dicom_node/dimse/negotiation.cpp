#include "dicom_node/dimse/negotiation.h"

#include <dcmtk/dcmdata/dcuid.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace scopenode::dicom_node {
namespace {

constexpr std::array<std::string_view, 22> kStorageClasses = {
    UID_CTImageStorage,
    UID_EnhancedCTImageStorage,
    UID_LegacyConvertedEnhancedCTImageStorage,
    UID_SecondaryCaptureImageStorage,
    UID_MultiframeSingleBitSecondaryCaptureImageStorage,
    UID_MultiframeGrayscaleByteSecondaryCaptureImageStorage,
    UID_MultiframeGrayscaleWordSecondaryCaptureImageStorage,
    UID_MultiframeTrueColorSecondaryCaptureImageStorage,
    UID_BasicTextSRStorage,
    UID_EnhancedSRStorage,
    UID_ComprehensiveSRStorage,
    UID_Comprehensive3DSRStorage,
    UID_ExtensibleSRStorage,
    UID_XRayRadiationDoseSRStorage,
    UID_RadiopharmaceuticalRadiationDoseSRStorage,
    UID_PatientRadiationDoseSRStorage,
    UID_MammographyCADSRStorage,
    UID_ChestCADSRStorage,
    UID_KeyObjectSelectionDocumentStorage,
    UID_GrayscaleSoftcopyPresentationStateStorage,
    UID_SegmentationStorage,
    UID_ParametricMapStorage,
};

constexpr std::array<std::string_view, 8> kTransferSyntaxes = {
    UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax,
    UID_RLELosslessTransferSyntax,          UID_JPEGProcess14SV1TransferSyntax,
    UID_JPEGProcess14TransferSyntax,        UID_JPEGLSLosslessTransferSyntax,
    UID_JPEGLSLossyTransferSyntax,          UID_DeflatedExplicitVRLittleEndianTransferSyntax,
};

std::string trimmed(const char* text) {
    std::string_view all(text);
    const auto first = all.find_first_not_of(' ');
    if (first == std::string_view::npos) return {};
    return std::string(all.substr(first, all.find_last_not_of(' ') - first + 1));
}

/// Of messages that are no objects.
constexpr std::array<std::string_view, 2> kPlainSyntaxes = {
    UID_LittleEndianExplicitTransferSyntax,
    UID_LittleEndianImplicitTransferSyntax,
};

/// Pointer into the proposed syntaxes, or null.
const char* choose_syntax(const T_ASC_PresentationContext& context, std::span<const std::string_view> taken) {
    const char* chosen = nullptr;
    for (int i = 0; i < context.transferSyntaxCount; ++i) {
        const char* proposed = context.proposedTransferSyntaxes[i];
        if (std::ranges::find(taken, std::string_view(proposed)) == taken.end()) continue;
        if (!chosen) chosen = proposed;
        // Private elements keep their VRs only in Explicit VR.
        if (std::string_view(chosen) == UID_LittleEndianImplicitTransferSyntax &&
            std::string_view(proposed) == UID_LittleEndianExplicitTransferSyntax)
            chosen = proposed;
    }
    return chosen;
}

Refusal permanent(std::string reason, T_ASC_RejectParametersReason code) {
    Refusal refusal;
    refusal.reason = std::move(reason);
    refusal.parameters = {ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER, code};
    return refusal;
}

}  // namespace

bool is_storage_class(const std::string& sop_class_uid) {
    return std::ranges::find(kStorageClasses, std::string_view(sop_class_uid)) != kStorageClasses.end();
}

std::string calling_ae(T_ASC_Parameters* parameters) {
    return trimmed(parameters->DULparams.callingAPTitle);
}

std::string peer_address(T_ASC_Parameters* parameters) {
    return trimmed(parameters->DULparams.callingPresentationAddress);
}

std::optional<Refusal> check_request(T_ASC_Parameters* parameters, const DimseOptions& options) {
    if (trimmed(parameters->DULparams.applicationContextName) != UID_StandardApplicationContext)
        return permanent("unknown application context", ASC_REASON_SU_APPCONTEXTNAMENOTSUPPORTED);
    if (trimmed(parameters->DULparams.calledAPTitle) != trimmed(options.ae_title.c_str()))
        return permanent("called AE title is not ours", ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED);
    const auto& allowed = options.allowed_callers;
    if (!allowed.empty() && std::ranges::find(allowed, calling_ae(parameters)) == allowed.end())
        return permanent("calling AE title is not allowed", ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED);
    return std::nullopt;
}

Refusal local_limit_exceeded() {
    Refusal refusal;
    refusal.reason = "as many associations as allowed are open";
    refusal.parameters = {ASC_RESULT_REJECTEDTRANSIENT, ASC_SOURCE_SERVICEPROVIDER_PRESENTATION_RELATED,
                          ASC_REASON_SP_PRES_LOCALLIMITEXCEEDED};
    return refusal;
}

OFCondition accept_contexts(T_ASC_Parameters* parameters, bool commitment) {
    const int count = ASC_countPresentationContexts(parameters);
    for (int i = 0; i < count; ++i) {
        T_ASC_PresentationContext context{};
        OFCondition done = ASC_getPresentationContext(parameters, i, &context);
        if (done.bad()) return done;
        const std::string abstract(context.abstractSyntax);
        const bool asks_or_tells = commitment && abstract == UID_StorageCommitmentPushModelSOPClass;
        const bool message = asks_or_tells || abstract == UID_ModalityPerformedProcedureStepSOPClass;
        const char* syntax = choose_syntax(
            context, message ? std::span<const std::string_view>(kPlainSyntaxes) : kTransferSyntaxes);
        const auto id = context.presentationContextID;
        if (!message && abstract != UID_VerificationSOPClass && !is_storage_class(abstract))
            done = ASC_refusePresentationContext(parameters, id, ASC_P_ABSTRACTSYNTAXNOTSUPPORTED);
        else if (!syntax)
            done = ASC_refusePresentationContext(parameters, id, ASC_P_TRANSFERSYNTAXESNOTSUPPORTED);
        else
            // A peer that reports on our own request is the SCP of this class: the roles are its choice.
            done = ASC_acceptPresentationContext(parameters, id, syntax,
                                                 asks_or_tells ? context.proposedRole : ASC_SC_ROLE_DEFAULT);
        if (done.bad()) return done;
    }
    return EC_Normal;
}

}  // namespace scopenode::dicom_node
