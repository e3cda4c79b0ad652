#pragma once
#include <atomic>
#include <filesystem>
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
#include "workflows/results/report.h"
#include "workflows/study.h"

namespace scopenode::workflows {

/// Pause before attempt number `attempts` + 1: `first` doubling up to `longest`, in ms.
UtcMs pause_after(int attempts, UtcMs first, UtcMs longest);

/// The job of a complete study: scores, report, and in one transaction result, deliveries and end of the job.
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
        std::vector<std::string> decoder = {};  ///< of a PixelReader
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
    Status store(const Task& task, const StudyAnalysis& analysis);
    Status finish(storage::Connection& db, const storage::JobRow& job);
    Status end_badly(const storage::JobRow& job, const Error& error);
    ReportContext report_context(const Task& task) const;
    storage::Rescale rescale() const;
    std::string score_key() const;

    Parts p_;
    storage::PixelReader pixels_{p_.decoder};
    std::optional<std::pair<storage::JobRow, Error>> unended_;  ///< its failure is not in the index yet
};

}  // namespace scopenode::workflows
