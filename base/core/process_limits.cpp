#include "base/core/process_limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace scopenode {
namespace {

rlim_t used_cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return rlim_t(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
}

rlim_t mapped_bytes() {
    std::ifstream pages("/proc/self/statm");
    rlim_t mapped = 0;
    pages >> mapped;
    return mapped * rlim_t(::sysconf(_SC_PAGESIZE));
}

enum class Lasts { kForGood, kUntilRaised };

Status limit(__rlimit_resource what, rlim_t most, Lasts lasts) {
    rlimit limit{};
    ::getrlimit(what, &limit);
    limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? most : std::min(most, limit.rlim_max);
    if (lasts == Lasts::kForGood) limit.rlim_max = limit.rlim_cur;
    if (::setrlimit(what, &limit) != 0) return fail(Code::kInternal, "cannot limit the reading process");
    return {};
}

}  // namespace

Status limit_this_process(const ProcessLimits& limits) {
    // What is mapped already (LibTorch, a sanitizer's shadow) counts too.
    SCOPENODE_TRY(limit(RLIMIT_AS, mapped_bytes() + limits.memory, Lasts::kForGood));
    if (limits.cpu_seconds > 0)
        SCOPENODE_TRY(limit(RLIMIT_CPU, used_cpu_seconds() + limits.cpu_seconds, Lasts::kForGood));
    SCOPENODE_TRY(limit(RLIMIT_FSIZE, limits.file, Lasts::kForGood));
    return limit(RLIMIT_CORE, 0, Lasts::kForGood);
}

Status limit_cpu_from_now(std::uint64_t seconds) {
    // Whole seconds are counted: one more, so that nothing gets less than it was promised.
    return limit(RLIMIT_CPU, used_cpu_seconds() + seconds + 1, Lasts::kUntilRaised);
}

}  // namespace scopenode
