#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/core/result.h"

namespace scopenode::dicom_node {

/// The node's lock: DIR/run/lock held by flock while a process may write. kInUse names the holder's pid.
class NodeLock {
  public:
    static Result<NodeLock> take(const std::filesystem::path& node_dir);
    NodeLock(NodeLock&& other) noexcept;
    ~NodeLock();

  private:
    explicit NodeLock(int descriptor);
    int descriptor_ = -1;
};

/// DIR/run/control.sock: writing commands of people beside a running node. One JSON line each way. Thread-safe.
class ControlServer {
  public:
    using Handler = std::function<Result<std::string>(const std::vector<std::string>& words)>;
    static Result<std::unique_ptr<ControlServer>> start(const std::filesystem::path& node_dir, Handler handler);
    ~ControlServer();
    void stop();

  private:
    struct State;
    explicit ControlServer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};
/// Asks the running node; kPeerUnavailable when none listens.
Result<std::string> ask_node(const std::filesystem::path& node_dir, const std::vector<std::string>& words);

}  // namespace scopenode::dicom_node
