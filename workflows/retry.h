#pragma once
#include "base/core/clock.h"
#include "config/settings.h"

namespace scopenode::workflows {

/// Pause before the attempt that follows `failures` failed ones: doubling up to the longest, shortened at
/// random by up to a fifth, so that what failed together is not tried together.
UtcMs pause_before(int failures, const config::Settings& settings);
UtcMs first_pause(const config::Settings& settings);

}  // namespace scopenode::workflows
