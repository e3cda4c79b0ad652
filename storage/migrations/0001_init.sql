CREATE TABLE patients (
    id INTEGER PRIMARY KEY,
    patient_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    only_study_uid TEXT NOT NULL,      -- of a patient without ID, else ''
    name TEXT NOT NULL,
    birth_date TEXT NOT NULL,
    sex TEXT NOT NULL,
    UNIQUE (patient_id, issuer, only_study_uid)
) STRICT;

CREATE TABLE studies (
    id INTEGER PRIMARY KEY,
    patient INTEGER NOT NULL REFERENCES patients (id),
    study_uid TEXT NOT NULL UNIQUE,
    accession_number TEXT NOT NULL,
    study_date TEXT NOT NULL,
    description TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('receiving', 'waiting', 'processing', 'done', 'not_eligible', 'failed', 'superseded')),
    first_received INTEGER NOT NULL,
    last_received INTEGER NOT NULL,
    due INTEGER,
    completed_by TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX studies_due ON studies (due) WHERE due IS NOT NULL;
CREATE INDEX studies_last ON studies (last_received);

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    study INTEGER NOT NULL REFERENCES studies (id),
    series_uid TEXT NOT NULL UNIQUE,
    modality TEXT NOT NULL,
    description TEXT NOT NULL,
    body_part TEXT NOT NULL,
    series_number TEXT NOT NULL,
    own INTEGER NOT NULL DEFAULT 0,
    judged INTEGER NOT NULL DEFAULT 0,
    eligible INTEGER NOT NULL DEFAULT 0,
    reason_code TEXT NOT NULL DEFAULT '',
    reason_text TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX series_study ON series (study);

CREATE TABLE instances (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series (id),
    sop_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    file_sha256 TEXT NOT NULL,
    received INTEGER NOT NULL,
    calling_ae TEXT NOT NULL,
    conflict INTEGER NOT NULL DEFAULT 0,
    eligible INTEGER NOT NULL DEFAULT 0,
    reason_code TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX instances_first ON instances (sop_instance_uid) WHERE conflict = 0;
CREATE INDEX instances_conflicts ON instances (sop_instance_uid) WHERE conflict = 1;
CREATE INDEX instances_series ON instances (series);

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    study INTEGER NOT NULL,
    series INTEGER NOT NULL,
    instance INTEGER NOT NULL
) STRICT;

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    study INTEGER NOT NULL REFERENCES studies (id),
    revision INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    next INTEGER NOT NULL,
    started INTEGER,
    ended INTEGER,
    last_error TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX jobs_open ON jobs (kind, study, revision) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_next ON jobs (next) WHERE state = 'queued';
CREATE INDEX jobs_study ON jobs (study);

CREATE TABLE slice_scores (
    instance INTEGER NOT NULL REFERENCES instances (id),
    model_sha256 TEXT NOT NULL,
    scores TEXT NOT NULL,              -- JSON, six numbers in the order of the labels
    PRIMARY KEY (instance, model_sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE results (
    id INTEGER PRIMARY KEY,
    study INTEGER NOT NULL REFERENCES studies (id),
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL UNIQUE,
    series_uid TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    program_version TEXT NOT NULL,
    settings_revision TEXT NOT NULL,
    summary TEXT NOT NULL,
    eligible_set TEXT NOT NULL,
    created INTEGER NOT NULL,
    current INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (study, revision, kind, model_sha256)
) STRICT;

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    result INTEGER NOT NULL REFERENCES results (id),
    destination TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'refused', 'superseded')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next INTEGER NOT NULL,
    sent INTEGER,
    last_error TEXT NOT NULL DEFAULT '',
    UNIQUE (result, destination)
) STRICT;
CREATE INDEX outbox_next ON outbox (next) WHERE state = 'waiting';

CREATE TABLE remarks (
    id INTEGER PRIMARY KEY,
    study INTEGER NOT NULL REFERENCES studies (id),
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX remarks_study ON remarks (study);

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    path TEXT NOT NULL,
    reason_code TEXT NOT NULL,
    reason_text TEXT NOT NULL,
    calling_ae TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL
) STRICT;

CREATE TABLE models (
    id TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    registered INTEGER NOT NULL,
    champion INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
