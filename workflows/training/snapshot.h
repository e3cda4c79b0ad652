#pragma once
#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "config/settings.h"
#include "ml/metrics.h"
#include "storage/index/database.h"

namespace scopenode::workflows {

/// What a study of a snapshot is for. A patient's studies are all for the same, in this round and in all
/// later ones.
enum class Use {
    kLearn,
    kJudge,    ///< early stopping, calibration, thresholds
    kHeldOut,  ///< no training sees them: the newest labels, on which a candidate must be better
    kGolden,   ///< held out and sealed: on which it must not be worse
};
std::string_view word(Use use);  ///< "learn", "judge", "held_out", "golden"

struct SnapshotSlice {
    std::string sop_instance_uid;
    std::string path, sha256;  ///< of the stored object; the path is relative to the node folder
    double z_mm = 0;
    ml::Truth labels;
    double weight = 1;  ///< under 1: a guess at which slices show what only the study's label says
};
struct SnapshotStudy {
    std::string study_uid, series_uid;
    std::string patient;  ///< hash of ID and issuer
    Use use = Use::kLearn;
    bool rehearsal = false;                     ///< the champion has learnt from it
    std::map<std::string, std::string> groups;  ///< device, age, sex, where known
    ml::Truth truth;
    std::vector<SnapshotSlice> slices;
};

/// A data set as it was at one moment: which objects, which labels, who is on which side. Its id is the
/// sha256 of its text, so the same data is the same snapshot.
struct Snapshot {
    std::vector<SnapshotStudy> studies;
    std::vector<std::string> conflicts;  ///< of labels: unknown until somebody decides
    std::vector<std::string> left_out;   ///< studies, and why
    std::string champion;                ///< id of the model that served
    bool rsna_rescale_quirk = false;
    /// Of a demonstration model, whose data are phantoms: made anew for rehearsal and as part of the golden
    /// set.
    int rehearsal_phantoms = 0, golden_phantoms = 0;
};
std::string snapshot_json(const Snapshot& snapshot);
/// kDamagedModel names what is wrong: another version, a missing part, text that is not its name's sha256.
Result<Snapshot> parse_snapshot(const std::string& text, const std::string& where);
Result<Snapshot> read_snapshot(const std::filesystem::path& file);

/// Studies, and present and absent ones of each finding.
struct ClassCounts {
    int studies = 0;
    std::array<int, ml::kLabelCount> present{}, absent{};
};
std::map<Use, ClassCounts> count_classes(const Snapshot& snapshot);
std::string counts_table(const Snapshot& snapshot);
/// Why nothing can be learnt from it; "" when there is enough.
std::string too_little(const Snapshot& snapshot, int fewest_studies);

struct SnapshotParts {
    const config::Settings::Training& training;
    std::string champion;         ///< id
    std::string champion_scores;  ///< key of its slice scores, see score_key()
    bool demonstration = false;
    bool rsna_rescale_quirk = false;
    std::vector<std::string> learnt_before;  ///< Study Instance UIDs of the champion's own snapshot
};
/// From the index alone: sides, truth, slices; without places, groups and duplicates.
Result<Snapshot> plan_snapshot(storage::Connection& db, const SnapshotParts& parts);
/// Where the file of a stored object stands.
using ObjectPath = std::function<std::filesystem::path(const std::string& path)>;
/// Reads the files: places, groups; takes out studies that show the same pixels as another one, unreadable
/// ones and those whose header names somebody else.
Status complete_snapshot(Snapshot& snapshot, const ObjectPath& object);

/// 16 hex digits of the patient, and the side by it: held out below `held_out_share`, of the rest
/// `judge_share` judges.
std::string patient_hash(const std::string& patient_id, const std::string& issuer,
                         const std::string& study_uid);
Use side_by_hash(const std::string& patient, const config::Settings::Training& training);

}  // namespace scopenode::workflows
