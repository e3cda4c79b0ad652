#include "storage/index/catalog.h"

#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

struct Owner {
    std::int64_t id = 0;
    std::int64_t parent = 0;
};

std::optional<Owner> owner(SQLite::Statement& row) {
    if (!row.executeStep()) return std::nullopt;
    return Owner{integer(row, 0), integer(row, 1)};
}

std::int64_t patient_of(Connection& db, const NewInstance& n) {
    const InstanceHeader& h = n.header;
    const std::string only_study = h.patient_id.empty() ? h.study_uid : "";
    auto& found =
        query(db, "SELECT id FROM patients WHERE patient_id = ? AND issuer = ? AND only_study_uid = ?",
              h.patient_id, n.issuer, only_study);
    if (found.executeStep()) return integer(found, 0);
    execute(db,
            "INSERT INTO patients (patient_id, issuer, only_study_uid, name, birth_date, sex) VALUES (?, ?, "
            "?, ?, ?, ?)",
            h.patient_id, n.issuer, only_study, h.patient_name, h.birth_date, h.sex);
    return db.last_row_id();
}

Owner study_of(Connection& db, const NewInstance& n) {
    const InstanceHeader& h = n.header;
    if (auto known = owner(query(db, "SELECT id, patient FROM studies WHERE study_uid = ?", h.study_uid)))
        return *known;
    const std::int64_t patient = patient_of(db, n);
    execute(db,
            "INSERT INTO studies (patient, study_uid, accession_number, study_date, description, state, "
            "first_received,"
            " last_received) VALUES (?, ?, ?, ?, ?, 'receiving', ?, ?)",
            patient, h.study_uid, h.accession_number, h.study_date, h.study_description, n.received,
            n.received);
    return {db.last_row_id(), patient};
}

Owner series_of_instance(Connection& db, const NewInstance& n, std::int64_t study) {
    const InstanceHeader& h = n.header;
    if (auto known = owner(query(db, "SELECT id, study FROM series WHERE series_uid = ?", h.series_uid)))
        return *known;
    execute(db,
            "INSERT INTO series (study, series_uid, modality, description, body_part, series_number, own)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            study, h.series_uid, h.modality, h.series_description, h.body_part, h.series_number, n.own);
    return {db.last_row_id(), study};
}

// The first owner of a UID stays; what contradicts it is written down for a person.
Status note_contradictions(Connection& db, const NewInstance& n, const Owner& study, const Owner& series) {
    const InstanceHeader& h = n.header;
    const auto remark = [&](std::int64_t about, const char* sentence) {
        return add_remark(db, about, {n.received, "identity", h.sop_instance_uid, sentence});
    };
    auto& patient = query(db, "SELECT patient_id, issuer FROM patients WHERE id = ?", study.parent);
    patient.executeStep();
    if (text(patient, 0) != h.patient_id || text(patient, 1) != n.issuer)
        SCOPENODE_TRY(
            remark(study.id, "came with another patient ID or issuer than the study's first object"));
    if (series.parent == study.id) return {};
    SCOPENODE_TRY(remark(study.id, "its series UID belongs to another study, which has got it"));
    SCOPENODE_TRY(remark(series.parent, "came under another study UID than the first object of its series"));
    // Nothing would ever end the wait of a study that has nothing.
    execute(db,
            "UPDATE studies SET state = 'not_eligible' WHERE id = ?1 AND state = 'receiving'"
            " AND NOT EXISTS (SELECT 1 FROM series WHERE study = ?1)",
            study.id);
    return {};
}

StudyRow study_row(SQLite::Statement& s) {
    StudyRow r;
    r.id = integer(s, 0);
    r.study_uid = text(s, 1);
    r.patient_id = text(s, 2);
    r.patient_issuer = text(s, 3);
    r.patient_name = text(s, 4);
    r.accession_number = text(s, 5);
    r.study_date = text(s, 6);
    r.description = text(s, 7);
    r.state = text(s, 8);
    r.first_received = integer(s, 9);
    r.last_received = integer(s, 10);
    r.due = maybe(s, 11);
    r.completed_by = text(s, 12);
    r.revision = static_cast<int>(integer(s, 13));
    r.series = static_cast<int>(integer(s, 14));
    r.instances = static_cast<int>(integer(s, 15));
    r.opened = maybe(s, 16);
    r.priority = static_cast<int>(integer(s, 17));
    r.priority_by = text(s, 18);
    r.crashes = static_cast<int>(integer(s, 19));
    r.kills = static_cast<int>(integer(s, 20));
    r.request = text(s, 21);
    return r;
}

#define SCOPENODE_STUDY_COLUMNS                                                                              \
    "SELECT s.id, s.study_uid, p.patient_id, p.issuer, p.name, s.accession_number, s.study_date, "           \
    "s.description,"                                                                                         \
    " s.state, s.first_received, s.last_received, s.due, s.completed_by,"                                    \
    " (SELECT coalesce(max(revision), 0) FROM results r WHERE r.study = s.id),"                              \
    " (SELECT count(*) FROM series e WHERE e.study = s.id AND e.own = 0),"                                   \
    " (SELECT count(*) FROM series e JOIN instances i ON i.series = e.id WHERE e.study = s.id AND e.own = 0" \
    " AND i.conflict = 0), s.opened, s.priority, s.priority_by, s.crashes, s.kills, s.request"               \
    " FROM studies s JOIN patients p ON p.id = s.patient "

std::optional<StudyRow> one_study(SQLite::Statement& s) {
    if (!s.executeStep()) return std::nullopt;
    return study_row(s);
}

std::vector<StudyRow> all_studies(SQLite::Statement& s) {
    std::vector<StudyRow> rows;
    while (s.executeStep()) rows.push_back(study_row(s));
    return rows;
}

InstanceRow instance_row(SQLite::Statement& s) {
    InstanceRow r;
    r.id = integer(s, 0);
    r.series_id = integer(s, 1);
    r.study_id = integer(s, 2);
    r.sop_instance_uid = text(s, 3);
    r.sop_class_uid = text(s, 4);
    r.transfer_syntax_uid = text(s, 5);
    r.path = text(s, 6);
    r.bytes = static_cast<std::uint64_t>(integer(s, 7));
    r.file_sha256 = text(s, 8);
    r.received = integer(s, 9);
    r.calling_ae = text(s, 10);
    r.conflict = integer(s, 11) != 0;
    r.eligible = integer(s, 12) != 0;
    r.reason_code = text(s, 13);
    r.wanted = integer(s, 14) != 0;
    return r;
}

#define SCOPENODE_INSTANCE_COLUMNS                                                                        \
    "SELECT i.id, i.series, e.study, i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid, i.path," \
    " i.bytes, i.file_sha256, i.received, i.calling_ae, i.conflict, i.eligible, i.reason_code, i.wanted"  \
    " FROM instances i JOIN series e ON e.id = i.series "

std::vector<InstanceRow> all_instances(SQLite::Statement& s) {
    std::vector<InstanceRow> rows;
    while (s.executeStep()) rows.push_back(instance_row(s));
    return rows;
}

}  // namespace

