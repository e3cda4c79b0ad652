#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/core/clock.h"
#include "base/core/result.h"

namespace SQLite {
class Database;
class Statement;
}

namespace scopenode::storage {

/// One SQLite connection with its prepared statements. Not thread-safe. All SQL text stands in storage/index/*.cpp.
class Connection {
  public:
    Connection(const std::filesystem::path& file, bool read_only);
    ~Connection();
    /// A prepared statement, reset and ready for binding; throws SQLite::Exception on a fault.
    SQLite::Statement& prepare(const char* sql);
    /// Ends every statement that is still being read.
    void reset_all();
    std::int64_t last_row_id() const;
    int changes() const;
    SQLite::Database& handle();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The index: WAL, synchronous=FULL, foreign keys on; callers that write at the same time share one commit and its
/// sync. Thread-safe.
class Index {
  public:
    /// Creates or migrates `file`. kNewerDatabase when it was written by a newer program; kDatabase when damaged.
    /// `read_only` neither creates nor migrates and refuses write().
    static Result<std::unique_ptr<Index>> open(const std::filesystem::path& file, const Clock& clock,
                                               bool read_only = false);
    ~Index();

    /// Runs `body` in a transaction (with others that wait, each in a savepoint of its own: its failure undoes only
    /// itself), perhaps on the thread of another caller, and returns when the commit is durable. `body` must not
    /// call write() or read().
    Status write(std::function<Status(Connection&)> body);
    /// Runs `body` on a read connection of the calling thread's own turn; sees everything committed before.
    /// Called as: auto rows = index.read([&](Connection& c) { return list_studies(c, {}); });
    template <class F>
    auto read(F&& body) -> std::invoke_result_t<F, Connection&> {
        using R = std::invoke_result_t<F, Connection&>;
        R result = fail(Code::kInternal, "not run");
        Status ran = read_any([&](Connection& c) -> Status {
            result = body(c);
            return {};
        });
        if (!ran) return fail(ran.error());
        return result;
    }

    const Clock& clock() const;
    /// Commits and the bodies in them since open; bodies that wait for a commit now.
    struct Counters {
        std::uint64_t commits = 0;
        std::uint64_t bodies = 0;
        std::size_t waiting = 0;
    };
    Counters counters() const;
    /// Copy of the database taken while it is in use.
    Status backup(const std::filesystem::path& to);

  private:
    struct State;
    explicit Index(std::unique_ptr<State> state);
    Status read_any(const std::function<Status(Connection&)>& body);
    std::unique_ptr<State> state_;
};

}  // namespace scopenode::storage
