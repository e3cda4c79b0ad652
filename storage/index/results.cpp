#include "storage/index/results.h"

#include <cstdio>

#include "storage/index/deflate.h"
#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

// A report is small and must not wait.
constexpr std::size_t kDeflatedFrom = 256 << 10;

// Scores as JSON text: "[0.1,0.2,...]" with digits enough to come back to the bit.
std::string scores_text(const std::array<double, 6>& scores) {
    return fmt::format("[{}]", fmt::join(scores, ","));
}

std::array<double, 6> scores_of(const std::string& text) {
    std::array<double, 6> out{};
    std::size_t at = 1;
    for (double& value : out) {
        value = std::strtod(text.c_str() + at, nullptr);
        at = text.find(',', at) + 1;
    }
    return out;
}

ResultRow result_row(SQLite::Statement& s) {
    ResultRow r;
    r.id = integer(s, 0);
    r.study_id = integer(s, 1);
    r.revision = static_cast<int>(integer(s, 2));
    r.kind = text(s, 3);
    r.sop_class_uid = text(s, 4);
    r.sop_instance_uid = text(s, 5);
    r.series_uid = text(s, 6);
    r.model_sha256 = text(s, 7);
    r.program_version = text(s, 8);
    r.settings_revision = text(s, 9);
    r.summary = text(s, 10);
    r.eligible_set = text(s, 11);
    r.created = integer(s, 12);
    r.current = integer(s, 13) != 0;
    return r;
}

#define SCOPENODE_RESULT_COLUMNS                                                                    \
    "SELECT id, study, revision, kind, sop_class_uid, sop_instance_uid, series_uid, model_sha256, " \
    "program_version,"                                                                              \
    " settings_revision, summary, eligible_set, created, current FROM results "

}  // namespace

Status put_slice_scores(Connection& db, const std::string& model, const std::vector<SliceScoreRow>& rows) {
    return run([&]() -> Status {
        for (const SliceScoreRow& row : rows)
            execute(db,
                    "INSERT OR REPLACE INTO slice_scores (instance, model_sha256, scores, look, distance)"
                    " VALUES (?, ?, ?, ?, ?)",
                    row.instance_id, model, scores_text(row.scores), row.look, row.distance);
        return {};
    });
}

Result<std::vector<SliceScoreRow>> slice_scores_of(Connection& db, std::int64_t study_id,
                                                   const std::string& model) {
    return run([&]() -> Result<std::vector<SliceScoreRow>> {
        auto& s =
            query(db,
                  "SELECT c.instance, c.scores, c.look, c.distance FROM series e JOIN instances i ON "
                  "i.series = e.id"
                  " JOIN slice_scores c ON c.instance = i.id AND c.model_sha256 = ?2 WHERE e.study = ?1",
                  study_id, model);
        std::vector<SliceScoreRow> rows;
        while (s.executeStep()) {
            auto& row = rows.emplace_back(
                SliceScoreRow{integer(s, 0), scores_of(text(s, 1)), text(s, 2), std::nullopt});
            if (!s.getColumn(3).isNull()) row.distance = s.getColumn(3).getDouble();
        }
        return rows;
    });
}

Result<std::vector<std::pair<std::string, std::array<double, 6>>>> scores_of_instance(
    Connection& db, std::int64_t instance_id) {
    using Rows = std::vector<std::pair<std::string, std::array<double, 6>>>;
    return run([&]() -> Result<Rows> {
        auto& s = query(db, "SELECT model_sha256, scores FROM slice_scores WHERE instance = ?", instance_id);
        Rows rows;
        while (s.executeStep()) rows.emplace_back(text(s, 0), scores_of(text(s, 1)));
        return rows;
    });
}

Result<std::int64_t> add_result(Connection& db, const ResultRow& r, const std::string& bytes) {
    return run([&]() -> Result<std::int64_t> {
        auto& there =
            query(db,
                  "SELECT 1 FROM results WHERE sop_instance_uid = ?1 OR (study = ?2 AND revision = ?3"
                  " AND kind = ?4 AND model_sha256 = ?5)",
                  r.sop_instance_uid, r.study_id, r.revision, r.kind, r.model_sha256);
        if (there.executeStep())
            return fail(Code::kConflict, "revision {} of the study has its result {} already", r.revision,
                        r.kind);
        auto& insert = query(
            db,
            "INSERT INTO results (study, revision, kind, sop_class_uid, sop_instance_uid, series_uid,"
            " model_sha256, program_version, settings_revision, summary, eligible_set, created, current, "
            "bytes, plain_size)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?13, ?14)",
            r.study_id, r.revision, r.kind, r.sop_class_uid, r.sop_instance_uid, r.series_uid, r.model_sha256,
            r.program_version, r.settings_revision, r.summary, r.eligible_set, r.created);
        std::string packed;
        if (bytes.size() >= kDeflatedFrom) {
            SCOPENODE_ASSIGN(packed, deflated(bytes));
        }
        const std::string& kept = packed.empty() ? bytes : packed;
        insert.bind(13, kept.data(), static_cast<int>(kept.size()));
        insert.bind(14, static_cast<std::int64_t>(packed.empty() ? 0 : bytes.size()));
        insert.exec();
        return db.last_row_id();
    });
}

Status supersede_results(Connection& db, std::int64_t study_id, int revision) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE outbox SET state = 'superseded' WHERE state = 'waiting' AND result IN"
                " (SELECT id FROM results WHERE study = ? AND revision < ?)",
                study_id, revision);
        execute(db, "UPDATE results SET current = 0 WHERE study = ? AND revision < ?", study_id, revision);
        return {};
    });
}

Status set_result_summary(Connection& db, std::int64_t result_id, const std::string& summary) {
    return run([&]() -> Status {
        execute(db, "UPDATE results SET summary = ? WHERE id = ?", summary, result_id);
        return {};
    });
}

Result<std::optional<std::string>> result_bytes(Connection& db, const std::string& uid) {
    return run([&]() -> Result<std::optional<std::string>> {
        auto& s = query(db, "SELECT bytes, plain_size FROM results WHERE sop_instance_uid = ?", uid);
        if (!s.executeStep()) return std::optional<std::string>();
        const SQLite::Column blob = s.getColumn(0);
        const std::string_view kept(static_cast<const char*>(blob.getBlob()),
                                    static_cast<std::size_t>(blob.getBytes()));
        const auto plain_size = static_cast<std::size_t>(integer(s, 1));
        if (plain_size == 0) return std::optional<std::string>(kept);
        SCOPENODE_ASSIGN(auto plain, inflated(kept, plain_size));
        return std::optional<std::string>(std::move(plain));
    });
}

Result<std::vector<ResultRow>> results_of(Connection& db, std::int64_t study_id) {
    return run([&]() -> Result<std::vector<ResultRow>> {
        auto& s = query(db, SCOPENODE_RESULT_COLUMNS "WHERE study = ? ORDER BY id", study_id);
        std::vector<ResultRow> rows;
        while (s.executeStep()) rows.push_back(result_row(s));
        return rows;
    });
}

Result<std::optional<ResultRow>> current_result(Connection& db, std::int64_t study_id,
                                                const std::string& kind) {
    return run([&]() -> Result<std::optional<ResultRow>> {
        auto& s = query(db, SCOPENODE_RESULT_COLUMNS "WHERE study = ? AND kind = ? AND current = 1", study_id,
                        kind);
        if (!s.executeStep()) return std::optional<ResultRow>();
        return std::optional<ResultRow>(result_row(s));
    });
}

}  // namespace scopenode::storage
