#include "workflows/retry.h"

#include <algorithm>
#include <random>

namespace scopenode::workflows {

UtcMs pause_before(int failures, UtcMs first, UtcMs longest) {
    UtcMs whole = first;
    for (int i = 1; i < failures && whole < longest; ++i) whole *= 2;
    whole = std::min(whole, longest);
    thread_local std::minstd_rand random(std::random_device{}());
    return whole - std::uniform_int_distribution<UtcMs>(0, whole / 5)(random);
}

UtcMs pause_before(int failures, const config::Settings& settings) {
    const auto& pauses = settings.delivery;
    return pause_before(failures, UtcMs{1000} * pauses.first_retry_seconds,
                        UtcMs{1000} * pauses.longest_retry_seconds);
}

UtcMs first_pause(const config::Settings& settings) {
    return pause_before(1, settings);
}

}  // namespace scopenode::workflows
