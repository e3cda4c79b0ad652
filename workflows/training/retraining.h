#pragma once
#include <atomic>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "config/settings.h"
#include "storage/archive/archive.h"
#include "storage/index/trainings.h"
#include "workflows/training/gate.h"
#include "workflows/training/snapshot.h"

namespace scopenode::workflows {

/// Retraining jobs of a node, one at a time: snapshot of the labels, training, judging, each found again
/// after a crash.
///   labels -> training/snapshots/<sha>.json -> training/<job>/model/ -> models/<id>/ -> verdict,
///   training/<job>/report.html
/// Training and judging run in processes of their own, pause while studies wait, and touch no database: what
/// they say is recorded here. The champion serves on whatever happens. Not thread-safe.
class Retraining {
  public:
    struct Parts {
        const config::Settings& settings;
        storage::Index& index;
        storage::Archive& archive;
        const Clock& clock;
        std::filesystem::path node;
        std::string program;  ///< this program, started anew for the steps
    };
    explicit Retraining(Parts parts) : p_(std::move(parts)) {}

    /// What was running when the process died goes on.
    Status start();
    /// Does one job to its end; false when there was none. A job that `stopping` interrupts goes on at the
    /// next start.
    Result<bool> turn(const std::atomic<bool>& stopping);

  private:
    struct Job;
    Status work(Job& job, const std::atomic<bool>& stopping);
    Status make_snapshot(Job& job);
    Status train(Job& job, const std::atomic<bool>& stopping);
    Status take_candidate(Job& job);
    Status judge(Job& job, const std::atomic<bool>& stopping);
    Status write_page(const Job& job, const Snapshot& snapshot, const GateInput& input,
                      const Verdict& verdict);
    Status run_step(Job& job, std::vector<std::string> command, const std::atomic<bool>& stopping);
    Result<bool> should_wait(Job& job);
    void take_line(const Job& job, const std::string& line);
    Status note(const Job& job, const std::string& line);
    Status end(Job& job, const Status& done);
    std::filesystem::path folder(const Job& job) const;

    Parts p_;
    UtcMs rule_asked_ = 0;
};

/// What the champion brings to a snapshot.
struct Champion {
    std::string id, sha256, folder;  ///< below the node folder
    bool demonstration = false;
    std::string preset, name, version;
    std::vector<std::string> learnt_before = {};
    std::string preset_json = {};  ///< the whole of it: a site may have its own windows
};
Result<Champion> serving_champion(storage::Connection& db, const std::filesystem::path& node);
/// The same of any registered model.
Result<Champion> model_to_build_on(storage::Connection& db, const std::filesystem::path& node,
                                   const std::string& id);
SnapshotParts snapshot_parts(const config::Settings& settings, const Champion& champion);

/// `train start [--from ID] [--preset P] [--epochs N] [--depth D] [--learning-rate R] [--seed N]`, `train cancel
/// ID`, `train resume ID`: words behind `train`. Starting says the counts and refuses when there is too
/// little.
Result<std::string> run_train_command(storage::Connection& db, const config::Settings& settings,
                                      const std::filesystem::path& node, UtcMs now, const std::string& by,
                                      std::span<const std::string> words);
/// Whether the settings have a rule by which jobs start.
inline bool has_start_rule(const config::Settings::Training& training) {
    return training.start_after_labels > 0 || training.start_every_days > 0;
}
/// Starts a job when the settings say so: enough studies, or days, since the last one; never beside another.
Status start_by_rule(storage::Connection& db, const config::Settings& settings,
                     const std::filesystem::path& node, UtcMs now);

/// Readers.
Result<std::string> trainings_list(storage::Index& index, bool json);
Result<std::string> training_show(storage::Index& index, std::int64_t id, bool json);

}  // namespace scopenode::workflows
