#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"

namespace scopenode::storage {

class Connection;

/// A retraining job: one runs at a time, its attempt is counted before its work starts.
struct TrainingRow {
    std::int64_t id = 0;
    std::string state;    ///< queued, running, done, failed, cancelled
    std::string step;     ///< snapshot, training, judging
    std::string options;  ///< JSON
    std::string requested_by;
    UtcMs created = 0, next = 0;
    std::optional<UtcMs> started, ended;
    int attempts = 0;
    bool paused = false;   ///< studies come first
    std::string snapshot;  ///< sha256
    std::string model;     ///< id of the candidate
    std::string verdict;   ///< JSON
    std::string last_error;
};
Result<std::int64_t> add_training(Connection& db, const std::string& options, const std::string& by,
                                  UtcMs now);
/// The oldest queued job whose time has come becomes running; nothing while there is none.
Result<std::optional<TrainingRow>> claim_training(Connection& db, UtcMs now);
Result<std::optional<TrainingRow>> find_training(Connection& db, std::int64_t id);
Result<std::vector<TrainingRow>> list_trainings(Connection& db);  ///< newest first
/// What a running job has reached; kCancelled when it is not running any more.
Status note_training(Connection& db, const TrainingRow& row);
/// done, failed or (with `next`) queued again; kCancelled when it is not running any more.
Status end_training(Connection& db, const TrainingRow& row);
Status cancel_training(Connection& db, std::int64_t id, UtcMs now);  ///< queued or running; kConflict else
Status resume_training(Connection& db, std::int64_t id, UtcMs now);  ///< failed or cancelled; kConflict else
/// At start: what was running when the process died is queued again (its attempt stays counted).
Result<int> requeue_trainings(Connection& db);

struct TrainingEpochRow {
    int epoch = 0;
    UtcMs time = 0;
    std::string report;  ///< JSON as the trainer says it
};
Status put_training_epoch(Connection& db, std::int64_t training, const TrainingEpochRow& row);
Result<std::vector<TrainingEpochRow>> training_epochs(Connection& db, std::int64_t training);
Status add_training_line(Connection& db, std::int64_t training, UtcMs now, const std::string& line);
Result<std::vector<std::pair<UtcMs, std::string>>> training_lines(Connection& db, std::int64_t training,
                                                                  int limit);  ///< the last ones, in order

struct SnapshotRow {
    std::string sha256;
    UtcMs created = 0;
    std::string path, summary;  ///< below the node folder; JSON
};
Status add_snapshot(Connection& db, const SnapshotRow& row);  ///< again is harmless
Result<std::optional<SnapshotRow>> find_snapshot(Connection& db, const std::string& sha256);
/// Work on studies waits or runs now: training pauses.
Result<bool> studies_wait(Connection& db, UtcMs now);

}  // namespace scopenode::storage
