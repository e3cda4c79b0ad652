#include "dicom_node/dimse/requested.h"

#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmdata/dcxfer.h>
#include <dcmtk/dcmnet/dimse.h>
#include <dcmtk/ofstd/ofstd.h>

#include "base/log.h"
#include "dicom_node/dimse/text.h"

namespace scopenode::dicom_node {
namespace {

constexpr int kFirstContext = 1;

/// What the status of a C-STORE response means for whoever sends (PS3.4 B.2.3).
Status status_meaning(std::uint16_t status, const std::string& comment, const std::string& peer) {
    if (status == STATUS_Success) return {};
    const std::string said = comment.empty() ? "" : ": " + comment;
    if ((status & 0xF000) == 0xB000) {
        log::warning("dimse", "{} stored with warning {:04X}{}", peer, status, said);
        return {};
    }
    if ((status & 0xFF00) == 0xA700)
        return fail(Code::kOutOfResources, "{} has no room (status {:04X}){}", peer, status, said);
    if (status == 0x0110)
        return fail(Code::kPeerUnavailable, "{} could not process the object (status {:04X}){}", peer, status,
                    said);
    return fail(Code::kPeerRefused, "{} refused the object (status {:04X}){}", peer, status, said);
}

std::string peer_text(const config::Destination& peer) {
    return fmt::format("{}@{}:{}", peer.ae_title, peer.host, peer.port);
}

}  // namespace

RequestedAssociation::RequestedAssociation(config::Destination peer, int timeout_seconds)
    : peer_(std::move(peer)), timeout_seconds_(timeout_seconds), layer_(timeout_seconds) {}

RequestedAssociation::~RequestedAssociation() {
    if (association_) {
        if (usable_) ASC_releaseAssociation(association_);
        ASC_destroyAssociation(&association_);
    }
    if (network_) ASC_dropNetwork(&network_);
}

Result<std::unique_ptr<RequestedAssociation>> RequestedAssociation::open(const std::string& calling_ae,
                                                                         const config::Destination& peer,
                                                                         const std::vector<Offer>& offers,
                                                                         int timeout_seconds,
                                                                         bool even_without) {
    prepare_network();
    std::unique_ptr<RequestedAssociation> made(new RequestedAssociation(peer, timeout_seconds));
    SCOPENODE_TRY(made->connect(calling_ae, offers));
    if (!even_without && ASC_countAcceptedPresentationContexts(made->association_->params) == 0)
        return fail(Code::kPeerRefused, "{} takes none of the offered SOP classes", peer_text(peer));
    return made;
}

Status RequestedAssociation::connect(const std::string& calling_ae, const std::vector<Offer>& offers) {
    OFCondition done = ASC_initializeNetwork(NET_REQUESTOR, 0, timeout_seconds_, &network_);
    if (done.good()) done = ASC_setTransportLayer(network_, &layer_, 0);
    T_ASC_Parameters* parameters = nullptr;
    if (done.good()) done = ASC_createAssociationParameters(&parameters, kMaxPdu);
    if (done.good()) {
        name_implementation(parameters);
        ASC_setAPTitles(parameters, calling_ae.c_str(), peer_.ae_title.c_str(), nullptr);
        done = ASC_setPresentationAddresses(parameters, "localhost",
                                            fmt::format("{}:{}", peer_.host, peer_.port).c_str());
    }
    int id = kFirstContext;
    for (const auto& offer : offers) {
        if (done.bad()) break;
        std::vector<const char*> syntaxes;
        for (const auto& syntax : offer.transfer_syntaxes) syntaxes.push_back(syntax.c_str());
        done = ASC_addPresentationContext(parameters, static_cast<T_ASC_PresentationContextID>(id),
                                          offer.sop_class_uid.c_str(), syntaxes.data(),
                                          static_cast<int>(syntaxes.size()), offer.role);
        id += 2;
    }
    if (done.bad()) {
        if (parameters) ASC_destroyAssociationParameters(&parameters);
        return fail(Code::kInternal, "cannot prepare an association: {}", done.text());
    }
    // The parameters belong to the association from here on, also when the request fails.
    done = ASC_requestAssociation(network_, parameters, &association_, nullptr, nullptr, DUL_NOBLOCK,
                                  timeout_seconds_);
    if (done.bad()) {
        if (!association_) ASC_destroyAssociationParameters(&parameters);
        return explain(done);
    }
    usable_ = true;
    return {};
}

Status RequestedAssociation::explain(const OFCondition& condition) const {
    const std::string peer = peer_text(peer_);
    if (condition == DUL_ASSOCIATIONREJECTED && association_) {
        T_ASC_RejectParameters rejected{};
        ASC_getRejectParameters(association_->params, &rejected);
        OFString text;
        ASC_printRejectParameters(text, &rejected);
        std::string words(text.c_str());
        for (char& c : words)
            if (c == '\n') c = ' ';
        if (rejected.result == ASC_RESULT_REJECTEDTRANSIENT)
            return fail(Code::kPeerUnavailable, "{} takes no association now: {}", peer, words);
        return fail(Code::kPeerRefused, "{} rejects the association: {}", peer, words);
    }
    if (condition == DUL_READTIMEOUT || condition == DIMSE_NODATAAVAILABLE)
        return fail(Code::kTimeout, "{} did not answer within {} s", peer, timeout_seconds_);
    std::string words(condition.text());
    for (char& c : words)
        if (c == '\n') c = ' ';
    return fail(Code::kPeerUnavailable, "{} cannot be reached: {}", peer, words);
}

Result<T_ASC_PresentationContextID> RequestedAssociation::context_for(const std::string& sop_class_uid,
                                                                      DcmDataset& data_set) {
    const DcmXfer own(data_set.getOriginalXfer());
    for (const auto wanted : {own.getXfer(), EXS_LittleEndianExplicit, EXS_LittleEndianImplicit}) {
        const auto id = ASC_findAcceptedPresentationContextID(association_, sop_class_uid.c_str(),
                                                              DcmXfer(wanted).getXferID());
        if (id == 0) continue;
        // DCMTK answers with another syntax of the class where the wanted one was not accepted.
        T_ASC_PresentationContext context{};
        ASC_findAcceptedPresentationContext(association_->params, id, &context);
        const DcmXfer accepted(context.acceptedTransferSyntax);
        if (accepted.getXfer() == own.getXfer()) return id;
        if (accepted.isEncapsulated()) continue;
        if (own.isEncapsulated() && (data_set.chooseRepresentation(accepted.getXfer(), nullptr).bad() ||
                                     !data_set.canWriteXfer(accepted.getXfer())))
            return fail(Code::kPeerRefused, "{} does not take {}, which cannot be decoded here",
                        peer_text(peer_), own.getXferName());
        return id;
    }
    return fail(Code::kPeerRefused, "{} does not take SOP class {} in {}", peer_text(peer_), sop_class_uid,
                own.getXferName());
}

bool RequestedAssociation::accepts(const std::string& sop_class_uid) const {
    return ASC_findAcceptedPresentationContextID(association_, sop_class_uid.c_str()) != 0;
}

Status RequestedAssociation::store(const std::string& sop_class_uid, const std::string& sop_instance_uid,
                                   DcmDataset& data_set) {
    SCOPENODE_ASSIGN(const auto answer, send(sop_class_uid, sop_instance_uid, data_set));
    return status_meaning(answer.status, answer.comment, peer_text(peer_));
}

Result<workflows::StoreAnswer> RequestedAssociation::send(const std::string& sop_class_uid,
                                                          const std::string& sop_instance_uid,
                                                          DcmDataset& data_set) {
    SCOPENODE_ASSIGN(const auto context, context_for(sop_class_uid, data_set));
    T_DIMSE_C_StoreRQ request{};
    T_DIMSE_C_StoreRSP response{};
    request.MessageID = association_->nextMsgID++;
    copy_text(request.AffectedSOPClassUID, sop_class_uid);
    copy_text(request.AffectedSOPInstanceUID, sop_instance_uid);
    request.DataSetType = DIMSE_DATASET_PRESENT;
    request.Priority = DIMSE_PRIORITY_MEDIUM;
    DcmDataset* detail = nullptr;
    const OFCondition done =
        DIMSE_storeUser(association_, context, &request, nullptr, &data_set, nullptr, nullptr,
                        DIMSE_NONBLOCKING, timeout_seconds_, &response, &detail);
    const std::unique_ptr<DcmDataset> held(detail);
    if (done.bad()) return fail(broken(done).error());
    OFString comment;
    if (detail) detail->findAndGetOFString(DCM_ErrorComment, comment);
    return workflows::StoreAnswer{response.DimseStatus, comment.c_str()};
}

Status RequestedAssociation::broken(const OFCondition& condition) {
    usable_ = false;
    ASC_abortAssociation(association_);
    return explain(condition);
}

}  // namespace scopenode::dicom_node
