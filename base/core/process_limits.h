#pragma once
#include <cstdint>

#include "base/core/result.h"

namespace scopenode {

/// What reading a file may cost a process that was started for nothing else.
struct ProcessLimits {
    std::uint64_t memory = 0;       ///< bytes of address space beyond what is mapped already
    std::uint64_t cpu_seconds = 0;  ///< beyond what is used already; 0: not bounded here
    std::uint64_t file = 0;         ///< bytes of a file that it writes
};
/// Bounds this process from here on, for good; no core dumps either.
Status limit_this_process(const ProcessLimits& limits);

/// The CPU time counted anew, for a process that does one piece of work after another: each may cost this
/// much. SIGXCPU ends one that costs more.
Status limit_cpu_from_now(std::uint64_t seconds);

}  // namespace scopenode
