#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "storage/archive/archive.h"

namespace scopenode::workflows {
class Associations;
class CommitmentService;
}

namespace scopenode::dicom_node {

struct DimseOptions {
    std::string ae_title = "SCOPENODE";
    std::string bind = "127.0.0.1";
    int port = 0;                            ///< 0: any free port
    int max_associations = 32;
    int timeout_seconds = 30;
    std::vector<std::string> allowed_callers;
    std::string default_issuer;
};

/// What stands behind the associations.
struct DimseServices {
    std::function<void()> on_received = {};              ///< an object: others will follow
    std::function<void()> on_signal = {};                ///< a peer said something about a study
    workflows::Associations* associations = nullptr;     ///< told of those that are open
    workflows::CommitmentService* commitment = nullptr;  ///< without it Storage Commitment is not accepted
};

/// SCP of Verification, Storage, Modality Performed Procedure Step and Storage Commitment (PS3.4 A, B, F, J): one
/// thread an association, a hard cap (over it A-ASSOCIATE-RJ transient, local limit exceeded). 0x0000 is answered only
/// when what was received is durable. Thread-safe.
class DimseServer {
  public:
    /// Listens; kInUse names the port when it is taken.
    static Result<std::unique_ptr<DimseServer>> start(const DimseOptions& options, storage::Archive& archive,
                                                      DimseServices services);
    ~DimseServer();
    int port() const;
    int associations() const;                ///< open now
    /// No new associations; open ones may go on for `drain_seconds`, then their sockets are shut.
    void stop(int drain_seconds);
    struct Counters {
        std::atomic<std::uint64_t> accepted{0}, rejected{0}, stored{0}, duplicates{0}, conflicts{0}, refused{0}, bytes{0};
    };
    const Counters& counters() const;

  private:
    struct State;
    explicit DimseServer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace scopenode::dicom_node
