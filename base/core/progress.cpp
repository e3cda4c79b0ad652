#include "base/core/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace scopenode {

Progress::Progress(std::string what, std::uint64_t total)
    : what_(std::move(what)), total_(total), terminal_(::isatty(STDERR_FILENO) != 0) {
    shown_ = std::chrono::steady_clock::now();
}

Progress::~Progress() {
    if (!finished_ && terminal_ && done_ > 0) fmt::print(stderr, "\n");
}

void Progress::advance(std::uint64_t done, const std::string& note) {
    done_ = done;
    const auto now = std::chrono::steady_clock::now();
    const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10000);
    if (now - shown_ < pause) return;
    shown_ = now;
    show(note, false);
}

void Progress::finish(const std::string& note) {
    finished_ = true;
    done_ = total_;
    show(note, true);
}

void Progress::show(const std::string& note, bool last) {
    const double part = total_ ? static_cast<double>(done_) / static_cast<double>(total_) : 1.0;
    if (terminal_) {
        const auto filled = static_cast<std::size_t>(part * 30);
        fmt::print(stderr, "\r{} [{}{}] {}/{} {}\x1b[K{}", what_, std::string(filled, '#'), std::string(30 - filled, '.'),
                   done_, total_, note, last ? "\n" : "");
    } else {
        fmt::print(stderr, "{}: {}/{}{}{}\n", what_, done_, total_, note.empty() ? "" : " ", note);
    }
    std::fflush(stderr);
}

}  // namespace scopenode
