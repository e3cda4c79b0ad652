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
#include "workflows/associations.h"
#include "workflows/completion.h"
#include "workflows/eligibility.h"
#include "workflows/feedback/feedback.h"

namespace scopenode::workflows {

/// The slices that a study's report has to cover, by the last judgement. Empty when no series is eligible.
struct EligibleSet {
    std::int64_t series_id = 0;
    std::string series_uid;
    std::vector<storage::InstanceRow> slices;
    std::vector<std::string> codes;  ///< of all images of the series: why one is left out, "" when it is not
    std::string digest;
};
Result<EligibleSet> eligible_set(storage::Connection& db, std::int64_t study_id);

/// What is to be done with a study that is complete, in the caller's transaction: a job for the next revision
/// when its eligible slices are not those of its current result or a person wants it done again, nothing otherwise.
/// Without eligible slices a job makes the short report that says so, once, if `report_not_eligible`. Sets the
/// study's state.
Status settle_study(storage::Connection& db, const storage::StudyRow& study, bool report_not_eligible, UtcMs now);
/// The state of a study on which there is nothing to do: "done" when its current result is of eligible slices,
/// "not_eligible" otherwise.
Result<std::string> settled_state(storage::Connection& db, std::int64_t study_id);

/// What the index knows of the arrival of a study; what only headers and open associations tell is left to the caller.
Result<Arrival> arrival_of(storage::Connection& db, const storage::StudyRow& study, UtcMs now);

/// Follows what happens to studies: judges their series, names the slices that are wanted, weighs the evidence of
/// their completion, settles those that are complete. One pass is one transaction for all that happened since the
/// last. Not thread-safe.
class Intake {
  public:
    /// `score_key`: of the model that serves (slice_scorer.h).
    Intake(const config::Settings& settings, storage::Index& index, const storage::Archive& archive,
           const Clock& clock, const Associations& associations, std::string score_key);
    /// True when there was something to do.
    Result<bool> pass();

  private:
    /// What the headers of a study say, as far as the index does not say it already.
    struct Judged {
        std::int64_t study_id = 0;
        std::vector<std::pair<std::int64_t, storage::Judgement>> series;
        std::vector<std::pair<std::int64_t, bool>> wanted;  ///< by instance
        int expected = 0;                                   ///< (0020,1208)
        int stack_missing = 0;                              ///< positions that the chosen series lacks
        int priority = 0;
        std::string priority_by, last_caller;
    };
    using Header = std::unique_ptr<const storage::InstanceHeader>;
    struct Stored;

    Status follow_clock();
    Result<Judged> judge(std::int64_t study_id, bool has_slices);
    void judge_urgency(Judged& judged, const Stored& stored);
    const storage::InstanceHeader* header_of(const storage::InstanceRow& row);
    Status write(storage::Connection& db, const Judged& judged, bool has_slices, UtcMs now);
    CompletionRules rules_for(const std::string& caller) const;

    const config::Settings& settings_;
    storage::Index& index_;
    const storage::Archive& archive_;
    const Clock& clock_;
    const Associations& associations_;
    const std::string score_key_;
    Feedback feedback_;
    std::unordered_map<std::int64_t, Header> headers_;  ///< by instance; read once while a study arrives
    UtcMs wall_before_ = 0;  ///< the two clocks at the last pass; 0: none yet
    std::int64_t steady_before_ = 0;
};

}  // namespace scopenode::workflows
