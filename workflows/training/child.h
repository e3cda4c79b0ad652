#pragma once
#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "config/settings.h"

namespace scopenode::workflows {

/// Runs a step of a retraining job in a process of its own: the same program, started anew. Its standard
/// input stays open as long as this process lives; it ends when that closes.
struct ChildStep {
    std::vector<std::string> command;
    std::filesystem::path log;                             ///< its standard error
    const config::Settings::Training& training;            ///< niceness and memory
    std::function<void(const std::string& line)> on_line;  ///< of its standard output
    /// Called a few times a second. True: it waits (studies come first). An error ends it.
    std::function<Result<bool>()> should_wait;
};
/// kCancelled and whatever should_wait() said; kInvalidSettings when it needed too much memory;
/// kPeerUnavailable (worth another try) when it was killed; kInternal with its last words when it failed.
Status run_child(const ChildStep& step, const std::atomic<bool>& stopping);

/// This program.
std::string own_program();

}  // namespace scopenode::workflows
