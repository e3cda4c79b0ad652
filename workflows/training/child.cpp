#include "workflows/training/child.h"

#include <unistd.h>

#include <chrono>

#include "base/child_process.h"
#include "base/core/files.h"

namespace scopenode::workflows {
namespace {

using namespace std::chrono_literals;
constexpr auto kLook = 200ms;

/// The last line that the child wrote to its log.
std::string last_words(const std::filesystem::path& log) {
    const auto text = read_file(log);
    if (!text) return "";
    std::string all = *text;
    while (!all.empty() && (all.back() == '\n' || all.back() == ' ')) all.pop_back();
    const auto start = all.find_last_of("\n\r");
    return start == std::string::npos ? all : all.substr(start + 1);
}

Status judge_end(int status, const ChildStep& step) {
    if (status == 0) return {};
    const std::string words = last_words(step.log);
    if (status > 128)
        return fail(Code::kPeerUnavailable, "the training process was ended by signal {}", status - 128);
    return fail(Code::kInternal, "the training process failed{}{}", words.empty() ? "" : ": ", words);
}

}  // namespace

std::string own_program() {
    std::error_code ec;
    const auto path = std::filesystem::read_symlink("/proc/self/exe", ec);
    return ec ? "" : path.string();
}

Status run_child(const ChildStep& step, const std::atomic<bool>& stopping) {
    SCOPENODE_ASSIGN(auto child, ChildProcess::start(step.command, {}, step.log, ChildProcess::Talks::kToUs));
    child.set_niceness(step.training.niceness);
    std::string rest;
    bool waits = false;
    while (true) {
        const auto bytes = child.read_some(std::chrono::steady_clock::now() + kLook);
        if (!bytes) return judge_end(child.wait(), step);
        rest += *bytes;
        for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
            if (step.on_line) step.on_line(rest.substr(0, end));
            rest.erase(0, end + 1);
        }
        if (stopping) {
            child.kill();
            return fail(Code::kCancelled, "the node stops");
        }
        if (child.resident_mib() > step.training.memory_mb) {
            child.kill();
            return fail(Code::kInvalidSettings,
                        "the training process needed more than the {} MiB of training.memory_mb",
                        step.training.memory_mb);
        }
        const auto wait = step.should_wait ? step.should_wait() : Result<bool>(false);
        if (!wait) {
            child.kill();
            return fail(wait.error());
        }
        if (*wait != waits) child.pause(waits = *wait);
    }
}

}  // namespace scopenode::workflows
