#include "base/core/clock.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <mutex>

namespace scopenode {
namespace {

// g++ 12 has no time zone database in <chrono>; libc's is reached through TZ, one thread at a time.
std::tm zoned(std::time_t seconds, const std::string& zone) {
    std::tm parts{};
    if (zone.empty() || zone == "UTC") {
        gmtime_r(&seconds, &parts);
        return parts;
    }
    static std::mutex mutex;
    std::lock_guard lock(mutex);
    const char* before = std::getenv("TZ");
    const std::string saved = before ? before : "";
    setenv("TZ", (":" + zone).c_str(), 1);
    tzset();
    localtime_r(&seconds, &parts);
    if (before)
        setenv("TZ", saved.c_str(), 1);
    else
        unsetenv("TZ");
    tzset();
    return parts;
}

}  // namespace

std::int64_t Clock::steady_ms() const {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

UtcMs SystemClock::now() const {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::string iso8601(UtcMs time) {
    const std::tm t = zoned(time / 1000, "UTC");
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                       t.tm_hour, t.tm_min, t.tm_sec, time % 1000);
}

DicomTime dicom_time(UtcMs time, const std::string& zone) {
    const std::tm t = zoned(time / 1000, zone);
    const long minutes = t.tm_gmtoff / 60;
    return {fmt::format("{:04}{:02}{:02}", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday),
            fmt::format("{:02}{:02}{:02}.{:06}", t.tm_hour, t.tm_min, t.tm_sec, time % 1000 * 1000),
            fmt::format("{}{:02}{:02}", minutes < 0 ? '-' : '+', std::labs(minutes) / 60, std::labs(minutes) % 60)};
}

}  // namespace scopenode
