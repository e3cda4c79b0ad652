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
#include "storage/dicom/pixel_reader.h"
#include "storage/index/queue.h"
#include "storage/index/results.h"
#include "workflows/intake.h"
#include "workflows/not_eligible.h"
#include "workflows/results/bundle.h"
#include "workflows/slice_scorer.h"
#include "workflows/study.h"

namespace scopenode::workflows {

// A batch takes well under a minute even of the largest model on a slow CPU; who holds a job longer is stuck.
constexpr UtcMs kJobLeaseMs = 10 * 60 * 1000;

/// The job of a complete study: scores, then the report with its deliveries in one transaction, then pictures
/// and key objects with theirs and the end of the job in a second one, so that no report waits for a picture.
/// Everything it has done before a crash is found again. Not thread-safe.
class StudyWork {
  public:
    struct Parts {
        const config::Settings& settings;
        storage::Index& index;
        storage::Archive& archive;
        std::shared_ptr<const ml::Model> model;
        /// Another registered model, for a job that asks for it.
        std::function<Result<std::shared_ptr<const ml::Model>>(const std::string& id)> load_model;
        storage::PixelReader& pixels;
        const Clock& clock;
        std::string node_uid, program_version;
        std::function<void()> report_stored = {};  ///< deliveries wait; the study's pictures are still made
    };
    explicit StudyWork(Parts parts);

    /// Claims and does one job; false when there was none. A job that `stopping` interrupts stays "running"
    /// in the index and is taken up at the next start; one that a person cancels is left as it is.
    Result<bool> turn(const std::atomic<bool>& stopping);

  private:
    /// What the index knows at the start of an attempt.
    struct Task {
        storage::JobRow job;
        storage::StudyRow study;
        EligibleSet set;
        std::optional<Witness> witness;      ///< of a study without eligible slices that is to be reported
        std::vector<Reason> series_reasons;  ///< likewise
        std::shared_ptr<const ml::Model> model;
        bool send = true;        ///< to the destinations
        std::vector<config::Destination> destinations;  ///< that its results go to, in the form that they take
        std::vector<std::string> kept_from;  ///< those that must not get results of a demonstration model
        std::optional<Reason> refused;  ///< what the pixels of the series say against it
        std::vector<storage::SliceScoreRow> scores;
        std::vector<storage::SliceFault> faults;
        std::optional<storage::ResultRow> predecessor;
        bool has_result = false;  ///< of this revision: an earlier attempt got through
    };

    Result<std::optional<storage::JobRow>> claim();
    Result<Task> load(const storage::JobRow& job);
    Status work(const storage::JobRow& job, const std::atomic<bool>& stopping);
    Result<StudyAnalysis> analyse(Task& task, const std::atomic<bool>& stopping);
    Status infer_missing(Task& task, std::vector<Reason>& reasons, const std::atomic<bool>& stopping);
    Status read_scores(Task& task);
    Status read_request(Task& task);
    Status still_wanted(const storage::JobRow& job, const std::atomic<bool>& stopping);
    Status check_identity(const Task& task, const std::vector<storage::InstanceHeader>& headers);
    Status check_owner(const Task& task, const storage::InstanceHeader& header, const std::string& series_uid);
    /// What the short report says.
    Result<StudyAnalysis> without_series(const Task& task);
    Status judge_pixels(Task& task, const std::vector<storage::InstanceHeader>& headers);
    Status refuse_series(const Task& task);
    /// The report, then what belongs to it: two transactions, of which the first is never done twice. A short report
    /// ends its job in the first.
    Status store(const Task& task, const StudyAnalysis& analysis);
    Status store_report(const Task& task, const StudyAnalysis& analysis);
    Status store_companions(const Task& task, const StudyAnalysis& analysis);
    Result<std::vector<EncodedObject>> reports(const Task& task, const StudyAnalysis& analysis);
    Result<ReportContext> context_of(const Task& task, const std::string& kind);
    Result<Companions> companions(const Task& task, const StudyAnalysis& analysis);
    storage::ResultRow result_row(const Task& task, const StudyAnalysis& analysis,
                                  const EncodedObject& object) const;
    Status choose_destinations(Task& task);
    bool may_go_on(const Task& task) const;
    Status finish(storage::Connection& db, const storage::JobRow& job);
    Status end_badly(const storage::JobRow& job, const Error& error);
    ReportContext report_context(const Task& task) const;
    Parts p_;
    std::optional<std::pair<storage::JobRow, Error>> unended_;  ///< its failure is not in the index yet
};

}  // namespace scopenode::workflows
