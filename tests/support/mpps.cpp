#include "tests/support/mpps.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>
#include <dcmtk/ofstd/ofstd.h>

#include <stdexcept>
#include <utility>

namespace scopenode::test {
namespace {

constexpr int kSeconds = 30;

void must(const OFCondition& done, const char* what) {
    if (done.bad()) throw std::runtime_error(std::string(what) + ": " + done.text());
}

template <std::size_t N>
void copy(char (&to)[N], const std::string& from) {
    OFStandard::strlcpy(to, from.c_str(), N);
}

void send_echo(T_ASC_Association* association) {
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_C_ECHO_RQ;
    message.msg.CEchoRQ.MessageID = association->nextMsgID++;
    message.msg.CEchoRQ.DataSetType = DIMSE_DATASET_NULL;
    copy(message.msg.CEchoRQ.AffectedSOPClassUID, UID_VerificationSOPClass);
    const auto context = ASC_findAcceptedPresentationContextID(association, UID_VerificationSOPClass);
    must(DIMSE_sendMessageUsingMemoryData(association, context, &message, nullptr, nullptr, nullptr, nullptr),
         "C-ECHO");
}

void hear_echo(T_ASC_Association* association) {
    T_DIMSE_Message message{};
    T_ASC_PresentationContextID context = 0;
    must(DIMSE_receiveCommand(association, DIMSE_NONBLOCKING, kSeconds, &context, &message, nullptr),
         "C-ECHO");
    if (message.CommandField != DIMSE_C_ECHO_RSP) throw std::runtime_error("no answer to C-ECHO");
}

}  // namespace

struct ModalityAssociation::State {
    T_ASC_Network* network = nullptr;
    T_ASC_Association* association = nullptr;
    bool open = false;
};

ModalityAssociation::ModalityAssociation(int port, const std::string& calling_ae,
                                         const std::vector<Class>& classes, const std::string& called_ae)
    : state_(std::make_unique<State>()) {
    must(ASC_initializeNetwork(NET_REQUESTOR, 0, kSeconds, &state_->network), "network");
    T_ASC_Parameters* parameters = nullptr;
    must(ASC_createAssociationParameters(&parameters, ASC_DEFAULTMAXPDU), "parameters");
    ASC_setAPTitles(parameters, calling_ae.c_str(), called_ae.c_str(), nullptr);
    ASC_setPresentationAddresses(parameters, "localhost", ("127.0.0.1:" + std::to_string(port)).c_str());
    const char* syntaxes[] = {UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax};
    int id = 1;
    for (const Class& one : classes) {
        must(ASC_addPresentationContext(parameters, static_cast<T_ASC_PresentationContextID>(id),
                                        one.uid.c_str(), syntaxes, 2,
                                        one.as_scp ? ASC_SC_ROLE_SCP : ASC_SC_ROLE_DEFAULT),
             "context");
        id += 2;
    }
    must(ASC_requestAssociation(state_->network, parameters, &state_->association, nullptr, nullptr,
                                DUL_NOBLOCK, kSeconds),
         "association");
    state_->open = true;
}

ModalityAssociation::~ModalityAssociation() {
    if (state_->open) abort();
    if (state_->association) ASC_destroyAssociation(&state_->association);
    if (state_->network) ASC_dropNetwork(&state_->network);
}

void ModalityAssociation::release() {
    state_->open = false;
    must(ASC_releaseAssociation(state_->association), "release");
}

void ModalityAssociation::abort() {
    state_->open = false;
    ASC_abortAssociation(state_->association);
}

std::string ModalityAssociation::accepted(const std::string& uid) const {
    const auto id = ASC_findAcceptedPresentationContextID(state_->association, uid.c_str());
    if (id == 0) return "";
    T_ASC_PresentationContext context{};
    ASC_findAcceptedPresentationContext(state_->association->params, id, &context);
    return context.acceptedRole == ASC_SC_ROLE_SCP ? "scp" : "default";
}

int ModalityAssociation::exchange(void* request, const std::string& sop_class, DcmDataset* data_set) {
    auto& message = *static_cast<T_DIMSE_Message*>(request);
    // The first context when the class has none: for what a node must refuse.
    auto context = ASC_findAcceptedPresentationContextID(state_->association, sop_class.c_str());
    if (context == 0) context = 1;
    must(DIMSE_sendMessageUsingMemoryData(state_->association, context, &message, nullptr, data_set, nullptr,
                                          nullptr),
         "send");
    const bool echoes = std::exchange(echo_behind, false);
    if (echoes) send_echo(state_->association);
    T_DIMSE_Message answer{};
    DcmDataset* said = nullptr;
    T_ASC_PresentationContextID answered = 0;
    must(DIMSE_receiveCommand(state_->association, DIMSE_NONBLOCKING, kSeconds, &answered, &answer, &said),
         "answer");
    const std::unique_ptr<DcmDataset> detail(said);
    OFString text;
    Uint16 number = 0;
    if (detail) detail->findAndGetOFString(DCM_ErrorComment, text);
    if (detail) detail->findAndGetUint16(DCM_ErrorID, number);
    comment = text.c_str();
    error_id = number;
    if (echoes) hear_echo(state_->association);
    switch (answer.CommandField) {
        case DIMSE_N_CREATE_RSP:
            instance = answer.msg.NCreateRSP.AffectedSOPInstanceUID;
            return answer.msg.NCreateRSP.DimseStatus;
        case DIMSE_N_SET_RSP:
            return answer.msg.NSetRSP.DimseStatus;
        case DIMSE_N_ACTION_RSP:
            return answer.msg.NActionRSP.DimseStatus;
        case DIMSE_N_EVENT_REPORT_RSP:
            return answer.msg.NEventReportRSP.DimseStatus;
        default:
            throw std::runtime_error("another answer than the one to the request");
    }
}

int ModalityAssociation::n_create(const std::string& sop_class, const std::string& uid,
                                  DcmDataset* data_set) {
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_CREATE_RQ;
    auto& request = message.msg.NCreateRQ;
    request.MessageID = state_->association->nextMsgID++;
    request.DataSetType = data_set ? DIMSE_DATASET_PRESENT : DIMSE_DATASET_NULL;
    copy(request.AffectedSOPClassUID, sop_class);
    copy(request.AffectedSOPInstanceUID, uid);
    request.opts = uid.empty() ? 0 : O_NCREATE_AFFECTEDSOPINSTANCEUID;
    return exchange(&message, sop_class, data_set);
}

int ModalityAssociation::n_set(const std::string& sop_class, const std::string& uid, DcmDataset* data_set) {
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_SET_RQ;
    auto& request = message.msg.NSetRQ;
    request.MessageID = state_->association->nextMsgID++;
    request.DataSetType = data_set ? DIMSE_DATASET_PRESENT : DIMSE_DATASET_NULL;
    copy(request.RequestedSOPClassUID, sop_class);
    copy(request.RequestedSOPInstanceUID, uid);
    return exchange(&message, sop_class, data_set);
}

int ModalityAssociation::n_action(const std::string& sop_class, const std::string& uid, int type,
                                  DcmDataset* data_set) {
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_ACTION_RQ;
    auto& request = message.msg.NActionRQ;
    request.MessageID = state_->association->nextMsgID++;
    request.ActionTypeID = static_cast<DIC_US>(type);
    request.DataSetType = data_set ? DIMSE_DATASET_PRESENT : DIMSE_DATASET_NULL;
    copy(request.RequestedSOPClassUID, sop_class);
    copy(request.RequestedSOPInstanceUID, uid);
    return exchange(&message, sop_class, data_set);
}

int ModalityAssociation::n_event_report(const std::string& sop_class, const std::string& uid, int type,
                                        DcmDataset* data_set) {
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_EVENT_REPORT_RQ;
    auto& request = message.msg.NEventReportRQ;
    request.MessageID = state_->association->nextMsgID++;
    request.EventTypeID = static_cast<DIC_US>(type);
    request.DataSetType = data_set ? DIMSE_DATASET_PRESENT : DIMSE_DATASET_NULL;
    copy(request.AffectedSOPClassUID, sop_class);
    copy(request.AffectedSOPInstanceUID, uid);
    return exchange(&message, sop_class, data_set);
}

int ModalityAssociation::hear(int seconds, DcmDataset& information, int answer_status) {
    T_DIMSE_Message message{};
    T_ASC_PresentationContextID context = 0;
    const OFCondition received =
        DIMSE_receiveCommand(state_->association, DIMSE_NONBLOCKING, seconds, &context, &message, nullptr);
    if (received == DIMSE_NODATAAVAILABLE) return 0;
    must(received, "report");
    if (message.CommandField != DIMSE_N_EVENT_REPORT_RQ)
        throw std::runtime_error("another message than a report");
    const auto& report = message.msg.NEventReportRQ;
    DcmDataset* read = nullptr;
    must(DIMSE_receiveDataSetInMemory(state_->association, DIMSE_NONBLOCKING, kSeconds, &context, &read,
                                      nullptr, nullptr),
         "data set");
    information = *read;
    delete read;
    T_DIMSE_Message answer{};
    answer.CommandField = DIMSE_N_EVENT_REPORT_RSP;
    auto& response = answer.msg.NEventReportRSP;
    response.MessageIDBeingRespondedTo = report.MessageID;
    response.DataSetType = DIMSE_DATASET_NULL;
    response.DimseStatus = static_cast<DIC_US>(answer_status);
    must(DIMSE_sendMessageUsingMemoryData(state_->association, context, &answer, nullptr, nullptr, nullptr,
                                          nullptr),
         "answer to the report");
    return report.EventTypeID;
}

int ModalityAssociation::echo() {
    DIC_US status = 0xFFFF;
    must(DIMSE_echoUser(state_->association, state_->association->nextMsgID++, DIMSE_NONBLOCKING, kSeconds,
                        &status, nullptr),
         "C-ECHO");
    return status;
}

int MppsSender::create(const std::string& study_uid, const std::string& mpps_uid) {
    return create(std::vector<std::string>{study_uid}, mpps_uid);
}

int MppsSender::create(const std::vector<std::string>& study_uids, const std::string& mpps_uid,
                       const std::string& status) {
    DcmDataset attributes;
    for (const std::string& study : study_uids) {
        DcmItem* item = nullptr;
        must(attributes.findOrCreateSequenceItem(DCM_ScheduledStepAttributesSequence, item, -2), "item");
        item->putAndInsertString(DCM_StudyInstanceUID, study.c_str());
        item->putAndInsertString(DCM_AccessionNumber, "A1");
    }
    attributes.putAndInsertString(DCM_PatientID, "P1");
    attributes.putAndInsertString(DCM_PerformedProcedureStepID, "1");
    attributes.putAndInsertString(DCM_PerformedStationAETitle, ae_.c_str());
    attributes.putAndInsertString(DCM_PerformedProcedureStepStartDate, "20260102");
    attributes.putAndInsertString(DCM_PerformedProcedureStepStartTime, "101112");
    if (!status.empty()) attributes.putAndInsertString(DCM_PerformedProcedureStepStatus, status.c_str());
    attributes.putAndInsertString(DCM_Modality, "CT");
    ModalityAssociation association(port_, ae_, {{UID_ModalityPerformedProcedureStepSOPClass}});
    const int answered =
        association.n_create(UID_ModalityPerformedProcedureStepSOPClass, mpps_uid, &attributes);
    last_uid = association.instance;
    last_comment = association.comment;
    association.release();
    return answered;
}

int MppsSender::discontinue(const std::string& mpps_uid, const std::string& reason) {
    return set(mpps_uid, "DISCONTINUED", {}, reason);
}

int MppsSender::set(const std::string& mpps_uid, const std::string& status, const Images& images,
                    const std::string& reason) {
    DcmDataset attributes;
    if (!status.empty()) attributes.putAndInsertString(DCM_PerformedProcedureStepStatus, status.c_str());
    attributes.putAndInsertString(DCM_PerformedProcedureStepEndDate, "20260102");
    attributes.putAndInsertString(DCM_PerformedProcedureStepEndTime, "101512");
    for (const auto& [series_uid, uids] : images) {
        DcmItem* series = nullptr;
        must(attributes.findOrCreateSequenceItem(DCM_PerformedSeriesSequence, series, -2), "series");
        series->putAndInsertString(DCM_SeriesInstanceUID, series_uid.c_str());
        for (const std::string& uid : uids) {
            DcmItem* image = nullptr;
            must(series->findOrCreateSequenceItem(DCM_ReferencedImageSequence, image, -2), "image");
            image->putAndInsertString(DCM_ReferencedSOPClassUID, UID_CTImageStorage);
            image->putAndInsertString(DCM_ReferencedSOPInstanceUID, uid.c_str());
        }
    }
    if (!reason.empty()) {
        DcmItem* code = nullptr;
        must(attributes.findOrCreateSequenceItem(DCM_PerformedProcedureStepDiscontinuationReasonCodeSequence,
                                                 code, -2),
             "reason");
        code->putAndInsertString(DCM_CodeValue, "110501");
        code->putAndInsertString(DCM_CodingSchemeDesignator, "DCM");
        code->putAndInsertString(DCM_CodeMeaning, reason.c_str());
    }
    ModalityAssociation association(port_, ae_, {{UID_ModalityPerformedProcedureStepSOPClass}});
    const int answered = association.n_set(UID_ModalityPerformedProcedureStepSOPClass, mpps_uid, &attributes);
    last_comment = association.comment;
    last_error_id = association.error_id;
    association.release();
    return answered;
}

}  // namespace scopenode::test
