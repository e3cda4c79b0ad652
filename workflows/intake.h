#pragma once
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/core/clock.h"
#include "config/settings.h"
#include "storage/archive/archive.h"
#include "storage/index/catalog.h"
#include "storage/index/database.h"
#include "storage/index/queue.h"
#include "workflows/eligibility.h"
#include "workflows/feedback/feedback.h"

namespace scopenode::workflows {

/// The slices that a study's report has to cover, by the last judgement. Empty when no series is eligible.
struct EligibleSet {
    std::int64_t series_id = 0;
    std::string series_uid;
    std::vector<storage::InstanceRow> slices;
    std::string digest;
};
Result<EligibleSet> eligible_set(storage::Connection& db, std::int64_t study_id);

/// What is to be done with a study that is complete, in the caller's transaction: a job for the next revision
/// when its eligible slices are not those of its current result, nothing otherwise. Sets the study's state.
Status settle_study(storage::Connection& db, const storage::StudyRow& study, UtcMs now);

/// Follows received objects: judges their series, keeps the quiet timer, settles studies that are complete.
/// One pass is one transaction for all that happened since the last. Not thread-safe.
class Intake {
  public:
    Intake(const config::Settings& settings, storage::Index& index, const storage::Archive& archive,
           const Clock& clock);
    /// True when there was something to do.
    Result<bool> pass();

  private:
    struct Judged {
        std::int64_t study_id = 0;
        std::vector<std::pair<std::int64_t, storage::Judgement>>
            series;  ///< only what differs from the index
    };
    using Header = std::unique_ptr<const storage::InstanceHeader>;

    Result<Judged> judge(std::int64_t study_id);
    const storage::InstanceHeader* header_of(const storage::InstanceRow& row);
    Status write(storage::Connection& db, const std::vector<Judged>& judged,
                 const std::vector<storage::EventRow>& events, const Feedback::Arrivals& arrivals,
                 const std::vector<storage::StudyRow>& due);
    Status complete(storage::Connection& db, const storage::StudyRow& was_due, UtcMs now);

    const config::Settings& settings_;
    storage::Index& index_;
    const storage::Archive& archive_;
    const Clock& clock_;
    Feedback feedback_;
    std::unordered_map<std::int64_t, Header> headers_;  ///< by instance; read once while a study arrives
};

}  // namespace scopenode::workflows
