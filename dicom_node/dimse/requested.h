#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/core/result.h"
#include "config/settings.h"
#include "dicom_node/dimse/transport.h"
#include "storage/index/commitments.h"
#include "workflows/ports.h"

struct T_DIMSE_Message;
class DcmDataset;

namespace scopenode::dicom_node {

/// SOP class and the transfer syntaxes offered for it in one presentation context.
struct Offer {
    std::string sop_class_uid;
    std::vector<std::string> transfer_syntaxes;
    T_ASC_SC_ROLE role = ASC_SC_ROLE_DEFAULT;  ///< ours
};

/// An association that we asked for; released by the destructor. Not thread-safe.
class RequestedAssociation {
  public:
    /// At most 128 offers. Errors: kPeerUnavailable and kTimeout may pass, kPeerRefused stays, which is what
    /// a peer that accepts none of the offers does unless `even_without` any.
    static Result<std::unique_ptr<RequestedAssociation>> open(const std::string& calling_ae,
                                                              const config::Destination& peer,
                                                              const std::vector<Offer>& offers,
                                                              int timeout_seconds, bool even_without = false);
    ~RequestedAssociation();

    bool accepts(const std::string& sop_class_uid) const;

    /// C-STORE of a data set, decompressed when the peer takes it in no other way.
    Status store(const std::string& sop_class_uid, const std::string& sop_instance_uid, DcmDataset& data_set);
    /// The same, the response as it came.
    Result<workflows::StoreAnswer> send(const std::string& sop_class_uid, const std::string& sop_instance_uid,
                                        DcmDataset& data_set);

    // requested_services.cpp: Storage Commitment
    /// N-ACTION; a report that comes before its response is kept for next_report().
    Result<workflows::StoreAnswer> ask_commitment(const storage::CommitmentNotice& question);
    /// The peer's N-EVENT-REPORT, answered.
    Result<std::optional<storage::CommitmentNotice>> next_report(std::chrono::milliseconds wait);
    /// N-EVENT-REPORT, for which the role of SCP was offered: an error unless the peer took it.
    Status report_commitment(const storage::CommitmentNotice& report);

    /// After the peer broke off nothing more can be sent.
    bool usable() const { return usable_; }

  private:
    RequestedAssociation(config::Destination peer, int timeout_seconds);
    Status connect(const std::string& calling_ae, const std::vector<Offer>& offers);
    Status explain(const OFCondition& condition) const;
    Status broken(const OFCondition& condition);
    Result<T_ASC_PresentationContextID> commitment_context() const;
    Status receive(T_ASC_PresentationContextID& context, T_DIMSE_Message& message,
                   std::unique_ptr<DcmDataset>& detail);
    Result<workflows::StoreAnswer> action_answered(std::uint16_t message_id);
    Status take_report(T_ASC_PresentationContextID context, const T_DIMSE_Message& message);
    Result<T_ASC_PresentationContextID> context_for(const std::string& sop_class_uid, DcmDataset& data_set);

    const config::Destination peer_;
    const int timeout_seconds_;
    QuickLayer layer_;
    T_ASC_Network* network_ = nullptr;
    T_ASC_Association* association_ = nullptr;
    bool usable_ = false;
    std::vector<storage::CommitmentNotice> reports_;
};

}  // namespace scopenode::dicom_node
