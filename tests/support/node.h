#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/programs.h"

namespace scopenode::test {

/// The program under test.
ProgramResult program(const std::vector<std::string>& words, const RunOptions& options = {});

/// A node in its own folder, on free ports, as a child process that is ended with the object.
class Node {
  public:
    /// `init` with free ports, a quiet time of `quiet_seconds` and what is in `more`; throws when it fails.
    Node(std::filesystem::path folder, int quiet_seconds, const std::vector<std::string>& more = {});
    /// Serves and waits until it is ready; throws with its log when it ends instead.
    void start(const RunOptions& options = {});
    /// Serves without waiting: for starts that are to fail.
    int start_and_fail();
    /// SIGTERM; the exit status.
    int stop();
    void kill9();
    bool alive() { return child_.alive(); }
    pid_t pid() const { return child_.pid(); }

    const std::filesystem::path& folder() const { return folder_; }
    int dimse_port() const { return dimse_port_; }
    int http_port() const { return http_port_; }
    std::string log() const;
    /// Changes node.json: takes effect at the next start.
    void set(const std::string& pointer, const nlohmann::json& value);

    ProgramResult command(std::vector<std::string> words) const;
    /// A command with --json that must succeed.
    nlohmann::json ask(std::vector<std::string> words) const;
    /// The state of a study, "" when the node does not know it.
    std::string state_of(const std::string& study_uid) const;
    int revision_of(const std::string& study_uid) const;
    /// HTTP status and body of a path.
    std::pair<int, std::string> http(const std::string& path) const;

    /// `storescu` of files or folders; throws unless all were acknowledged.
    void receive(const std::vector<std::filesystem::path>& paths) const;
    ProgramResult storescu(const std::vector<std::filesystem::path>& paths,
                           const std::vector<std::string>& options = {}) const;

  private:
    std::filesystem::path folder_, log_;
    Child child_;
    int dimse_port_ = 0, http_port_ = 0;
};

/// A phantom study of a seed: few small slices, the same files every time.
struct PhantomFiles {
    std::string study_uid;
    std::vector<std::filesystem::path> slices;  ///< in order
};
std::vector<PhantomFiles> make_phantoms(const std::filesystem::path& out, int studies, int slices, int seed,
                                        int size = 128);

/// HTTP GET or POST on the loopback: status and body; status 0 when nobody answers.
std::pair<int, std::string> http_request(int port, const std::string& path, const std::string& post = "");

}  // namespace scopenode::test
