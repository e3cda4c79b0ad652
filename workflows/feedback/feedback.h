#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "config/settings.h"
#include "storage/archive/archive.h"
#include "storage/index/feedback.h"
#include "storage/index/labels.h"
#include "storage/index/queue.h"
#include "workflows/feedback/amended_report.h"

namespace scopenode::workflows {

/// An image that an analysis could be made of (CT, also multi-frame). Reports, presentation states, key
/// objects and secondary captures never change what is analysed.
bool may_be_slice(std::string_view sop_class_uid);
/// SR documents, without key objects.
bool is_report(std::string_view sop_class_uid);

/// Reports that come in by C-STORE: answers to results become records, own results that come back are
/// recognised. Not thread-safe.
class Feedback {
  public:
    Feedback(const config::Settings& settings, storage::Index& index, const storage::Archive& archive,
             const Clock& clock);

    /// What is to be written for one object.
    struct Found {
        std::int64_t study_id = 0;
        std::optional<storage::FeedbackRow> record;
        std::optional<storage::Remark> remark;
        std::vector<storage::KeyMark> marks;
        bool again = false;  ///< its record is there and gets its match now
    };
    struct Arrivals {
        std::vector<Found> found;
        std::set<std::int64_t> studies_with_slices;
        /// False: nothing came for the study but reports, pictures and own results.
        bool has_slices(std::int64_t study_id) const { return studies_with_slices.count(study_id) > 0; }
    };
    /// Reads what the events are about, outside of any transaction. A document that cannot be read is an
    /// outcome, not an error.
    Result<Arrivals> read(const std::vector<storage::EventRow>& events);
    /// Writes it in the caller's transaction, which also ends the events. Again does nothing.
    Status write(storage::Connection& db, const Arrivals& arrivals);
    /// Looks again at records that had no result yet; true when one has got its match.
    Result<bool> match();

  private:
    Result<Found> look_at(const storage::Arrival& arrival);
    void look_at_marks(const storage::Arrival& arrival, Found& found) const;
    Result<Found> look_at_report(const storage::Arrival& arrival);
    Result<std::optional<storage::Remark>> not_understood(const storage::Arrival& arrival,
                                                          const Error& error);
    Result<storage::FeedbackRow> record_of(const storage::Arrival& arrival, const AmendedReport& report,
                                           const KnownResult* result, const std::string& by);
    Result<std::optional<AmendedReport>> own_report(const KnownResult& result);

    const config::Settings& settings_;
    storage::Index& index_;
    const storage::Archive& archive_;
    const Clock& clock_;
    std::set<std::int64_t> given_up_;  ///< instances whose files cannot be read any more
};

/// `scopenode feedback list|show`; JSON or text. `what` is a record's number or its SOP Instance UID.
Result<std::string> feedback_list(storage::Index& index, const storage::FeedbackFilter& filter, bool json);
Result<std::string> feedback_show(storage::Index& index, const std::string& what, bool json);
/// The records about a study, for its story.
Result<nlohmann::ordered_json> feedback_entries(storage::Connection& db, const std::string& study_uid);

}  // namespace scopenode::workflows