Result<Inserted> insert_instance(Connection& db, const NewInstance& n) {
    return run([&]() -> Result<Inserted> {
        const Owner study = study_of(db, n);
        const Owner series = series_of_instance(db, n, study.id);
        if (!n.own) SCOPENODE_TRY(note_contradictions(db, n, study, series));
        const InstanceHeader& h = n.header;
        execute(db,
                "INSERT INTO instances (series, sop_instance_uid, sop_class_uid, transfer_syntax_uid, path, "
                "bytes,"
                " file_sha256, received, calling_ae, conflict) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                series.id, h.sop_instance_uid, h.sop_class_uid, h.transfer_syntax_uid, n.path, n.bytes,
                n.file_sha256, n.received, n.calling_ae, n.conflict);
        const Inserted out{db.last_row_id(), series.id, series.parent};
        if (n.own) return out;
        execute(db, "UPDATE studies SET last_received = ?1 WHERE id = ?2 AND last_received < ?1", n.received,
                out.study_id);
        if (!n.conflict)
            execute(db, "INSERT INTO events (kind, study, series, instance) VALUES ('received', ?, ?, ?)",
                    out.study_id, out.series_id, out.instance_id);
        return out;
    });
}

Result<std::optional<InstanceRow>> find_instance(Connection& db, const std::string& uid) {
    return run([&]() -> Result<std::optional<InstanceRow>> {
        auto rows = all_instances(
            query(db, SCOPENODE_INSTANCE_COLUMNS "WHERE i.sop_instance_uid = ? AND i.conflict = 0", uid));
        if (rows.empty()) return std::optional<InstanceRow>();
        return std::optional<InstanceRow>(std::move(rows.front()));
    });
}

Result<std::vector<InstanceRow>> conflict_copies(Connection& db, const std::string& uid) {
    return run([&]() -> Result<std::vector<InstanceRow>> {
        return all_instances(query(
            db, SCOPENODE_INSTANCE_COLUMNS "WHERE i.sop_instance_uid = ? AND i.conflict = 1 ORDER BY i.id",
            uid));
    });
}

