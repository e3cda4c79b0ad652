-- Completion, priorities and work that survives the process.
ALTER TABLE studies ADD COLUMN opened INTEGER;                       -- when the arrival that is going on began
ALTER TABLE studies ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;  -- 0 routine, 1 high, 2 STAT
ALTER TABLE studies ADD COLUMN priority_by TEXT NOT NULL DEFAULT '';
ALTER TABLE studies ADD COLUMN working INTEGER NOT NULL DEFAULT 0;   -- work on it has begun and not ended
ALTER TABLE studies ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;   -- of the program while it worked on the study
ALTER TABLE studies ADD COLUMN kills INTEGER NOT NULL DEFAULT 0;     -- ends from outside without progress since
ALTER TABLE studies ADD COLUMN request TEXT NOT NULL DEFAULT '';     -- JSON: a person wants the study done again
CREATE INDEX studies_working ON studies (working) WHERE working = 1;

ALTER TABLE series ADD COLUMN pixel_code TEXT NOT NULL DEFAULT '';   -- what the pixels say against it
ALTER TABLE series ADD COLUMN pixel_text TEXT NOT NULL DEFAULT '';

ALTER TABLE instances ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0;  -- to be scored
CREATE INDEX instances_wanted ON instances (series) WHERE wanted = 1;

ALTER TABLE slice_scores ADD COLUMN look TEXT NOT NULL DEFAULT '';   -- JSON: what its pixels look like
CREATE TABLE slice_faults (
    instance INTEGER NOT NULL REFERENCES instances (id),
    model_sha256 TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (instance, model_sha256)
) STRICT, WITHOUT ROWID;

ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;         -- lower is claimed first: time less priority
ALTER TABLE jobs ADD COLUMN claim TEXT NOT NULL DEFAULT '';          -- whose it is while it runs
ALTER TABLE jobs ADD COLUMN lease INTEGER;                           -- and until when
ALTER TABLE jobs ADD COLUMN request TEXT NOT NULL DEFAULT '';        -- JSON: model, send, by
CREATE INDEX jobs_rank ON jobs (rank, id) WHERE state = 'queued';
CREATE INDEX jobs_lease ON jobs (lease) WHERE state = 'running';

CREATE INDEX events_study ON events (study);

CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    study INTEGER NOT NULL REFERENCES studies (id),
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    decided INTEGER NOT NULL                                         -- it made the study complete
) STRICT;
CREATE INDEX evidence_study ON evidence (study);
