#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "storage/index/outbox.h"

namespace scopenode::storage {

class Connection;

/// Raw probabilities of a slice by a model: computed once, kept for every later revision.
struct SliceScoreRow {
    std::int64_t instance_id = 0;
    std::array<double, 6> scores{};
    std::string look;                ///< JSON: what its pixels look like (workflows/pixel_look.h), or ""
    std::optional<double> distance{};  ///< from the model's training data; nothing: not known
};
Status put_slice_scores(Connection& db, const std::string& model_sha256, const std::vector<SliceScoreRow>& rows);
Result<std::vector<SliceScoreRow>> slice_scores_of(Connection& db, std::int64_t study_id, const std::string& model_sha256);

/// By model, for the story of an instance.
Result<std::vector<std::pair<std::string, std::array<double, 6>>>> scores_of_instance(Connection& db,
                                                                                      std::int64_t instance_id);

/// One result object of a study revision; written once, its bytes with it.
struct ResultRow {
    std::int64_t id = 0, study_id = 0;
    int revision = 0;
    std::string kind;                ///< "sr", "sr-basic", "sc-1", "ko", "pr-1"
    std::string sop_class_uid, sop_instance_uid, series_uid;
    std::string model_sha256, program_version, settings_revision;
    std::string summary;             ///< JSON: the study's entry of results.json
    std::string eligible_set;        ///< digest of the SOP instance UIDs that were analysed
    UtcMs created = 0;
    bool current = true;             ///< false once superseded by a later revision
};
/// Adds the row. `bytes` is the whole file. kConflict when (study, revision, kind, model) or the SOP instance is
/// there already.
Result<std::int64_t> add_result(Connection& db, const ResultRow& row, const std::string& bytes);
/// All results of the study's revisions before `revision` are no longer current, whatever their kind, and their
/// waiting deliveries are not sent. Once, in the transaction that adds the first result of `revision`.
Status supersede_results(Connection& db, std::int64_t study_id, int revision);
/// What a later step has to say about a result that is there already.
Status set_result_summary(Connection& db, std::int64_t result_id, const std::string& summary);
Result<std::optional<std::string>> result_bytes(Connection& db, const std::string& sop_instance_uid);
Result<std::vector<ResultRow>> results_of(Connection& db, std::int64_t study_id);      ///< oldest first
Result<std::optional<ResultRow>> current_result(Connection& db, std::int64_t study_id, const std::string& kind);

}  // namespace scopenode::storage
