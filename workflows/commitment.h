#pragma once
#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "base/core/clock.h"
#include "config/settings.h"
#include "storage/archive/archive.h"
#include "storage/index/commitments.h"
#include "workflows/ports.h"

namespace scopenode::workflows {

/// Storage Commitment: what peers ask of us (we are the SCP), and their reports on what we asked of them. All
/// state is in the index. Thread-safe.
class CommitmentService {
  public:
    struct Parts {
        const config::Settings& settings;
        storage::Archive& archive;
        ReportCommitment report;
        const Clock& clock;
        std::function<void()> wake;  ///< something is due: a report of ours, or an object to be sent again
    };
    explicit CommitmentService(Parts parts) : p_(std::move(parts)) {}

    /// Keeps a peer's question; durable when this returns. The report is the caller's for a while, who may
    /// give it on the association that the question came on. kConflict when the transaction asked for others
    /// before.
    Result<std::int64_t> accept(const storage::CommitmentNotice& question, const std::string& calling_ae);
    /// Looks whether the instances are here, with their files, and keeps what was found. kConflict when the
    /// report has been given.
    Result<storage::CommitmentNotice> check(std::int64_t request);
    Status reported(std::int64_t request);
    /// The caller's association is gone: pass() reports.
    Status not_reported(std::int64_t request);

    /// Takes a peer's report on what we asked; kNotFound when we did not ask.
    Status receive(const storage::CommitmentNotice& report, const std::string& calling_ae);

    /// Gives the reports that are due on associations of our own; a peer that cannot be reached costs one
    /// attempt.
    Result<bool> pass(const std::atomic<bool>& stopping);

  private:
    Result<int> failure_of(const storage::CommitmentInstance& asked);
    /// Nothing when the peer was told, else when to try again.
    Result<std::optional<UtcMs>> report(const storage::CommitmentRequestRow& row);
    const config::Destination* peer_named(const std::string& ae_title) const;

    const Parts p_;
};

}  // namespace scopenode::workflows
