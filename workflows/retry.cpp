#include "workflows/retry.h"

#include <random>

#include "workflows/study_work.h"

namespace scopenode::workflows {

UtcMs pause_before(int failures, const config::Settings& settings) {
    const auto& pauses = settings.delivery;
    const UtcMs whole = pause_after(failures, UtcMs{1000} * pauses.first_retry_seconds,
                                    UtcMs{1000} * pauses.longest_retry_seconds);
    thread_local std::minstd_rand random(std::random_device{}());
    return whole - std::uniform_int_distribution<UtcMs>(0, whole / 5)(random);
}

UtcMs first_pause(const config::Settings& settings) {
    return pause_before(1, settings);
}

}  // namespace scopenode::workflows
