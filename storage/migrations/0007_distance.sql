-- How far a slice lies from what the model was trained on; NULL: the model has no range, or its scores are older.
ALTER TABLE slice_scores ADD COLUMN distance REAL;
