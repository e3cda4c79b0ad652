#pragma once
#include <optional>
#include <string>

#include "base/core/clock.h"

namespace scopenode::workflows {

/// What is known of an arriving study: whatever speaks for or against more objects coming. Numbers of
/// objects.
struct Arrival {
    UtcMs opened = 0;         ///< first object of this arrival
    UtcMs last_received = 0;  ///< last object
    bool command = false;     ///< a person said that it is complete
    enum class Step { kNone, kInProgress, kEnded };
    Step mpps = Step::kNone;               ///< of the performed procedure steps of the study, all together
    int mpps_images = 0;                   ///< that they name
    int mpps_missing = 0;                  ///< of those, not here
    int commit_images = 0;                 ///< whose commitment was asked for
    int commit_missing = 0;                ///< of those, not here
    int expected = 0, received = 0;        ///< (0020,1208) of the headers, and what is here; 0: not told
    int stack_missing = 0;                 ///< positions that the stack of the best series lacks
    bool association_open = false;         ///< one that brought objects of it is still open
    std::optional<UtcMs> association_end;  ///< of the last one
};

struct CompletionRules {
    UtcMs quiet = 30'000;     ///< without a new object, when nothing speaks against it
    int patience = 3;         ///< so many times longer while something says that objects are missing
    UtcMs longest = 900'000;  ///< complete after this in any case
};

/// Complete, and by what; or when to look again if nothing happens before.
struct Completion {
    bool complete = false;
    std::string by;      ///< "MPPS", "command", "quiet time", ...
    std::string detail;  ///< one sentence with the numbers
    UtcMs look_again = 0;
};

/// In this order: a person's command; the end of the performed procedure step (MPPS) with every image that it
/// names here; a Storage Commitment request for objects that are all here; the expected number of objects
/// (0020,1208) with all associations ended; the hard limit; the quiet time. A step in progress holds the
/// quiet time off until the hard limit. Missing images, gaps in the stack and an open association make the
/// quiet time `patience` times as long. Pure.
Completion judge_arrival(const Arrival& arrival, const CompletionRules& rules, UtcMs now);

}  // namespace scopenode::workflows
