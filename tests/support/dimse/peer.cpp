#include "tests/support/dimse/peer.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <stdexcept>
#include <thread>

#include "dicom_node/dimse/notices.h"
#include "dicom_node/dimse/text.h"
#include "dicom_node/dimse/transport.h"

namespace scopenode::test {

using namespace dicom_node;
using storage::CommitmentNotice;

namespace {
constexpr int kSeconds = 10;
}

struct DimsePeer::State {
    Behaviour behaviour;
    QuickLayer layer{kSeconds};
    Listener listener;
    std::atomic<bool> stopping{false};
    std::thread thread;

    mutable std::mutex mutex;
    std::vector<std::string> stored;
    std::map<std::string, int> stores, answers;
    std::vector<CommitmentNotice> asked, reports;
    int associations = 0;

    T_ASC_Association* association = nullptr;
    std::vector<std::pair<CommitmentNotice, T_ASC_PresentationContextID>> owed;

    void listen();
    void serve(int socket);
    void accept_contexts(const Behaviour& now);
    bool one_command();
    bool store(T_ASC_PresentationContextID context, const T_DIMSE_C_StoreRQ& request);
    bool action(T_ASC_PresentationContextID context, const T_DIMSE_N_ActionRQ& request);
    bool heard(T_ASC_PresentationContextID context, const T_DIMSE_N_EventReportRQ& request);
    bool report_owed();
    std::unique_ptr<DcmDataset> data_set();
    Behaviour current() const {
        std::lock_guard lock(mutex);
        return behaviour;
    }
};

void DimsePeer::State::listen() {
    while (!stopping) {
        pollfd waiting{listener.descriptor, POLLIN, 0};
        if (::poll(&waiting, 1, 50) <= 0) continue;
        const int socket = ::accept4(listener.descriptor, nullptr, nullptr, SOCK_CLOEXEC);
        if (socket >= 0) serve(socket);
    }
}

void DimsePeer::State::accept_contexts(const Behaviour& now) {
    T_ASC_Parameters* parameters = association->params;
    for (int i = 0; i < ASC_countPresentationContexts(parameters); ++i) {
        T_ASC_PresentationContext context{};
        ASC_getPresentationContext(parameters, i, &context);
        const std::string abstract(context.abstractSyntax);
        const bool commitment = abstract == UID_StorageCommitmentPushModelSOPClass;
        if (now.not_taken.contains(abstract) || (commitment && !now.commitment))
            ASC_refusePresentationContext(parameters, context.presentationContextID,
                                          ASC_P_ABSTRACTSYNTAXNOTSUPPORTED);
        else
            ASC_acceptPresentationContext(parameters, context.presentationContextID,
                                          context.proposedTransferSyntaxes[0], context.proposedRole);
    }
}

void DimsePeer::State::serve(int socket) {
    T_ASC_Network* network = nullptr;
    owed.clear();
    if (receive_association(socket, layer, kSeconds, &network, &association).good()) {
        const Behaviour now = current();
        {
            std::lock_guard lock(mutex);
            ++associations;
        }
        if (now.rejects) {
            const T_ASC_RejectParameters no{ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER,
                                            ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED};
            ASC_rejectAssociation(association, &no);
        } else {
            accept_contexts(now);
            if (ASC_acknowledgeAssociation(association).good())
                while (!stopping && one_command()) continue;
        }
    }
    if (association) {
        ASC_dropAssociation(association);
        ASC_destroyAssociation(&association);
    }
    if (network) ASC_dropNetwork(&network);
}

bool DimsePeer::State::one_command() {
    if (!data_waiting(association, std::chrono::milliseconds(50))) return owed.empty() || report_owed();
    T_DIMSE_Message message{};
    T_ASC_PresentationContextID context = 0;
    const OFCondition received =
        DIMSE_receiveCommand(association, DIMSE_NONBLOCKING, kSeconds, &context, &message, nullptr);
    if (received == DUL_PEERREQUESTEDRELEASE) ASC_acknowledgeRelease(association);
    if (received.bad()) return false;
    switch (message.CommandField) {
        case DIMSE_C_ECHO_RQ:
            return DIMSE_sendEchoResponse(association, context, &message.msg.CEchoRQ, 0, nullptr).good();
        case DIMSE_C_STORE_RQ:
            return store(context, message.msg.CStoreRQ);
        case DIMSE_N_ACTION_RQ:
            return action(context, message.msg.NActionRQ);
        case DIMSE_N_EVENT_REPORT_RQ:
            return heard(context, message.msg.NEventReportRQ);
        case DIMSE_N_EVENT_REPORT_RSP:
            return true;
        default:
            return false;
    }
}

std::unique_ptr<DcmDataset> DimsePeer::State::data_set() {
    DcmDataset* read = nullptr;
    T_ASC_PresentationContextID context = 0;
    DIMSE_receiveDataSetInMemory(association, DIMSE_NONBLOCKING, kSeconds, &context, &read, nullptr, nullptr);
    return std::unique_ptr<DcmDataset>(read ? read : new DcmDataset);
}

bool DimsePeer::State::store(T_ASC_PresentationContextID context, const T_DIMSE_C_StoreRQ& request) {
    const auto object = data_set();
    const std::string uid = request.AffectedSOPInstanceUID;
    T_DIMSE_C_StoreRSP response{};
    {
        std::lock_guard lock(mutex);
        const int before = stores[uid]++;
        const int status = behaviour.store_status ? behaviour.store_status(uid, before) : 0;
        response.DimseStatus = static_cast<DIC_US>(status);
        if (status == 0 || (status & 0xF000) == 0xB000) stored.push_back(uid);
    }
    return DIMSE_sendStoreResponse(association, context, &request, &response, nullptr).good();
}

bool DimsePeer::State::action(T_ASC_PresentationContextID context, const T_DIMSE_N_ActionRQ& request) {
    const auto information = data_set();
    auto question = decode_commitment_request(*information);
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_ACTION_RSP;
    auto& response = message.msg.NActionRSP;
    response.MessageIDBeingRespondedTo = request.MessageID;
    response.DataSetType = DIMSE_DATASET_NULL;
    {
        std::lock_guard lock(mutex);
        response.DimseStatus = static_cast<DIC_US>(behaviour.action_status);
        if (question) asked.push_back(*question);
        if (question && behaviour.action_status == 0 && behaviour.reports == Reports::kOnSameAssociation) {
            for (auto& one : question->instances) {
                const int before = answers[one.sop_instance_uid]++;
                one.failure = behaviour.failure ? behaviour.failure(one.sop_instance_uid, before) : 0;
            }
            owed.emplace_back(*question, context);
        }
    }
    return DIMSE_sendMessageUsingMemoryData(association, context, &message, nullptr, nullptr, nullptr,
                                            nullptr)
        .good();
}

bool DimsePeer::State::report_owed() {
    const auto [notice, context] = owed.back();
    owed.pop_back();
    DcmDataset information;
    encode_commitment_report(notice, information);
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_EVENT_REPORT_RQ;
    auto& report = message.msg.NEventReportRQ;
    report.MessageID = association->nextMsgID++;
    report.EventTypeID = event_type_of(notice);
    report.DataSetType = DIMSE_DATASET_PRESENT;
    copy_text(report.AffectedSOPClassUID, UID_StorageCommitmentPushModelSOPClass);
    copy_text(report.AffectedSOPInstanceUID, UID_StorageCommitmentPushModelSOPInstance);
    return DIMSE_sendMessageUsingMemoryData(association, context, &message, nullptr, &information, nullptr,
                                            nullptr)
        .good();
}

bool DimsePeer::State::heard(T_ASC_PresentationContextID context, const T_DIMSE_N_EventReportRQ& request) {
    const auto information = data_set();
    const auto report = decode_commitment_report(*information);
    T_DIMSE_Message message{};
    message.CommandField = DIMSE_N_EVENT_REPORT_RSP;
    auto& response = message.msg.NEventReportRSP;
    response.MessageIDBeingRespondedTo = request.MessageID;
    response.DataSetType = DIMSE_DATASET_NULL;
    {
        std::lock_guard lock(mutex);
        response.DimseStatus = static_cast<DIC_US>(behaviour.report_status);
        if (report && event_type_of(*report) == request.EventTypeID) reports.push_back(*report);
    }
    return DIMSE_sendMessageUsingMemoryData(association, context, &message, nullptr, nullptr, nullptr,
                                            nullptr)
        .good();
}

DimsePeer::DimsePeer(Behaviour behaviour, int port) : state_(std::make_unique<State>()) {
    prepare_network();
    state_->behaviour = std::move(behaviour);
    const auto listener = open_listener("127.0.0.1", port);
    if (!listener) throw std::runtime_error(listener.error().message);
    state_->listener = *listener;
    state_->thread = std::thread([s = state_.get()] { s->listen(); });
}

DimsePeer::~DimsePeer() {
    stop();
}

void DimsePeer::stop() {
    state_->stopping = true;
    if (!state_->thread.joinable()) return;
    state_->thread.join();
    ::close(state_->listener.descriptor);
}

int DimsePeer::port() const {
    return state_->listener.port;
}

std::vector<std::string> DimsePeer::stored() const {
    std::lock_guard lock(state_->mutex);
    return state_->stored;
}

int DimsePeer::associations() const {
    std::lock_guard lock(state_->mutex);
    return state_->associations;
}

std::vector<CommitmentNotice> DimsePeer::asked() const {
    std::lock_guard lock(state_->mutex);
    return state_->asked;
}

std::vector<CommitmentNotice> DimsePeer::reports() const {
    std::lock_guard lock(state_->mutex);
    return state_->reports;
}

void DimsePeer::change(const std::function<void(Behaviour&)>& to) {
    std::lock_guard lock(state_->mutex);
    to(state_->behaviour);
}

}  // namespace scopenode::test
