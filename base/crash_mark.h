#pragma once
#include <filesystem>

#include "base/core/result.h"

namespace scopenode {

/// Remembers that the process died of a fault of its own: at SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT the
/// handler writes the signal's number into `file` and lets the process die as it would have; and beside it
/// stands how often the kernel had killed in this cgroup (v2) for want of memory when the process began. A
/// kill from outside leaves nothing. Signals that somebody else handles (sanitizers) are left to them. Once
/// per process.
Status mark_crashes(const std::filesystem::path& file);
/// `oom_kill` of a cgroup's memory.events; 0 where there is none.
long memory_kills(const std::filesystem::path& memory_events);

/// What the process before this one left: it crashed, or the kernel has killed in its cgroup for want of
/// memory since it began, probably it. The mark is removed.
bool take_crash_mark(const std::filesystem::path& file);

}  // namespace scopenode
