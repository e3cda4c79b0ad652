#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace scopenode::log {
namespace {

spdlog::logger& logger() {
    static const auto made = [] {
        auto one = spdlog::stderr_logger_mt("scopenode");
        one->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
        one->flush_on(spdlog::level::info);
        return one;
    }();
    return *made;
}

spdlog::level::level_enum level_of(Level level) {
    switch (level) {
        case Level::kDebug: return spdlog::level::debug;
        case Level::kInfo: return spdlog::level::info;
        case Level::kWarning: return spdlog::level::warn;
        case Level::kError: return spdlog::level::err;
    }
    return spdlog::level::err;
}

}  // namespace

void set_level(Level level) { logger().set_level(level_of(level)); }

void write(Level level, const char* room, const std::string& text) {
    logger().log(level_of(level), "{}: {}", room, text);
}

}  // namespace scopenode::log
