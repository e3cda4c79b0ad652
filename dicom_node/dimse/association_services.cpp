#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcuid.h>

#include "base/core/ids.h"
#include "base/log.h"
#include "dicom_node/dimse/association.h"
#include "dicom_node/dimse/messages.h"
#include "dicom_node/dimse/text.h"
#include "workflows/commitment.h"

namespace scopenode::dicom_node {
namespace {

constexpr const char* kRoom = "dimse";
/// PS3.4 F.7.2.2.2: the step has ended and may no longer be updated.
constexpr std::uint16_t kNoLongerUpdated = 0xA710;

tl::unexpected<ServiceFault> refuse(std::uint16_t status, std::string comment, std::uint16_t error_id = 0) {
    return tl::unexpected<ServiceFault>(ServiceFault{status, std::move(comment), error_id});
}

tl::unexpected<ServiceFault> refuse(const Error& error) {
    return refuse(STATUS_N_ProcessingFailure, error.message);
}

}  // namespace

OFCondition AssociationCommands::receive_attributes(T_ASC_PresentationContextID id, T_DIMSE_DataSetType type,
                                                    DcmDataset& into, std::optional<ServiceFault>& outcome) {
    if (type == DIMSE_DATASET_NULL) return EC_Normal;
    Status read;
    const OFCondition done =
        receive_message_data(association_, id, shared_.options.timeout_seconds, into, read);
    if (done.bad()) return done;
    if (!read && !outcome) outcome = ServiceFault{STATUS_N_ProcessingFailure, read.error().message, 0};
    return EC_Normal;
}

std::optional<ServiceFault> AssociationCommands::wrong_class(T_ASC_PresentationContextID id,
                                                             const char* named, const char* served) const {
    T_ASC_PresentationContext context{};
    if (ASC_findAcceptedPresentationContext(association_->params, id, &context).good() &&
        uid_text(context.abstractSyntax) == served && uid_text(named) == served)
        return std::nullopt;
    return ServiceFault{STATUS_N_SOPClassNotSupported, "not a SOP class for this request", 0};
}

OFCondition AssociationCommands::answer(T_ASC_PresentationContextID context, T_DIMSE_Message& response,
                                        std::uint16_t& status, const Served& outcome, const char* what) {
    status = STATUS_Success;
    DcmDataset detail;
    if (!outcome) {
        const ServiceFault& fault = outcome.error();
        status = fault.status;
        detail.putAndInsertString(DCM_ErrorComment, comment_text(fault.comment).c_str());
        if (fault.error_id != 0) detail.putAndInsertUint16(DCM_ErrorID, fault.error_id);
        log::warning(kRoom, "{} of {} refused with {:04X}: {}", what, calling_ae_, fault.status,
                     fault.comment);
    }
    return DIMSE_sendMessageUsingMemoryData(association_, context, &response, outcome ? nullptr : &detail,
                                            nullptr, nullptr, nullptr);
}

void AssociationCommands::changed_something() const {
    if (shared_.services.on_signal) shared_.services.on_signal();
}

OFCondition AssociationCommands::create(T_ASC_PresentationContextID id, const T_DIMSE_N_CreateRQ& request) {
    auto outcome = wrong_class(id, request.AffectedSOPClassUID, UID_ModalityPerformedProcedureStepSOPClass);
    DcmDataset attributes;
    const OFCondition received = receive_attributes(id, request.DataSetType, attributes, outcome);
    if (received.bad()) return received;
    const Served served = outcome ? Served(tl::unexpected(*outcome)) : created(request, attributes);
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_CREATE_RSP;
    auto& response = message.msg.NCreateRSP;
    response.MessageIDBeingRespondedTo = request.MessageID;
    response.DataSetType = DIMSE_DATASET_NULL;
    copy_text(response.AffectedSOPClassUID, request.AffectedSOPClassUID);
    response.opts = O_NCREATE_AFFECTEDSOPCLASSUID;
    const std::string uid = served ? *served : uid_text(request.AffectedSOPInstanceUID);
    if (!uid.empty()) {
        copy_text(response.AffectedSOPInstanceUID, uid);
        response.opts |= O_NCREATE_AFFECTEDSOPINSTANCEUID;
    }
    return answer(id, message, response.DimseStatus, served, "N-CREATE");
}

AssociationCommands::Served AssociationCommands::created(const T_DIMSE_N_CreateRQ& request,
                                                         DcmDataset& attributes) {
    auto step = decode_mpps_create(attributes);
    if (!step) return tl::unexpected(step.error());
    storage::MppsRow& row = step->row;
    if ((request.opts & O_NCREATE_AFFECTEDSOPINSTANCEUID) != 0)
        row.sop_instance_uid = uid_text(request.AffectedSOPInstanceUID);
    if (row.sop_instance_uid.empty()) row.sop_instance_uid = random_uid();
    if (!is_legal_uid(row.sop_instance_uid))
        return refuse(STATUS_N_InvalidSOPInstance, "the SOP Instance UID is not legal");
    row.calling_ae = calling_ae_;
    storage::Index& index = shared_.archive.index();
    row.created = index.clock().now();
    const Status kept =
        index.write([&](storage::Connection& db) { return storage::create_mpps(db, row, step->series); });
    if (!kept && kept.error().code == Code::kConflict)
        return refuse(STATUS_N_DuplicateSOPInstance, kept.error().message);
    if (!kept) return refuse(kept.error());
    log::info(kRoom, "performed procedure step {} of {} is in progress", row.sop_instance_uid, calling_ae_);
    changed_something();
    return row.sop_instance_uid;
}

OFCondition AssociationCommands::set(T_ASC_PresentationContextID id, const T_DIMSE_N_SetRQ& request) {
    auto outcome = wrong_class(id, request.RequestedSOPClassUID, UID_ModalityPerformedProcedureStepSOPClass);
    DcmDataset attributes;
    const OFCondition received = receive_attributes(id, request.DataSetType, attributes, outcome);
    if (received.bad()) return received;
    const Served served = outcome ? Served(tl::unexpected(*outcome)) : changed(request, attributes);
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_SET_RSP;
    auto& response = message.msg.NSetRSP;
    response.MessageIDBeingRespondedTo = request.MessageID;
    response.DataSetType = DIMSE_DATASET_NULL;
    copy_text(response.AffectedSOPClassUID, request.RequestedSOPClassUID);
    copy_text(response.AffectedSOPInstanceUID, request.RequestedSOPInstanceUID);
    response.opts = O_NSET_AFFECTEDSOPCLASSUID | O_NSET_AFFECTEDSOPINSTANCEUID;
    return answer(id, message, response.DimseStatus, served, "N-SET");
}

AssociationCommands::Served AssociationCommands::changed(const T_DIMSE_N_SetRQ& request,
                                                         DcmDataset& attributes) {
    const auto change = decode_mpps_set(attributes);
    if (!change) return tl::unexpected(change.error());
    const std::string uid = uid_text(request.RequestedSOPInstanceUID);
    storage::Index& index = shared_.archive.index();
    const UtcMs now = index.clock().now();
    const Status kept =
        index.write([&](storage::Connection& db) { return storage::change_mpps(db, uid, *change, now); });
    if (!kept && kept.error().code == Code::kNotFound)
        return refuse(STATUS_N_NoSuchSOPInstance, kept.error().message);
    if (!kept && kept.error().code == Code::kConflict)
        return refuse(STATUS_N_ProcessingFailure, "Performed Procedure Step Object may no longer be updated",
                      kNoLongerUpdated);
    if (!kept) return refuse(kept.error());
    log::info(kRoom, "performed procedure step {} of {}: {}", uid, calling_ae_,
              change->state.empty() ? "changed" : change->state);
    changed_something();
    return uid;
}

OFCondition AssociationCommands::action(T_ASC_PresentationContextID id, const T_DIMSE_N_ActionRQ& request) {
    auto outcome = wrong_class(id, request.RequestedSOPClassUID, UID_StorageCommitmentPushModelSOPClass);
    DcmDataset information;
    const OFCondition received = receive_attributes(id, request.DataSetType, information, outcome);
    if (received.bad()) return received;
    const Served served = outcome ? Served(tl::unexpected(*outcome)) : asked(id, request, information);
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_ACTION_RSP;
    auto& response = message.msg.NActionRSP;
    response.MessageIDBeingRespondedTo = request.MessageID;
    response.DataSetType = DIMSE_DATASET_NULL;
    response.ActionTypeID = request.ActionTypeID;
    copy_text(response.AffectedSOPClassUID, request.RequestedSOPClassUID);
    copy_text(response.AffectedSOPInstanceUID, request.RequestedSOPInstanceUID);
    response.opts = O_NACTION_AFFECTEDSOPCLASSUID | O_NACTION_AFFECTEDSOPINSTANCEUID | O_NACTION_ACTIONTYPEID;
    return answer(id, message, response.DimseStatus, served, "N-ACTION");
}

AssociationCommands::Served AssociationCommands::asked(T_ASC_PresentationContextID id,
                                                       const T_DIMSE_N_ActionRQ& request,
                                                       DcmDataset& information) {
    if (uid_text(request.RequestedSOPInstanceUID) != UID_StorageCommitmentPushModelSOPInstance)
        return refuse(STATUS_N_NoSuchSOPInstance, "there is one instance of Storage Commitment only");
    if (request.ActionTypeID != 1) return refuse(STATUS_N_NoSuchAction, "the action type must be 1");
    const auto question = decode_commitment_request(information);
    if (!question) return tl::unexpected(question.error());
    const auto kept = shared_.services.commitment->accept(*question, calling_ae_);
    if (!kept && kept.error().code == Code::kConflict)
        return refuse(STATUS_N_InvalidArgumentValue, kept.error().message);
    if (!kept) return refuse(kept.error());
    owed_.emplace_back(*kept, id);
    changed_something();
    return question->transaction_uid;
}

OFCondition AssociationCommands::event_report(T_ASC_PresentationContextID id,
                                              const T_DIMSE_N_EventReportRQ& request) {
    auto outcome = wrong_class(id, request.AffectedSOPClassUID, UID_StorageCommitmentPushModelSOPClass);
    if (!outcome && request.EventTypeID != 1 && request.EventTypeID != 2)
        outcome = ServiceFault{STATUS_N_NoSuchEventType, "the event type must be 1 or 2", 0};
    DcmDataset information;
    const OFCondition received = receive_attributes(id, request.DataSetType, information, outcome);
    if (received.bad()) return received;
    const Served served = outcome ? Served(tl::unexpected(*outcome)) : told(information);
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_EVENT_REPORT_RSP;
    auto& response = message.msg.NEventReportRSP;
    response.MessageIDBeingRespondedTo = request.MessageID;
    response.DataSetType = DIMSE_DATASET_NULL;
    response.EventTypeID = request.EventTypeID;
    copy_text(response.AffectedSOPClassUID, request.AffectedSOPClassUID);
    copy_text(response.AffectedSOPInstanceUID, request.AffectedSOPInstanceUID);
    response.opts = O_NEVENTREPORT_AFFECTEDSOPCLASSUID | O_NEVENTREPORT_AFFECTEDSOPINSTANCEUID |
                    O_NEVENTREPORT_EVENTTYPEID;
    return answer(id, message, response.DimseStatus, served, "N-EVENT-REPORT");
}

AssociationCommands::Served AssociationCommands::told(DcmDataset& information) {
    const auto report = decode_commitment_report(information);
    if (!report) return tl::unexpected(report.error());
    const Status taken = shared_.services.commitment->receive(*report, calling_ae_);
    if (!taken && taken.error().code == Code::kNotFound)
        return refuse(STATUS_N_InvalidArgumentValue, taken.error().message);
    if (!taken) return refuse(taken.error());
    return report->transaction_uid;
}

OFCondition AssociationCommands::report_owed() {
    const auto [request, context] = owed_.back();
    const auto notice = shared_.services.commitment->check(request);
    if (!notice) {
        // Told over another association while this one was busy, or its time comes again by itself.
        if (notice.error().code != Code::kConflict)
            log::error(kRoom, "commitment request {}: {}", request, notice.error().message);
        owed_.pop_back();
        return EC_Normal;
    }
    DcmDataset information;
    encode_commitment_report(*notice, information);
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_EVENT_REPORT_RQ;
    auto& report = message.msg.NEventReportRQ;
    report.MessageID = association_->nextMsgID++;
    report.DataSetType = DIMSE_DATASET_PRESENT;
    report.EventTypeID = event_type_of(*notice);
    copy_text(report.AffectedSOPClassUID, UID_StorageCommitmentPushModelSOPClass);
    copy_text(report.AffectedSOPInstanceUID, UID_StorageCommitmentPushModelSOPInstance);
    told_[report.MessageID] = request;
    owed_.pop_back();
    return DIMSE_sendMessageUsingMemoryData(association_, context, &message, nullptr, &information, nullptr,
                                            nullptr);
}

OFCondition AssociationCommands::event_answered(T_ASC_PresentationContextID id,
                                                const T_DIMSE_N_EventReportRSP& response) {
    DcmDataset reply;  // nothing of it is defined for this class
    std::optional<ServiceFault> outcome;
    const OFCondition received = receive_attributes(id, response.DataSetType, reply, outcome);
    if (received.bad()) return received;
    const auto found = told_.find(response.MessageIDBeingRespondedTo);
    if (found == told_.end()) return DIMSE_BADCOMMANDTYPE;
    const std::int64_t request = found->second;
    if (response.DimseStatus != STATUS_Success) {
        log::warning(kRoom, "{} answers the report on its commitment request with {:04X}", calling_ae_,
                     response.DimseStatus);
        return EC_Normal;  // told again on an association of ours
    }
    told_.erase(found);
    if (const Status kept = shared_.services.commitment->reported(request); !kept)
        log::error(kRoom, "commitment request {}: {}", request, kept.error().message);
    return EC_Normal;
}

// What the peer did not hear over this association it hears over one of ours.
void AssociationCommands::pass_on_reports() {
    for (const auto& [message, request] : told_) owed_.emplace_back(request, 0);
    told_.clear();
    for (const auto& [request, context] : owed_)
        if (const Status kept = shared_.services.commitment->not_reported(request); !kept)
            log::error(kRoom, "commitment request {}: {}", request, kept.error().message);
    owed_.clear();
}

}  // namespace scopenode::dicom_node
