#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "storage/index/commitments.h"

namespace scopenode::test {

/// A peer of DCMTK parts that listens on a free port, one association at a time: an SCP of Storage and
/// Storage Commitment, and of the reports on what it asked a node for itself. Throws when it cannot listen.
class DimsePeer {
  public:
    enum class Reports { kOnSameAssociation, kNever };
    struct Behaviour {
        std::set<std::string> not_taken;  ///< SOP classes whose contexts are rejected
        bool commitment = true;
        bool rejects = false;  ///< every association, for good
        Reports reports = Reports::kOnSameAssociation;
        /// Status of a C-STORE, by instance and how many came before.
        std::function<int(const std::string& uid, int before)> store_status;
        /// Failure reason of an instance in a report.
        std::function<int(const std::string& uid, int before)> failure;
        int action_status = 0;
        int report_status = 0;  ///< answer to reports that come to us
    };
    explicit DimsePeer(Behaviour behaviour, int port = 0);
    ~DimsePeer();
    DimsePeer(const DimsePeer&) = delete;
    DimsePeer& operator=(const DimsePeer&) = delete;

    int port() const;
    /// Ends the thread and the port: nobody answers there.
    void stop();

    std::vector<std::string> stored()
        const;  ///< instances, in the order of their C-STOREs that were answered 0 or B0xx
    int associations() const;
    std::vector<storage::CommitmentNotice> asked() const;    ///< N-ACTIONs that came
    std::vector<storage::CommitmentNotice> reports() const;  ///< N-EVENT-REPORTs that came
    void change(const std::function<void(Behaviour&)>& to);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace scopenode::test
