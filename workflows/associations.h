#pragma once
#include <map>
#include <mutex>
#include <string>

#include "base/core/clock.h"
#include "storage/index/database.h"

namespace scopenode::workflows {

/// Associations that bring objects: while one is open its study waits for more; its end is written down as evidence
/// for every study that it brought something of. Thread-safe.
class Associations {
  public:
    Associations(storage::Index& index, const Clock& clock) : index_(index), clock_(clock) {}
    /// A number for the calls below.
    std::int64_t opened(const std::string& calling_ae);
    void stored(std::int64_t id);
    /// `how`: "released", "aborted", ...
    Status closed(std::int64_t id, const std::string& how);
    /// Whether one from this caller is open that has brought something.
    bool open_from(const std::string& calling_ae) const;

  private:
    struct One {
        std::string calling_ae;
        UtcMs opened = 0;
        std::int64_t objects = 0;
    };
    storage::Index& index_;
    const Clock& clock_;
    mutable std::mutex mutex_;
    std::map<std::int64_t, One> open_;
    std::int64_t next_ = 1;
};

}  // namespace scopenode::workflows
