#pragma once
#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "config/settings.h"
#include "storage/index/database.h"
#include "storage/index/results.h"
#include "workflows/ports.h"

namespace scopenode::workflows {

/// Sends the results that wait in the outbox, oldest first. A destination that does not answer is left alone
/// for its whole pause, so that it holds up the others once and not once for each result. Not thread-safe.
class Delivery {
  public:
    Delivery(const config::Settings& settings, storage::Index& index, SendObject send, const Clock& clock);
    /// One pass over what is due; true when something was sent or given up for good.
    Result<bool> pass(const std::atomic<bool>& stopping);

  private:
    struct Standing {
        int failures = 0;  ///< in a row
        UtcMs not_before = 0;
    };
    enum class Sent { kYes, kRefused, kLater };

    Result<Sent> deliver(const storage::OutboxRow& row);
    Status send_one(const config::Destination& destination, const storage::OutboxRow& row);

    const config::Settings& settings_;
    storage::Index& index_;
    const SendObject send_;
    const Clock& clock_;
    std::map<std::string, Standing> standing_;  ///< by destination
};

}  // namespace scopenode::workflows
