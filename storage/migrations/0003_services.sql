CREATE TABLE mpps (
    id INTEGER PRIMARY KEY,
    sop_instance_uid TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('IN PROGRESS', 'COMPLETED', 'DISCONTINUED')),
    calling_ae TEXT NOT NULL,
    station_ae TEXT NOT NULL,
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    ended INTEGER,
    discontinuation_reason TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE mpps_studies (
    study_uid TEXT NOT NULL,
    mpps INTEGER NOT NULL REFERENCES mpps (id),
    PRIMARY KEY (study_uid, mpps)
) STRICT, WITHOUT ROWID;
CREATE INDEX mpps_studies_mpps ON mpps_studies (mpps);

CREATE TABLE mpps_images (             -- references of the Performed Series Sequence, in their order
    id INTEGER PRIMARY KEY,
    mpps INTEGER NOT NULL REFERENCES mpps (id),
    series_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL
) STRICT;
CREATE INDEX mpps_images_mpps ON mpps_images (mpps);

CREATE TABLE commitment_requests (     -- what peers ask of us
    id INTEGER PRIMARY KEY,
    transaction_uid TEXT NOT NULL,
    calling_ae TEXT NOT NULL,
    requested INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'answered', 'given_up')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next INTEGER NOT NULL,
    answered INTEGER,
    last_error TEXT NOT NULL DEFAULT '',
    UNIQUE (calling_ae, transaction_uid)
) STRICT;
CREATE INDEX commitment_requests_next ON commitment_requests (next) WHERE state = 'waiting';

CREATE TABLE commitment_instances (
    id INTEGER PRIMARY KEY,
    request INTEGER NOT NULL REFERENCES commitment_requests (id),
    sop_class_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    failure INTEGER                    -- NULL: not checked yet; 0: safe here; else the Failure Reason
) STRICT;
CREATE INDEX commitment_instances_request ON commitment_instances (request);
CREATE INDEX commitment_instances_uid ON commitment_instances (sop_instance_uid);

CREATE TABLE commitments (             -- what we ask of destinations
    id INTEGER PRIMARY KEY,
    transaction_uid TEXT NOT NULL UNIQUE,
    destination TEXT NOT NULL,
    created INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'answered', 'given_up')),
    asked INTEGER NOT NULL DEFAULT 0,
    next INTEGER NOT NULL,
    ended INTEGER,
    last_error TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX commitments_open ON commitments (destination, next) WHERE state = 'open';

ALTER TABLE outbox ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN reason_code TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN commitment TEXT NOT NULL DEFAULT 'none'
    CHECK (commitment IN ('none', 'requested', 'committed', 'failed', 'given_up'));
ALTER TABLE outbox ADD COLUMN commitment_tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN commitment_id INTEGER REFERENCES commitments (id);
CREATE INDEX outbox_waiting ON outbox (destination, rank, id) WHERE state = 'waiting';
CREATE INDEX outbox_not_asked ON outbox (destination) WHERE commitment = 'requested' AND commitment_id IS NULL;
CREATE INDEX outbox_commitment ON outbox (commitment_id) WHERE commitment_id IS NOT NULL;

CREATE TABLE destination_profiles (    -- what negotiation has taught
    destination TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    learnt INTEGER NOT NULL,
    PRIMARY KEY (destination, sop_class_uid)
) STRICT, WITHOUT ROWID;
