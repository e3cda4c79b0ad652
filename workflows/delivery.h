#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "config/settings.h"
#include "storage/index/database.h"
#include "storage/index/outbox.h"
#include "storage/index/results.h"
#include "workflows/ports.h"

namespace scopenode::workflows {

/// Why a delivery ended without success (OutboxRow::reason_code). Stored: never reuse one.
namespace delivery_reasons {
constexpr const char* kRefusedByPeer = "REFUSED_BY_PEER";         ///< the status of its C-STORE response
constexpr const char* kSopClassNotTaken = "SOP_CLASS_NOT_TAKEN";  ///< its presentation context was rejected
constexpr const char* kAssociationRejected = "ASSOCIATION_REJECTED";  ///< for good, by the peer
constexpr const char* kNotSendable = "NOT_SENDABLE";                  ///< the object itself
constexpr const char* kDestinationRemoved = "DESTINATION_REMOVED";    ///< node.json does not name it any more
constexpr const char* kNotCommitted = "NOT_COMMITTED";  ///< sent three times, and the peer has it not
}  // namespace delivery_reasons

/// Sends the results that wait in the outbox and asks for Storage Commitment of them. A destination that does
/// not answer costs one attempt a pause, however much waits for it. `pass_to` may run for different
/// destinations at once.
class Delivery {
  public:
    Delivery(const config::Settings& settings, storage::Index& index, ConnectPeer connect,
             const Clock& clock);
    /// What is due to each destination, one after the other; true when something was sent or given up for
    /// good.
    Result<bool> pass(const std::atomic<bool>& stopping);
    /// What is due to one destination, over one association.
    Result<bool> pass_to(const config::Destination& destination, const std::atomic<bool>& stopping);
    /// Ends what waits for destinations that the settings do not name.
    Result<bool> end_orphans();

  private:
    struct Standing {
        int failures = 0;  ///< in a row
        UtcMs not_before = 0;
        std::map<std::string, bool> profile;  ///< as it is in the index
        bool profile_read = false;
    };
    /// One pass to one destination.
    struct Run {
        const config::Destination& destination;
        const std::atomic<bool>& stopping;
        Standing& standing;
        std::unique_ptr<PeerAssociation> association;
        std::vector<std::string> offered;
        bool moved = false;
        bool broken = false;  ///< nothing more in this pass
    };

    Status learn_first(Run& run);
    Status connect(Run& run, const std::vector<std::string>& classes);
    Status learn(Run& run);
    Result<bool> ready_for(Run& run, const storage::OutboxRow& row);
    Status deliver(Run& run, const storage::OutboxRow& row);
    std::string not_taken(const Run& run, const storage::OutboxRow& row) const;
    Status answered(Run& run, const storage::OutboxRow& row, const StoreAnswer& answer);
    Status refuse(Run& run, const storage::OutboxRow& row, const std::string& error, const char* reason);
    Status wait_on(Run& run, const storage::OutboxRow& row, const std::string& error, UtcMs next);
    void pause(Run& run);
    bool wants_commitment(const Run& run) const;

    Status commit(Run& run);
    Status commit_due(Run& run, const std::vector<storage::CommitmentRow>& due);
    Result<bool> connected_to_ask(Run& run, const storage::CommitmentRow& row);
    /// True when the peer took the question.
    Result<bool> ask(Run& run, const storage::CommitmentRow& row);
    Status not_offered(Run& run, const storage::CommitmentRow& row);
    Status await_reports(Run& run, const std::vector<storage::CommitmentRow>& asked);
    Result<bool> still_waits(const Run& run, const std::vector<storage::CommitmentRow>& asked);

    const config::Settings& settings_;
    storage::Index& index_;
    const ConnectPeer connect_;
    const Clock& clock_;
    std::map<std::string, Standing> standing_;  ///< by destination; its keys never change
};

}  // namespace scopenode::workflows
