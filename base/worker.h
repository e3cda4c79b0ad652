#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace scopenode {

/// A named thread that calls `turn` again and again: at once while it returns true (there was work), else when
/// woken or after `pause`. An exception out of `turn` is logged and does not stop the thread. `turn` must not
/// call stop(). Thread-safe; the destructor stops and joins.
class Worker {
  public:
    Worker(std::string name, std::chrono::milliseconds pause, std::function<bool()> turn);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    void wake();
    /// Waits for the turn that is running, then ends the thread.
    void stop();

  private:
    void run();
    bool one_turn();

    const std::string name_;
    const std::chrono::milliseconds pause_;
    const std::function<bool()> turn_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool woken_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace scopenode
