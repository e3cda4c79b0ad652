#pragma once
#include <cstdint>
#include <string>

namespace scopenode {

/// UTC milliseconds since 1970: the only form in which times are stored.
using UtcMs = std::int64_t;

/// The node's only source of wall-clock time. Thread-safe.
class Clock {
  public:
    virtual ~Clock() = default;
    virtual UtcMs now() const = 0;
    /// Milliseconds that only move on, whatever is done to the wall clock: for waits within the process.
    virtual std::int64_t steady_ms() const;
};

/// The system's clock.
class SystemClock final : public Clock {
  public:
    UtcMs now() const override;
};

/// "2026-11-25T08:00:00.123Z"
std::string iso8601(UtcMs time);

/// DICOM DA and TM of `time` in an IANA zone ("Europe/Berlin"; "" and "UTC" mean UTC).
struct DicomTime {
    std::string date;    ///< YYYYMMDD
    std::string time;    ///< HHMMSS.FFFFFF
    std::string offset;  ///< +0100
};
DicomTime dicom_time(UtcMs time, const std::string& zone);

}  // namespace scopenode
