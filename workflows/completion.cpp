#include "workflows/completion.h"

#include <fmt/core.h>

#include <algorithm>

namespace scopenode::workflows {
namespace {

Completion complete(std::string by, std::string detail) {
    return {true, std::move(by), std::move(detail), 0};
}

std::string seconds(UtcMs ms) {
    return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
}

/// What says that objects are missing, in words; "" when nothing does.
std::string missing(const Arrival& a) {
    if (a.mpps_missing > 0) return fmt::format("the MPPS names {} images that are not here", a.mpps_missing);
    if (a.commit_missing > 0)
        return fmt::format("commitment was asked for {} objects that are not here", a.commit_missing);
    if (a.expected > a.received)
        return fmt::format("{} of {} expected objects are here", a.received, a.expected);
    if (a.stack_missing > 0) return fmt::format("the stack has gaps of {} slices", a.stack_missing);
    if (a.association_open) return "an association that brought objects is still open";
    return "";
}

std::optional<Completion> by_evidence(const Arrival& a) {
    if (a.command) return complete("command", fmt::format("a person, with {} objects here", a.received));
    // A step that names no images may end before the first of them is sent.
    const bool all_sent = a.association_end && !a.association_open && a.stack_missing == 0;
    if (a.mpps == Arrival::Step::kEnded && a.mpps_missing == 0 && (a.mpps_images > 0 || all_sent))
        return complete("MPPS",
                        fmt::format("the performed procedure step has ended; it names {} images, all here",
                                    a.mpps_images));
    if (a.mpps == Arrival::Step::kInProgress) return std::nullopt;
    if (a.commit_images > 0 && a.commit_missing == 0 && a.commit_images >= a.received)
        return complete("commitment request", fmt::format("asked for {} objects, all here", a.commit_images));
    if (a.expected > 0 && a.received >= a.expected && !a.association_open && a.association_end)
        return complete("expected count",
                        fmt::format("{} objects are here, the headers tell of {}", a.received, a.expected));
    return std::nullopt;
}

}  // namespace

Completion judge_arrival(const Arrival& a, const CompletionRules& rules, UtcMs now) {
    if (auto decided = by_evidence(a)) return std::move(*decided);
    const UtcMs limit = a.opened + rules.longest;
    if (now >= limit)
        return complete("hard limit", fmt::format("{} after the first object{}{}", seconds(now - a.opened),
                                                  missing(a).empty() ? "" : "; ", missing(a)));
    if (a.mpps == Arrival::Step::kInProgress) return {false, "", "", limit};
    const std::string lacking = missing(a);
    const UtcMs wait = rules.quiet * (lacking.empty() ? 1 : std::max(1, rules.patience));
    const UtcMs end = a.last_received + wait;
    if (now < end) return {false, "", "", std::min(end, limit)};
    return complete("quiet time", fmt::format("nothing new for {}{}{}", seconds(now - a.last_received),
                                              lacking.empty() ? "" : ", although ", lacking));
}

}  // namespace scopenode::workflows
