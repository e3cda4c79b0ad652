#pragma once
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "config/settings.h"
#include "ml/model.h"
#include "storage/archive/archive.h"
#include "storage/dicom/rescale.h"
#include "storage/index/queue.h"
#include "storage/index/results.h"
#include "workflows/intake.h"
#include "workflows/results/bundle.h"
#include "workflows/study.h"

namespace scopenode::workflows {

/// Pause before attempt number `attempts` + 1: `first` doubling up to `longest`, in ms.
UtcMs pause_after(int attempts, UtcMs first, UtcMs longest);

/// The job of a complete study: scores, then the report with its deliveries in one transaction, then pictures
/// and key objects with theirs and the end of the job in a second one, so that no report waits for a picture.
/// Everything it has done before a crash is found again. Not thread-safe.
class StudyWork {
  public:
    struct Parts {
        const config::Settings& settings;
        storage::Index& index;
        storage::Archive& archive;
        const ml::Model& model;
        const Clock& clock;
        std::string node_uid, program_version;
        std::function<void()> report_stored = {};  ///< deliveries wait; the study's pictures are still made
    };
    explicit StudyWork(Parts parts) : p_(std::move(parts)) {}

    /// Claims and does one job; false when there was none. A job that `stopping` interrupts stays "running"
    /// in the index and is taken up at the next start.
    Result<bool> turn(const std::atomic<bool>& stopping);

  private:
    /// What the index knows at the start of an attempt.
    struct Task {
        storage::JobRow job;
        storage::StudyRow study;
        EligibleSet set;
        std::vector<storage::SliceScoreRow> scores;
        std::optional<storage::ResultRow> predecessor;
        bool has_result = false;  ///< of this revision: an earlier attempt got through
    };

    Result<std::optional<storage::JobRow>> claim();
    Result<Task> load(const storage::JobRow& job);
    Status work(const storage::JobRow& job, const std::atomic<bool>& stopping);
    Result<StudyAnalysis> analyse(Task& task, const std::atomic<bool>& stopping);
    Status infer_missing(Task& task, std::vector<Reason>& reasons, const std::atomic<bool>& stopping);
    Status check_identity(const Task& task, const std::vector<storage::InstanceHeader>& headers);
    /// The report, then what belongs to it: two transactions, of which the first is never done twice.
    Status store(const Task& task, const StudyAnalysis& analysis);
    Status store_report(const Task& task, const StudyAnalysis& analysis);
    Status store_companions(const Task& task, const StudyAnalysis& analysis);
    Result<std::vector<EncodedObject>> reports(const Task& task, const StudyAnalysis& analysis);
    Result<ReportContext> context_of(const Task& task, const std::string& kind);
    Result<Companions> companions(const Task& task, const StudyAnalysis& analysis);
    storage::ResultRow result_row(const Task& task, const StudyAnalysis& analysis,
                                  const EncodedObject& object) const;
    std::vector<config::Destination> allowed_destinations(std::vector<std::string>* kept_here) const;
    bool may_go_on(const Task& task) const;
    Status finish(storage::Connection& db, const storage::JobRow& job);
    Status end_badly(const storage::JobRow& job, const Error& error);
    ReportContext report_context(const Task& task) const;
    storage::Rescale rescale() const;
    std::string score_key() const;

    Parts p_;
    std::optional<std::pair<storage::JobRow, Error>> unended_;  ///< its failure is not in the index yet
};

}  // namespace scopenode::workflows
