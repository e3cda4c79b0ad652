#pragma once
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/core/result.h"

namespace scopenode::dicom_node {

/// Another program that runs beside this one, in a process group of its own, ended with the object. Not
/// thread-safe.
class ChildProcess {
  public:
    using Environment =
        std::vector<std::pair<std::string, std::string>>;  ///< an empty value removes the variable
    /// Output goes to `log`. kNotFound when the program is not installed.
    static Result<ChildProcess> start(const std::vector<std::string>& argv, const Environment& environment,
                                      const std::filesystem::path& log);
    ChildProcess(ChildProcess&& other) noexcept;
    ~ChildProcess();

    pid_t pid() const { return pid_; }
    bool alive();
    /// The exit status; 128 + signal when killed.
    int wait();
    /// SIGTERM, and SIGKILL to its group when it has not ended in time.
    void stop(std::chrono::seconds limit = std::chrono::seconds(20));
    /// Resident memory in MiB; 0 when it cannot be read.
    double resident_mib() const;

  private:
    explicit ChildProcess(pid_t pid) : pid_(pid) {}
    pid_t pid_ = -1;
    int status_ = -1;
};

/// Where a program stands: PATH, then /usr/sbin; "" when nowhere.
std::string find_program(const std::string& name);
/// Asks until `condition` holds; false when it does not in time.
bool await(const std::function<bool()>& condition, std::chrono::seconds limit);
bool port_accepts(int port);
int free_port();

}  // namespace scopenode::dicom_node
