#include "config/meaning.h"

#include <cstdlib>
#include <set>

namespace scopenode::config {
namespace {

namespace fs = std::filesystem;

bool is_loopback_host(const std::string& host) {
    return host == "localhost" || host == "::1" ||
           (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

/// Nothing when the zone can be used, else what is wrong with it.
std::string zone_fault(const std::string& zone) {
    if (zone.empty() || zone == "UTC") return "";
    const char* set = std::getenv("TZDIR");
    const fs::path folder = set && *set ? set : "/usr/share/zoneinfo";
    std::error_code ec;
    if (!fs::is_directory(folder, ec))
        return "needs the time zone data of package tzdata, which is not installed";
    const bool plain =
        zone.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") ==
            std::string::npos &&
        zone.front() != '/';
    if (!plain || !fs::is_regular_file(folder / zone, ec)) return "'" + zone + "' is not a known time zone";
    return "";
}

const char* const kAeTitle = "must be an AE title: 1-16 printable characters, no backslash, not only spaces";

void address_faults(const Destination& one, const std::string& here, std::vector<Fault>& faults) {
    if (!is_legal_ae_title(one.ae_title)) faults.push_back({here + "/ae_title", kAeTitle});
    if (one.host.find_first_not_of(' ') == std::string::npos)
        faults.push_back({here + "/host", "must name a host"});
}

void destination_faults(const Settings& settings, std::vector<Fault>& faults) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < settings.destinations.size(); ++i) {
        const Destination& one = settings.destinations[i];
        const std::string here = fmt::format("/destinations/{}", i);
        if (!names.insert(one.name).second)
            faults.push_back({here + "/name", "'" + one.name + "' is the name of another destination too"});
        address_faults(one, here, faults);
    }
    std::set<std::string> titles;
    for (std::size_t i = 0; i < settings.peers.size(); ++i) {
        const Destination& one = settings.peers[i];
        const std::string here = fmt::format("/peers/{}", i);
        address_faults(one, here, faults);
        if (!titles.insert(one.ae_title).second)
            faults.push_back({here + "/ae_title", "'" + one.ae_title + "' stands in the list twice"});
    }
}

}  // namespace

bool Destination::is_loopback() const {
    return is_loopback_host(host);
}

std::vector<Fault> meaning_faults(const Settings& settings) {
    std::vector<Fault> faults;
    const auto& dimse = settings.dimse;
    if (const std::string fault = zone_fault(settings.site.time_zone); !fault.empty())
        faults.push_back({"/site/time_zone", fault});
    if (!is_legal_ae_title(dimse.ae_title)) faults.push_back({"/dimse/ae_title", kAeTitle});
    for (std::size_t i = 0; i < settings.intake.stat_callers.size(); ++i)
        if (!is_legal_ae_title(settings.intake.stat_callers[i]))
            faults.push_back({fmt::format("/intake/stat_callers/{}", i), kAeTitle});
    for (std::size_t i = 0; i < dimse.allowed_callers.size(); ++i)
        if (!is_legal_ae_title(dimse.allowed_callers[i]))
            faults.push_back({fmt::format("/dimse/allowed_callers/{}", i), kAeTitle});
    for (std::size_t i = 0; i < settings.training.label_callers.size(); ++i)
        if (!is_legal_ae_title(settings.training.label_callers[i]))
            faults.push_back({fmt::format("/training/label_callers/{}", i), kAeTitle});
    if (!is_loopback_host(dimse.bind) && dimse.allowed_callers.empty())
        faults.push_back({"/dimse/bind", "'" + dimse.bind +
                                             "' is not a loopback address: list the calling AE titles in "
                                             "/dimse/allowed_callers first"});
    if (!is_loopback_host(settings.http.bind))
        faults.push_back({"/http/bind", "must be a loopback address (127.0.0.1 or ::1)"});
    if (dimse.port != 0 && dimse.port == settings.http.port)
        faults.push_back({"/http/port", fmt::format("{} is the port of /dimse/port too", dimse.port)});
    if (settings.delivery.longest_retry_seconds < settings.delivery.first_retry_seconds)
        faults.push_back({"/delivery/longest_retry_seconds", "must not be less than first_retry_seconds"});
    destination_faults(settings, faults);
    return faults;
}

}  // namespace scopenode::config
