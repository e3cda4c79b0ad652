-- How far a slice lies from what the model was trained on; NULL: the model has no range, or its scores are older.
ALTER TABLE slice_scores ADD COLUMN distance REAL;

-- Images that a person's Key Object Selection marks: hints where to look, never labels.
CREATE TABLE key_marks (
    sop_instance_uid TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    document TEXT NOT NULL,            -- SOP Instance UID of the selection
    caller TEXT NOT NULL,              -- AE title that sent it
    added INTEGER NOT NULL,
    PRIMARY KEY (study_uid, sop_instance_uid, document)
) STRICT, WITHOUT ROWID;
