#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "config/settings.h"
#include "storage/index/commitments.h"

namespace scopenode::workflows {

/// What the outside gives to the workflows.
struct SendItem {
    std::string sop_class_uid, sop_instance_uid;
    std::string bytes;  ///< whole Part 10 file
};
/// How a C-STORE was answered.
struct StoreAnswer {
    std::uint16_t status = 0;
    std::string comment;
};
/// One association to a destination, over which several objects go; released by the destructor. Errors of its
/// functions: kPeerUnavailable and kTimeout may pass, others are of the object or the peer and stay. Not
/// thread-safe.
class PeerAssociation {
  public:
    virtual ~PeerAssociation() = default;
    /// Whether negotiation accepted the class; false for one that was not offered.
    virtual bool takes(const std::string& sop_class_uid) const = 0;
    virtual Result<StoreAnswer> store(const SendItem& item) = 0;
    /// Storage Commitment, N-ACTION: the status of the response.
    virtual Result<StoreAnswer> ask_commitment(const storage::CommitmentNotice& question) = 0;
    /// The peer's N-EVENT-REPORT when it comes over this association within `wait`.
    virtual Result<std::optional<storage::CommitmentNotice>> next_report(std::chrono::milliseconds wait) = 0;
    /// After the peer broke off nothing more can be sent.
    virtual bool usable() const = 0;
};
/// Opens an association that offers the SOP classes; one without an accepted class is no error. Errors:
/// kPeerUnavailable and kTimeout may pass; kPeerRefused is the peer's last word. Thread-safe.
using ConnectPeer = std::function<Result<std::unique_ptr<PeerAssociation>>(
    const config::Destination&, const std::vector<std::string>& sop_classes)>;
/// Tells a peer on an association of our own, as its SCP, what became of its request. Thread-safe.
using ReportCommitment = std::function<Status(const config::Destination&, const storage::CommitmentNotice&)>;

constexpr const char* kStorageCommitment = "1.2.840.10008.1.20.1";

}  // namespace scopenode::workflows
