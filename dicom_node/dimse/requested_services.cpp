#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom_node/dimse/messages.h"
#include "dicom_node/dimse/notices.h"
#include "dicom_node/dimse/requested.h"
#include "dicom_node/dimse/text.h"

namespace scopenode::dicom_node {
namespace {

std::string comment_of(const std::unique_ptr<DcmDataset>& detail) {
    OFString comment;
    if (detail) detail->findAndGetOFString(DCM_ErrorComment, comment);
    return comment.c_str();
}

}  // namespace

Result<T_ASC_PresentationContextID> RequestedAssociation::commitment_context() const {
    const auto id =
        ASC_findAcceptedPresentationContextID(association_, UID_StorageCommitmentPushModelSOPClass);
    if (id == 0) return fail(Code::kPeerRefused, "{} does not offer Storage Commitment", peer_.ae_title);
    return id;
}

Status RequestedAssociation::receive(T_ASC_PresentationContextID& context, T_DIMSE_Message& message,
                                     std::unique_ptr<DcmDataset>& detail) {
    DcmDataset* said = nullptr;
    const OFCondition received =
        DIMSE_receiveCommand(association_, DIMSE_NONBLOCKING, timeout_seconds_, &context, &message, &said);
    detail.reset(said);
    if (received.good()) return {};
    if (received == DUL_PEERREQUESTEDRELEASE) {
        usable_ = false;
        ASC_acknowledgeRelease(association_);
        return fail(Code::kPeerUnavailable, "{} has released the association", peer_.ae_title);
    }
    return broken(received);
}

Result<workflows::StoreAnswer> RequestedAssociation::ask_commitment(
    const storage::CommitmentNotice& question) {
    SCOPENODE_ASSIGN(const auto context, commitment_context());
    DcmDataset information;
    encode_commitment_request(question, information);
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_ACTION_RQ;
    auto& request = message.msg.NActionRQ;
    request.MessageID = association_->nextMsgID++;
    request.ActionTypeID = 1;
    request.DataSetType = DIMSE_DATASET_PRESENT;
    copy_text(request.RequestedSOPClassUID, UID_StorageCommitmentPushModelSOPClass);
    copy_text(request.RequestedSOPInstanceUID, UID_StorageCommitmentPushModelSOPInstance);
    const std::uint16_t id = request.MessageID;
    const OFCondition sent = DIMSE_sendMessageUsingMemoryData(association_, context, &message, nullptr,
                                                              &information, nullptr, nullptr);
    if (sent.bad()) return fail(broken(sent).error());
    return action_answered(id);
}

Result<workflows::StoreAnswer> RequestedAssociation::action_answered(std::uint16_t message_id) {
    for (;;) {
        T_DIMSE_Message message{};
        T_ASC_PresentationContextID context = 0;
        std::unique_ptr<DcmDataset> detail;
        SCOPENODE_TRY(receive(context, message, detail));
        // A fast peer reports on what it was asked before, or on this, first.
        if (message.CommandField == DIMSE_N_EVENT_REPORT_RQ) {
            SCOPENODE_TRY(take_report(context, message));
            continue;
        }
        const auto& response = message.msg.NActionRSP;
        if (message.CommandField != DIMSE_N_ACTION_RSP || response.MessageIDBeingRespondedTo != message_id)
            return fail(broken(DIMSE_BADCOMMANDTYPE).error());
        if (response.DataSetType != DIMSE_DATASET_NULL) {
            DIC_UL bytes = 0, fragments = 0;
            const OFCondition ignored =
                DIMSE_ignoreDataSet(association_, DIMSE_NONBLOCKING, timeout_seconds_, &bytes, &fragments);
            if (ignored.bad()) return fail(broken(ignored).error());
        }
        return workflows::StoreAnswer{response.DimseStatus, comment_of(detail)};
    }
}

Status RequestedAssociation::take_report(T_ASC_PresentationContextID context,
                                         const T_DIMSE_Message& message) {
    const auto& request = message.msg.NEventReportRQ;
    DcmDataset information;
    Status read;
    if (request.DataSetType != DIMSE_DATASET_NULL) {
        const OFCondition received =
            receive_message_data(association_, context, timeout_seconds_, information, read);
        if (received.bad()) return broken(received);
    }
    auto report = decode_commitment_report(information);
    T_DIMSE_Message answer{};
    answer.CommandField = DIMSE_N_EVENT_REPORT_RSP;
    auto& response = answer.msg.NEventReportRSP;
    response.MessageIDBeingRespondedTo = request.MessageID;
    response.DataSetType = DIMSE_DATASET_NULL;
    response.EventTypeID = request.EventTypeID;
    response.DimseStatus = report ? STATUS_Success : report.error().status;
    copy_text(response.AffectedSOPClassUID, request.AffectedSOPClassUID);
    copy_text(response.AffectedSOPInstanceUID, request.AffectedSOPInstanceUID);
    response.opts = O_NEVENTREPORT_AFFECTEDSOPCLASSUID | O_NEVENTREPORT_AFFECTEDSOPINSTANCEUID |
                    O_NEVENTREPORT_EVENTTYPEID;
    if (report) reports_.push_back(std::move(*report));
    const OFCondition sent =
        DIMSE_sendMessageUsingMemoryData(association_, context, &answer, nullptr, nullptr, nullptr, nullptr);
    return sent.good() ? Status() : broken(sent);
}

Result<std::optional<storage::CommitmentNotice>> RequestedAssociation::next_report(
    std::chrono::milliseconds wait) {
    if (reports_.empty() && data_waiting(association_, wait)) {
        T_DIMSE_Message message{};
        T_ASC_PresentationContextID context = 0;
        std::unique_ptr<DcmDataset> detail;
        SCOPENODE_TRY(receive(context, message, detail));
        if (message.CommandField != DIMSE_N_EVENT_REPORT_RQ)
            return fail(broken(DIMSE_BADCOMMANDTYPE).error());
        SCOPENODE_TRY(take_report(context, message));
    }
    if (reports_.empty()) return std::optional<storage::CommitmentNotice>();
    std::optional<storage::CommitmentNotice> first(std::move(reports_.front()));
    reports_.erase(reports_.begin());
    return first;
}

Status RequestedAssociation::report_commitment(const storage::CommitmentNotice& report) {
    SCOPENODE_ASSIGN(const auto context, commitment_context());
    DcmDataset information;
    encode_commitment_report(report, information);
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_EVENT_REPORT_RQ;
    auto& request = message.msg.NEventReportRQ;
    request.MessageID = association_->nextMsgID++;
    request.EventTypeID = event_type_of(report);
    request.DataSetType = DIMSE_DATASET_PRESENT;
    copy_text(request.AffectedSOPClassUID, UID_StorageCommitmentPushModelSOPClass);
    copy_text(request.AffectedSOPInstanceUID, UID_StorageCommitmentPushModelSOPInstance);
    const OFCondition sent = DIMSE_sendMessageUsingMemoryData(association_, context, &message, nullptr,
                                                              &information, nullptr, nullptr);
    if (sent.bad()) return broken(sent);
    T_DIMSE_Message answer{};
    T_ASC_PresentationContextID id = 0;
    std::unique_ptr<DcmDataset> detail;
    SCOPENODE_TRY(receive(id, answer, detail));
    if (answer.CommandField != DIMSE_N_EVENT_REPORT_RSP) return broken(DIMSE_BADCOMMANDTYPE);
    const auto status = answer.msg.NEventReportRSP.DimseStatus;
    if (status == STATUS_Success) return {};
    return fail(Code::kPeerRefused, "{} answered the report with status {:04X} {}", peer_.ae_title, status,
                comment_of(detail));
}

}  // namespace scopenode::dicom_node
