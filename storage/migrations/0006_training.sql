-- What is known of studies and slices, through every door. A missing label is unknown, never negative.
CREATE TABLE labels (
    id INTEGER PRIMARY KEY,
    study_uid TEXT NOT NULL,           -- '' of a slice that a file names: its study is found by the instance
    sop_instance_uid TEXT NOT NULL,    -- '' of a study's label
    finding TEXT NOT NULL,
    value INTEGER NOT NULL CHECK (value IN (0, 1)),
    source TEXT NOT NULL CHECK (source IN ('report', 'csv', 'command', 'adjudication')),
    origin TEXT NOT NULL,              -- SOP Instance UID of the report, sha256 of the file
    reader TEXT NOT NULL,
    caller TEXT NOT NULL,              -- AE title that sent the report
    read_at INTEGER,
    result TEXT NOT NULL,              -- SOP Instance UID of the result that it answers
    saw_result INTEGER NOT NULL,
    added INTEGER NOT NULL,
    current INTEGER NOT NULL DEFAULT 1 -- 0: the same reader has said something newer
) STRICT;
CREATE UNIQUE INDEX labels_current ON labels (sop_instance_uid, study_uid, finding, reader) WHERE current = 1;
CREATE INDEX labels_study ON labels (study_uid) WHERE current = 1 AND sop_instance_uid = '';

-- Studies that no training ever sees and on which every candidate is judged.
CREATE TABLE golden (
    study_uid TEXT PRIMARY KEY,
    sealed INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What a patient's studies are for: decided once, by a hash, whatever the settings say later.
CREATE TABLE patient_sides (
    patient TEXT PRIMARY KEY,          -- hash
    side TEXT NOT NULL CHECK (side IN ('learn', 'judge', 'held_out'))
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    sha256 TEXT PRIMARY KEY,           -- of the manifest's bytes
    created INTEGER NOT NULL,
    path TEXT NOT NULL,
    summary TEXT NOT NULL              -- JSON: counts and class balance
) STRICT, WITHOUT ROWID;

CREATE TABLE trainings (
    id INTEGER PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    step TEXT NOT NULL DEFAULT '',     -- snapshot, training, judging
    options TEXT NOT NULL,             -- JSON
    requested_by TEXT NOT NULL,
    created INTEGER NOT NULL,
    next INTEGER NOT NULL,
    started INTEGER,
    ended INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    paused INTEGER NOT NULL DEFAULT 0, -- studies come first
    snapshot TEXT NOT NULL DEFAULT '',
    model TEXT NOT NULL DEFAULT '',    -- id of the candidate
    verdict TEXT NOT NULL DEFAULT '',  -- JSON
    last_error TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE training_epochs (
    training INTEGER NOT NULL REFERENCES trainings (id),
    epoch INTEGER NOT NULL,
    time INTEGER NOT NULL,
    report TEXT NOT NULL,              -- JSON as the trainer says it
    PRIMARY KEY (training, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE training_log (
    id INTEGER PRIMARY KEY,
    training INTEGER NOT NULL REFERENCES trainings (id),
    time INTEGER NOT NULL,
    line TEXT NOT NULL
) STRICT;
CREATE INDEX training_log_training ON training_log (training);

ALTER TABLE models ADD COLUMN training INTEGER REFERENCES trainings (id);
ALTER TABLE models ADD COLUMN verdict TEXT NOT NULL DEFAULT '';  -- JSON of the gate, '' not judged
ALTER TABLE models ADD COLUMN judged_against TEXT NOT NULL DEFAULT '';
ALTER TABLE models ADD COLUMN passed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE models ADD COLUMN shadow INTEGER;                    -- since when it scores studies beside the champion

CREATE TABLE model_switches (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('approval', 'rollback')),
    from_model TEXT NOT NULL,
    to_model TEXT NOT NULL,
    by_name TEXT NOT NULL,
    account TEXT NOT NULL              -- of the operating system
) STRICT;

CREATE TABLE shadow_results (
    study INTEGER NOT NULL REFERENCES studies (id),
    revision INTEGER NOT NULL,
    model TEXT NOT NULL,
    champion TEXT NOT NULL,
    time INTEGER NOT NULL,
    summary TEXT NOT NULL,             -- JSON: probabilities and findings of both
    disagrees INTEGER NOT NULL,
    PRIMARY KEY (study, revision, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('radiologist', 'admin')),
    created INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    disabled INTEGER
) STRICT, WITHOUT ROWID;
