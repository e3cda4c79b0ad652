#include <charconv>
#include <chrono>
#include <cstdlib>

#include "workflows/feedback/amended_report.h"

namespace scopenode::workflows {
namespace {

/// Minutes east of UTC of "+0100"; nothing when it is no offset.
std::optional<int> offset_minutes(std::string_view text) {
    if (text.size() != 5 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
    int value = 0;
    if (std::from_chars(text.data() + 1, text.data() + 5, value).ptr != text.data() + 5) return std::nullopt;
    const int minutes = value / 100 * 60 + value % 100;
    if (value % 100 > 59 || minutes > 14 * 60) return std::nullopt;
    return text[0] == '-' ? -minutes : minutes;
}

/// The next `digits` digits; `otherwise` where the text has ended, -1 where it is wrong.
int part(std::string_view& rest, std::size_t digits, int otherwise) {
    if (rest.empty()) return otherwise;
    if (rest.size() < digits) return -1;
    int value = 0;
    if (std::from_chars(rest.data(), rest.data() + digits, value).ptr != rest.data() + digits) return -1;
    if (rest[0] == '-') return -1;
    rest.remove_prefix(digits);
    return value;
}

/// Local time as if it were UTC.
std::optional<UtcMs> civil_ms(std::string_view text) {
    std::string_view rest = text.substr(0, text.find('.'));
    if (rest.size() < 4) return std::nullopt;
    const int year = part(rest, 4, -1), month = part(rest, 2, 1), day = part(rest, 2, 1);
    const int hour = part(rest, 2, 0), minute = part(rest, 2, 0), second = part(rest, 2, 0);
    if (!rest.empty() || year < 1900 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
        second > 60 || month < 1 || day < 1)
        return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return std::nullopt;
    UtcMs ms = std::chrono::sys_days(date).time_since_epoch().count() * UtcMs{86'400'000};
    ms += ((hour * 60 + minute) * 60 + second) * UtcMs{1000};
    if (const auto dot = text.find('.'); dot != std::string_view::npos) {
        const std::string fraction = (std::string(text.substr(dot + 1)) + "000").substr(0, 3);
        int thousandths = 0;
        if (std::from_chars(fraction.data(), fraction.data() + 3, thousandths).ptr != fraction.data() + 3)
            return std::nullopt;
        ms += thousandths;
    }
    return ms;
}

}  // namespace

std::optional<UtcMs> utc_of(const std::string& text, const std::string& offset, const std::string& zone) {
    const std::size_t sign = text.find_first_of("+-");
    const auto local = civil_ms(std::string_view(text).substr(0, sign));
    if (!local) return std::nullopt;
    if (sign != std::string::npos) {
        const auto own = offset_minutes(std::string_view(text).substr(sign));
        if (!own) return std::nullopt;
        return *local - *own * UtcMs{60'000};
    }
    if (const auto given = offset_minutes(offset)) return *local - *given * UtcMs{60'000};
    // The zone's offset hangs on the time itself: twice is enough away from the hour that a change skips.
    UtcMs utc = *local;
    for (int i = 0; i < 2; ++i)
        utc = *local - offset_minutes(dicom_time(utc, zone).offset).value_or(0) * UtcMs{60'000};
    return utc;
}

}  // namespace scopenode::workflows
