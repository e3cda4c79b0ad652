#pragma once
#include <vector>

#include "config/settings.h"

namespace scopenode::config {

/// What the schema cannot say: AE titles, ports, time zone, names, who may listen where.
std::vector<Fault> meaning_faults(const Settings& settings);

}  // namespace scopenode::config
