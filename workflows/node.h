#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "config/settings.h"
#include "ml/model.h"
#include "storage/archive/archive.h"
#include "storage/index/database.h"
#include "workflows/ports.h"

namespace scopenode::workflows {

class Associations;
class CommitmentService;

/// The study loop of a serving node: intake, work, delivery, each on its own threads, all state in the index.
///   event -> intake (eligibility, evidence) -> wanted slices -> scores, while the study arrives
///   complete -> job -> study work -> results, outbox -> delivery
/// Everything given must outlive it. Thread-safe.
class StudyLoop {
  public:
    struct Parts {
        const config::Settings& settings;
        storage::Index& index;
        storage::Archive& archive;
        std::shared_ptr<const ml::Model> model;
        /// Another registered model, for `studies reprocess --model`.
        std::function<Result<std::shared_ptr<const ml::Model>>(const std::string& id)> load_model;
        ConnectPeer connect;
        ReportCommitment report;
        const Clock& clock;
        std::string node_uid;
        std::string program_version;
        bool crashed = false;  ///< the process before this one died of a fault of its own
        std::vector<std::string> decoder = {};   ///< command of the decoding process, see PixelReader
    };
    explicit StudyLoop(Parts parts);
    ~StudyLoop();
    /// Requeues what was running when the process died and starts the threads.
    Status start();
    /// Waits for the steps that are running; what is left goes on at the next start.
    void stop();
    /// Another model serves from the next study on; what is at work now begins anew by it.
    Status serve(std::shared_ptr<const ml::Model> model);
    /// Something was received: taken up within a quarter of a second, with all that came meanwhile.
    void wake();
    /// A person or a peer said something about a study: taken up at once.
    void signal();
    Associations& associations();
    /// What the services of the edge ask and answer about Storage Commitment.
    CommitmentService& commitments();
    /// Oldest job that could run now and does not, in ms (0: none): for /metrics.
    std::int64_t oldest_runnable_job_ms() const;
    /// Scoring rests because memory or disk failed: an alarm.
    bool inference_rests() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The commands of a person on a node's state: used by the control socket beside a running node and directly
/// otherwise. Each returns when the change is durable; arguments as on the command line. Result: text for the person.
Result<std::string> run_command(storage::Index& index, const config::Settings& settings, const Clock& clock,
                                const std::vector<std::string>& words);

/// Readers; JSON as in design section 4 ("studies show --json") or plain text for a person.
Result<std::string> studies_list(storage::Index& index, bool json);
Result<std::string> studies_show(storage::Index& index, const std::string& study_uid, bool json);
Result<std::string> studies_why(storage::Index& index, const std::string& study_uid, bool json);
Result<std::string> jobs_list(storage::Index& index, const std::string& state, bool json);
Result<std::string> jobs_show(storage::Index& index, std::int64_t id, bool json);
Result<std::string> outbox_list(storage::Index& index, const std::string& state, bool json);

/// `scopenode infer`: the same steps without a network or a node. Writes results.json and the report objects.
struct OfflineOptions {
    std::vector<std::filesystem::path> inputs;   ///< files and folders
    std::filesystem::path out;
    std::shared_ptr<const ml::Model> model;
    int minimum_slices = 8;
    std::string time_zone = "UTC";
    std::string program_version;
    std::vector<std::string> decoder = {};       ///< command of the decoding process; empty: none
    bool pixel_gate = true;                      ///< a stack that is no head by its pixels is not judged
    bool abstain = false;                        ///< from a study unlike the model's training data
    bool rsna_rescale_quirk = false;             ///< undo it where headers have it; said in the results
};
Status infer_offline(const OfflineOptions& options, const Clock& clock);

}  // namespace scopenode::workflows
