#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "storage/dicom/header.h"

namespace scopenode::storage {

class Connection;

/// Patients, studies, series and instances as rows. Every function runs on the connection it is given and turns
/// a database fault into kDatabase. UIDs are unique: a study UID names one study, whoever its patient is.

struct StudyRow {
    std::int64_t id = 0;
    std::string study_uid, patient_id, patient_issuer, patient_name, accession_number, study_date, description;
    std::string state;               ///< receiving, waiting, processing, done, not_eligible, failed, superseded
    int revision = 0;                ///< of the last result; 0: none yet
    UtcMs first_received = 0, last_received = 0;
    std::optional<UtcMs> due;        ///< the quiet timer: complete when this has passed
    std::string completed_by;        ///< "" or the evidence that decided
    std::optional<UtcMs> opened;     ///< first object of the arrival that is going on
    int priority = 0;                ///< 0 routine, 1 high, 2 STAT
    std::string priority_by;
    int crashes = 0, kills = 0;      ///< of the program while it worked on the study, see storage/index/slices.h
    std::string request;             ///< JSON of a person's wish to have it done again, or ""
    int series = 0, instances = 0;   ///< counts
};
struct SeriesRow {
    std::int64_t id = 0, study_id = 0;
    std::string series_uid, modality, description, body_part, series_number;
    bool judged = false;
    bool eligible = false;
    std::string reason_code, reason_text;   ///< of the last judgement
    std::string pixel_code, pixel_text;     ///< what the pixels say against it, once they were seen
    int instances = 0;
    bool own = false;                ///< written by this node (results)
};
struct InstanceRow {
    std::int64_t id = 0, series_id = 0, study_id = 0;
    std::string sop_instance_uid, sop_class_uid, transfer_syntax_uid;
    std::string path;                ///< relative to the node folder
    std::uint64_t bytes = 0;
    std::string file_sha256;
    UtcMs received = 0;
    std::string calling_ae;
    bool eligible = false;           ///< of the last judgement of its series
    std::string reason_code;         ///< why not, per slice ("" when eligible)
    bool conflict = false;           ///< other content under a UID that was known before
    bool wanted = false;             ///< to be scored
};

struct NewInstance {
    InstanceHeader header;
    std::string issuer;              ///< header's, or the peer's default; never absent ("" is the site's own)
    std::string path, file_sha256, calling_ae;
    std::uint64_t bytes = 0;
    UtcMs received = 0;
    bool own = false;                ///< a result of this node
    bool conflict = false;
};
struct Inserted {
    std::int64_t instance_id = 0, series_id = 0, study_id = 0;
};
/// Adds the instance and whatever of patient, study and series is new, touches the study's last_received and, for
/// foreign instances, appends the event "received". An empty patient ID makes one patient per study. A study or
/// series UID that is known under another patient or study keeps its first owner; the instance is recorded with a
/// remark "identity".
Result<Inserted> insert_instance(Connection& db, const NewInstance& instance);

/// The instance stored first under this UID (conflict copies are not returned).
Result<std::optional<InstanceRow>> find_instance(Connection& db, const std::string& sop_instance_uid);
/// Other contents that came under this UID.
Result<std::vector<InstanceRow>> conflict_copies(Connection& db, const std::string& sop_instance_uid);
/// Every instance, by id, for checks of the whole archive: `visit` per row.
Status each_instance(Connection& db, const std::function<void(const InstanceRow&)>& visit);
Result<std::optional<StudyRow>> find_study(Connection& db, const std::string& study_uid);
Result<std::optional<StudyRow>> study_by_id(Connection& db, std::int64_t study_id);
struct StudyFilter {
    std::string state;               ///< "" all
    std::string patient_id;
    int limit = 1000;
};
Result<std::vector<StudyRow>> list_studies(Connection& db, const StudyFilter& filter);   ///< newest first
Result<std::vector<SeriesRow>> series_of(Connection& db, std::int64_t study_id);
/// Without conflict copies, in the order of their arrival.
Result<std::vector<InstanceRow>> instances_of(Connection& db, std::int64_t series_id);
Result<std::vector<InstanceRow>> instances_of_study(Connection& db, std::int64_t study_id);

/// A duplicate that was answered 0x0000 and kept once; a conflict that was kept beside. Shown by `why`.
struct Remark {
    UtcMs time = 0;
    std::string kind;                ///< duplicate, conflict, identity
    std::string sop_instance_uid, text;
};
Status add_remark(Connection& db, std::int64_t study_id, const Remark& remark);
Result<std::vector<Remark>> remarks_of(Connection& db, std::int64_t study_id);

/// Who sent how much of a study, and when.
struct SenderRow {
    std::string calling_ae;
    std::int64_t objects = 0, bytes = 0;
    UtcMs first = 0, last = 0;
};
Result<std::vector<SenderRow>> senders_of(Connection& db, std::int64_t study_id);

struct QuarantineRow {
    std::int64_t id = 0;
    UtcMs time = 0;
    std::string path, reason_code, reason_text, calling_ae, sop_instance_uid;
};
Status add_quarantine(Connection& db, const QuarantineRow& row);
Result<std::vector<QuarantineRow>> list_quarantine(Connection& db, int limit);

/// Judgement of a series and of its instances (reason_code "" = eligible).
struct Judgement {
    bool eligible = false;
    std::string reason_code, reason_text;
    struct Slice {
        std::int64_t instance_id = 0;
        std::string reason_code;
    };
    std::vector<Slice> slices;       ///< of every instance of the series
};
Status judge_series(Connection& db, std::int64_t series_id, const Judgement& judgement);

Status set_study_state(Connection& db, std::int64_t study_id, const std::string& state);
/// When to look at the study again; opens it when it is not open.
Status set_study_due(Connection& db, std::int64_t study_id, UtcMs due, UtcMs now);
/// Studies that are to be looked at.
Result<std::vector<StudyRow>> studies_due(Connection& db, UtcMs now);
/// What will complete an open study at the next look.
Status set_completed_by(Connection& db, std::int64_t study_id, const std::string& by);
Result<bool> any_study_open(Connection& db);
/// Marks complete: ends the arrival and its timer, records by what.
Status complete_study(Connection& db, std::int64_t study_id, const std::string& by);
Status set_study_priority(Connection& db, std::int64_t study_id, int priority, const std::string& by);
Status set_study_request(Connection& db, std::int64_t study_id, const std::string& request);
/// What the pixels say against a series ("" nothing): kept for every later judgement.
Status set_pixel_reason(Connection& db, std::int64_t series_id, const std::string& code, const std::string& text);
/// More slices have come: the pixels are looked at again.
Status forget_pixel_reasons(Connection& db, std::int64_t study_id);
/// The wall clock was set: moves every time that something waits for, in studies, jobs and outbox.
Status shift_deadlines(Connection& db, UtcMs by);
/// The wall clock was set back while the node was down: what lies in the future waits from now on.
Status pull_deadlines(Connection& db, UtcMs now);

/// What speaks for or against a study being complete, written when it happens.
struct EvidenceRow {
    UtcMs time = 0;
    std::string kind, detail;
    bool decided = false;            ///< it made the study complete
};
constexpr const char* kAssociationEnd = "association end";
/// For every study that the caller has sent something of since `since`; with the event "association".
Status note_association_end(Connection& db, const std::string& calling_ae, UtcMs since, const EvidenceRow& row);
Status add_evidence(Connection& db, std::int64_t study_id, const EvidenceRow& row);
Result<std::vector<EvidenceRow>> evidence_of(Connection& db, std::int64_t study_id);

struct Totals {
    std::int64_t studies = 0, series = 0, instances = 0, bytes = 0, quarantined = 0;
};
Result<Totals> totals(Connection& db);

}  // namespace scopenode::storage
