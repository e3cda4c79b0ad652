#pragma once
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"

namespace scopenode::storage {

class Connection;

/// A slice that is to be scored before its study is complete.
struct WantedSlice {
    std::int64_t instance_id = 0, study_id = 0;
    std::string path;
};
/// The most urgent ones: studies of higher priority first, then those that began to arrive earlier. All of one
/// study when work on it has ended the program before, so that it can harm no other; none of a study that has
/// done so too often.
Result<std::vector<WantedSlice>> wanted_slices(Connection& db, int limit);
Status want_slice(Connection& db, std::int64_t instance_id, bool wanted);

/// Why a slice has no score: it cannot be decoded, or the model failed on it alone.
struct SliceFault {
    std::int64_t instance_id = 0;
    std::string text;
};
Status put_slice_fault(Connection& db, const std::string& model_sha256, const SliceFault& fault);
Result<std::vector<SliceFault>> slice_faults_of(Connection& db, std::int64_t study_id, const std::string& model_sha256);

Result<std::vector<std::string>> faults_of_instance(Connection& db, std::int64_t instance_id);

/// Work on studies is marked before it begins and unmarked when it ends; a mark that a starting program finds is a
/// death of the program. `crashed`: it died of its own fault or for want of memory (the study counts a crash);
/// otherwise it was ended from outside (a kill, forgotten as soon as work goes on): only very many of them in a row
/// speak against the study, such as one that hangs until a supervisor ends the program.
constexpr int kMostCrashes = 2, kMostKills = 20;
Status begin_work(Connection& db, const std::vector<std::int64_t>& study_ids);
Status end_work(Connection& db, const std::vector<std::int64_t>& study_ids);
Status count_deaths(Connection& db, bool crashed);
/// Scores were added.
Status forget_kills(Connection& db, std::int64_t study_id);
/// The work came to its end, or somebody wants it tried again.
Status forget_deaths(Connection& db, std::int64_t study_id);
Status forget_faults(Connection& db, std::int64_t study_id);

}  // namespace scopenode::storage