Status each_instance(Connection& db, const std::function<void(const InstanceRow&)>& visit) {
    return run([&]() -> Status {
        auto& s = query(db, SCOPENODE_INSTANCE_COLUMNS "ORDER BY i.id");
        while (s.executeStep()) visit(instance_row(s));
        return {};
    });
}

Result<std::optional<StudyRow>> find_study(Connection& db, const std::string& uid) {
    return run([&]() -> Result<std::optional<StudyRow>> {
        return one_study(query(db, SCOPENODE_STUDY_COLUMNS "WHERE s.study_uid = ?", uid));
    });
}

Result<std::optional<StudyRow>> study_by_id(Connection& db, std::int64_t id) {
    return run([&]() -> Result<std::optional<StudyRow>> {
        return one_study(query(db, SCOPENODE_STUDY_COLUMNS "WHERE s.id = ?", id));
    });
}

Result<std::vector<StudyRow>> list_studies(Connection& db, const StudyFilter& f) {
    return run([&]() -> Result<std::vector<StudyRow>> {
        return all_studies(query(db,
                                 SCOPENODE_STUDY_COLUMNS
                                 "WHERE (?1 = '' OR s.state = ?1) AND (?2 = '' OR p.patient_id = ?2)"
                                 " ORDER BY s.last_received DESC, s.id DESC LIMIT ?3",
                                 f.state, f.patient_id, f.limit));
    });
}

Result<std::vector<SeriesRow>> series_of(Connection& db, std::int64_t study_id) {
    return run([&]() -> Result<std::vector<SeriesRow>> {
        auto& s = query(
            db,
            "SELECT id, study, series_uid, modality, description, body_part, series_number, judged, eligible,"
            " reason_code, reason_text, own, pixel_code, pixel_text,"
            " (SELECT count(*) FROM instances i WHERE i.series = series.id AND i.conflict = 0)"
            " FROM series WHERE study = ? ORDER BY id",
            study_id);
        std::vector<SeriesRow> rows;
        while (s.executeStep()) {
            SeriesRow r;
            r.id = integer(s, 0);
            r.study_id = integer(s, 1);
            r.series_uid = text(s, 2);
            r.modality = text(s, 3);
            r.description = text(s, 4);
            r.body_part = text(s, 5);
            r.series_number = text(s, 6);
            r.judged = integer(s, 7) != 0;
            r.eligible = integer(s, 8) != 0;
            r.reason_code = text(s, 9);
            r.reason_text = text(s, 10);
            r.own = integer(s, 11) != 0;
            r.pixel_code = text(s, 12);
            r.pixel_text = text(s, 13);
            r.instances = static_cast<int>(integer(s, 14));
            rows.push_back(std::move(r));
        }
        return rows;
    });
}

Result<std::vector<InstanceRow>> instances_of(Connection& db, std::int64_t series_id) {
    return run([&]() -> Result<std::vector<InstanceRow>> {
        return all_instances(query(
            db, SCOPENODE_INSTANCE_COLUMNS "WHERE i.series = ? AND i.conflict = 0 ORDER BY i.id", series_id));
    });
}

Result<std::vector<InstanceRow>> instances_of_study(Connection& db, std::int64_t study_id) {
    return run([&]() -> Result<std::vector<InstanceRow>> {
        return all_instances(query(
            db, SCOPENODE_INSTANCE_COLUMNS "WHERE e.study = ? AND i.conflict = 0 ORDER BY i.id", study_id));
    });
}

Status judge_series(Connection& db, std::int64_t series_id, const Judgement& j) {
    return run([&]() -> Status {
        execute(db,
                "UPDATE series SET judged = 1, eligible = ?, reason_code = ?, reason_text = ? WHERE id = ?",
                j.eligible, j.reason_code, j.reason_text, series_id);
        for (const Judgement::Slice& slice : j.slices)
            execute(db,
                    "UPDATE instances SET eligible = ?1, reason_code = ?2 WHERE id = ?3"
                    " AND (eligible <> ?1 OR reason_code <> ?2)",
                    slice.reason_code.empty(), slice.reason_code, slice.instance_id);
        return {};
    });
}

Result<std::vector<StudyRow>> studies_due(Connection& db, UtcMs now) {
    return run([&]() -> Result<std::vector<StudyRow>> {
        return all_studies(
            query(db, SCOPENODE_STUDY_COLUMNS "WHERE s.due IS NOT NULL AND s.due <= ? ORDER BY s.due", now));
    });
}

}  // namespace scopenode::storage
