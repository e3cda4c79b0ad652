#include "dicom_node/dimse/association.h"

#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcuid.h>

#include "base/log.h"
#include "dicom_node/dimse/file_meta.h"
#include "dicom_node/dimse/messages.h"
#include "dicom_node/dimse/negotiation.h"
#include "dicom_node/dimse/text.h"
#include "dicom_node/dimse/transport.h"
#include "workflows/associations.h"

namespace scopenode::dicom_node {
namespace {

constexpr const char* kRoom = "dimse";
constexpr std::uint64_t kMostBytes = std::uint64_t{4} << 30;
/// A peer that asks for commitment and goes on sending must not find our report between its own commands.
constexpr auto kPeerIsDone = std::chrono::milliseconds(250);

}  // namespace

AssociationCommands::AssociationCommands(T_ASC_Association* association, const Shared& shared)
    : association_(association),
      shared_(shared),
      calling_ae_(calling_ae(association->params)),
      peer_address_(peer_address(association->params)) {}

void AssociationCommands::run() {
    auto* associations = shared_.services.associations;
    if (associations) number_ = associations->opened(calling_ae_);
    const std::string how = serve();
    if (!associations) return;
    if (const Status noted = associations->closed(number_, how); !noted)
        log::error(kRoom, "the end of an association of {} was not noted: {}", calling_ae_,
                   noted.error().message);
}

std::string AssociationCommands::serve() {
    std::string how = "broken off";
    OFCondition done = EC_Normal;
    while (done.good()) {
        const bool tell = !owed_.empty() && !data_waiting(association_, kPeerIsDone);
        done = tell ? report_owed() : one_command();
    }
    if (done == DUL_PEERREQUESTEDRELEASE) {
        ASC_acknowledgeRelease(association_);
        how = "released";
        log::debug(kRoom, "association of {} at {} released", calling_ae_, peer_address_);
    } else if (done == DUL_PEERABORTEDASSOCIATION) {
        how = "aborted";
        log::info(kRoom, "association of {} at {} aborted by the peer", calling_ae_, peer_address_);
    } else {
        log::warning(kRoom, "association of {} at {} ended: {}", calling_ae_, peer_address_,
                     done == DIMSE_NODATAAVAILABLE ? "nothing came for too long" : done.text());
        ASC_abortAssociation(association_);
    }
    if (shared_.services.commitment) pass_on_reports();
    return how;
}

OFCondition AssociationCommands::one_command() {
    T_ASC_PresentationContextID context = 0;
    T_DIMSE_Message message{};
    const OFCondition received = DIMSE_receiveCommand(
        association_, DIMSE_NONBLOCKING, shared_.options.timeout_seconds, &context, &message, nullptr);
    if (received.bad()) return received;
    return dispatch(context, message);
}

OFCondition AssociationCommands::dispatch(T_ASC_PresentationContextID context, T_DIMSE_Message& message) {
    switch (message.CommandField) {
        case DIMSE_C_ECHO_RQ:
            return echo(context, message.msg.CEchoRQ);
        case DIMSE_C_STORE_RQ:
            return store(context, message.msg.CStoreRQ);
        case DIMSE_N_CREATE_RQ:
            return create(context, message.msg.NCreateRQ);
        case DIMSE_N_SET_RQ:
            return set(context, message.msg.NSetRQ);
        case DIMSE_N_ACTION_RQ:
            return action(context, message.msg.NActionRQ);
        case DIMSE_N_EVENT_REPORT_RQ:
            return event_report(context, message.msg.NEventReportRQ);
        case DIMSE_N_EVENT_REPORT_RSP:
            return event_answered(context, message.msg.NEventReportRSP);
        case DIMSE_C_CANCEL_RQ:
            return EC_Normal;  // nothing here can be cancelled (PS3.7 9.3.2.3)
        default:
            return DIMSE_BADCOMMANDTYPE;
    }
}

OFCondition AssociationCommands::echo(T_ASC_PresentationContextID context, const T_DIMSE_C_EchoRQ& request) {
    return DIMSE_sendEchoResponse(association_, context, &request, STATUS_Success, nullptr);
}

OFCondition AssociationCommands::store(T_ASC_PresentationContextID id, const T_DIMSE_C_StoreRQ& request) {
    T_ASC_PresentationContext context{};
    if (const auto found = ASC_findAcceptedPresentationContext(association_->params, id, &context);
        found.bad())
        return found;
    const storage::StoreContext about{calling_ae_,
                                      peer_address_,
                                      uid_text(request.AffectedSOPClassUID),
                                      uid_text(request.AffectedSOPInstanceUID),
                                      uid_text(context.acceptedTransferSyntax),
                                      shared_.options.default_issuer};
    Status outcome = check_command(context, about);
    if (outcome && request.DataSetType == DIMSE_DATASET_NULL)
        return answer_store(id, request, fail(Code::kCannotUnderstand, "C-STORE without a data set"));
    std::optional<storage::StagedObject> object;
    if (outcome) {
        auto staged = shared_.archive.stage();
        if (staged) {
            outcome = staged->append(encode_file_meta(
                {about.sop_class_uid, about.sop_instance_uid, about.transfer_syntax_uid, about.calling_ae}));
            object.emplace(std::move(*staged));
        } else {
            outcome = fail(staged.error());
        }
    }
    if (request.DataSetType != DIMSE_DATASET_NULL) {
        const OFCondition received = receive_object(id, object ? &*object : nullptr, outcome);
        if (received.bad()) return received;
    }
    if (outcome) outcome = keep(std::move(*object), about);
    return answer_store(id, request, outcome);
}

Status AssociationCommands::check_command(const T_ASC_PresentationContext& context,
                                          const storage::StoreContext& about) const {
    if (!is_storage_class(about.sop_class_uid))
        return fail(Code::kUnsupported, "SOP class {} is not stored here", about.sop_class_uid);
    if (about.sop_class_uid != uid_text(context.abstractSyntax))
        return fail(Code::kUnsupported, "SOP class is not the one of the presentation context");
    return {};
}

OFCondition AssociationCommands::receive_object(T_ASC_PresentationContextID context,
                                                storage::StagedObject* object, Status& outcome) {
    std::uint64_t bytes = 0;
    const OFCondition done = read_fragments(
        association_, context, shared_.options.timeout_seconds, [&](std::string_view fragment) {
            bytes += fragment.size();
            if (!outcome) return;
            if (bytes > kMostBytes)
                outcome = fail(Code::kOutOfResources, "objects over {} GiB are not taken", kMostBytes >> 30);
            else
                outcome = object->append(fragment);
        });
    shared_.counters.bytes += bytes;
    return done;
}

Status AssociationCommands::keep(storage::StagedObject object, const storage::StoreContext& about) {
    SCOPENODE_ASSIGN(const auto kept, shared_.archive.store(std::move(object), about));
    auto& counters = shared_.counters;
    if (kept == storage::StoreOutcome::kStored) ++counters.stored;
    if (kept == storage::StoreOutcome::kDuplicate) ++counters.duplicates;
    if (kept == storage::StoreOutcome::kConflict) {
        ++counters.conflicts;
        log::warning(kRoom, "instance {} arrived with other content: both are kept", about.sop_instance_uid);
    }
    if (shared_.services.on_received) shared_.services.on_received();
    if (shared_.services.associations) shared_.services.associations->stored(number_);
    return {};
}

OFCondition AssociationCommands::answer_store(T_ASC_PresentationContextID context,
                                              const T_DIMSE_C_StoreRQ& request, const Status& outcome) {
    T_DIMSE_C_StoreRSP response{};
    response.DimseStatus = STATUS_Success;
    DcmDataset detail;
    if (!outcome) {
        const Error& error = outcome.error();
        ++shared_.counters.refused;
        response.DimseStatus = info(error.code).dimse_status;
        detail.putAndInsertString(DCM_ErrorComment, comment_text(error.message).c_str());
        log::warning(kRoom, "instance {} from {} refused with {:04X}: {}",
                     uid_text(request.AffectedSOPInstanceUID), calling_ae_, response.DimseStatus,
                     error.message);
    }
    return DIMSE_sendStoreResponse(association_, context, &request, &response, outcome ? nullptr : &detail);
}

}  // namespace scopenode::dicom_node
