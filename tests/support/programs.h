#pragma once
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace scopenode::test {

struct ProgramResult {
    int rc = -1;         ///< exit status; 128 + signal; 124 when it ran too long and was killed
    std::string output;  ///< stdout and stderr as they came
};
/// Variables that a child gets beside ours, and limits.
struct RunOptions {
    std::vector<std::pair<std::string, std::string>> environment;
    std::filesystem::path folder;  ///< working folder, "" ours
    std::chrono::seconds limit{300};
    std::uint64_t file_size_limit = 0;  ///< RLIMIT_FSIZE in bytes, 0: none
};
/// Runs a program (argv[0] by PATH, /usr/sbin too) to its end, without input.
ProgramResult run(const std::vector<std::string>& argv, const RunOptions& options = {});

/// A program that runs beside the test; the destructor kills it. Output goes to a file.
class Child {
  public:
    Child() = default;
    Child(const std::vector<std::string>& argv, const std::filesystem::path& log,
          const RunOptions& options = {});
    ~Child();
    Child(Child&& other) noexcept;
    Child& operator=(Child&& other) noexcept;
    pid_t pid() const { return pid_; }
    /// Has not ended yet.
    bool alive();
    void send(int signal_number);
    /// Waits for the end: the exit status as in ProgramResult::rc.
    int wait();

  private:
    pid_t pid_ = -1;
    int rc_ = -1;
    bool ended_ = true;
};

/// Asks again and again until `condition` holds; false when it does not in time.
bool eventually(const std::function<bool()>& condition,
                std::chrono::seconds limit = std::chrono::seconds(120));
/// A TCP port on the loopback that nobody listens on now.
int free_port();
/// Whether a program can be found.
bool have_program(const std::string& name);

}  // namespace scopenode::test
