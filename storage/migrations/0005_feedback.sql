-- Reports by other hands that answer a result of this node: one row a document that was received.
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY,
    instance INTEGER NOT NULL UNIQUE REFERENCES instances (id),
    study_uid TEXT NOT NULL,           -- as the document says
    sop_instance_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('complete', 'pending', 'unmatched')),
    reason TEXT NOT NULL,              -- why it is not complete
    kind TEXT NOT NULL CHECK (kind IN ('correction', 'confirmation', '')),
    reader TEXT NOT NULL,
    organization TEXT NOT NULL,
    read_at INTEGER,                   -- UTC ms: verification, else content
    result INTEGER REFERENCES results (id),
    answered_by TEXT NOT NULL,
    saw_result INTEGER NOT NULL,
    superseded_by TEXT NOT NULL DEFAULT '',
    newest_result INTEGER NOT NULL,    -- known when a match was sought last
    comments TEXT NOT NULL,            -- JSON
    document TEXT NOT NULL             -- JSON: everything that was read
) STRICT;
CREATE INDEX feedback_sop ON feedback (sop_instance_uid);
CREATE INDEX feedback_study ON feedback (study_uid);
CREATE INDEX feedback_unmatched ON feedback (id) WHERE state = 'unmatched';

CREATE TABLE feedback_findings (
    feedback INTEGER NOT NULL REFERENCES feedback (id),
    label TEXT NOT NULL,
    presence TEXT NOT NULL CHECK (presence IN ('present', 'absent', 'undetermined', 'not reported')),
    was TEXT NOT NULL,                 -- of the result that it answers, '' unknown
    answer TEXT NOT NULL CHECK (answer IN ('changed', 'confirmed', 'not reported', '')),
    PRIMARY KEY (feedback, label)
) STRICT, WITHOUT ROWID;

CREATE TABLE feedback_predecessors (
    feedback INTEGER NOT NULL REFERENCES feedback (id),
    place INTEGER NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    PRIMARY KEY (feedback, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX feedback_predecessors_uid ON feedback_predecessors (sop_instance_uid);
