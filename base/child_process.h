#pragma once
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/result.h"

namespace scopenode {

/// Another program that runs beside this one, in a process group of its own, ended with the object. Not
/// thread-safe.
class ChildProcess {
  public:
    using Environment =
        std::vector<std::pair<std::string, std::string>>;  ///< an empty value removes the variable
    /// Where standard input comes from and standard output goes to.
    enum class Talks {
        kToNobody,  ///< no input, output to the log
        kToUs,      ///< by pipes: send() and receive(); the log has standard error alone
    };
    /// Output goes to `log`. kNotFound when the program is not installed.
    static Result<ChildProcess> start(const std::vector<std::string>& argv, const Environment& environment,
                                      const std::filesystem::path& log, Talks talks = Talks::kToNobody);
    ChildProcess(ChildProcess&& other) noexcept;
    ~ChildProcess();

    using Deadline = std::chrono::steady_clock::time_point;
    enum class Heard { kAll, kEnded, kTooLate };
    /// Writes all bytes to the child's standard input; kEnded when it reads no more.
    Heard send(std::string_view bytes, Deadline deadline);
    /// Fills all of `bytes` from the child's standard output; kEnded when it stops before.
    Heard receive(std::span<char> bytes, Deadline deadline);

    /// What the child's standard output holds now; "" when nothing comes in time, nothing when it has ended.
    std::optional<std::string> read_some(Deadline deadline);
    /// Stops and continues its whole group (SIGSTOP, SIGCONT).
    void pause(bool on);
    /// Of the child and what it starts from now on; 19 yields the most.
    void set_niceness(int niceness);

    pid_t pid() const { return pid_; }
    bool alive();
    /// The exit status; 128 + signal when killed.
    int wait();
    /// SIGTERM, and SIGKILL to its group when it has not ended in time.
    void stop(std::chrono::seconds limit = std::chrono::seconds(20));
    /// SIGKILL to its group, now; the exit status.
    int kill();
    /// Resident memory in MiB; 0 when it cannot be read.
    double resident_mib() const;

  private:
    explicit ChildProcess(pid_t pid) : pid_(pid) {}
    void close_pipes();

    pid_t pid_ = -1;
    int status_ = -1;
    int to_ = -1, from_ = -1;  ///< our ends of its pipes
};

/// Where a program stands: PATH, then /usr/sbin; "" when nowhere.
std::string find_program(const std::string& name);
/// Asks until `condition` holds; false when it does not in time.
bool await(const std::function<bool()>& condition, std::chrono::seconds limit);

}  // namespace scopenode
