-- The spine. One logical schema; insert order is read order because one writer owns the file.
CREATE TABLE events (
    position    INTEGER PRIMARY KEY,
    stream      TEXT NOT NULL,
    machine     TEXT NOT NULL,
    version     INTEGER NOT NULL,
    type        TEXT NOT NULL,
    schema      INTEGER NOT NULL,
    at          TEXT NOT NULL,
    actor       TEXT NOT NULL,
    correlation TEXT NOT NULL,
    causation   TEXT NOT NULL,
    phases      TEXT NOT NULL,
    flags       TEXT NOT NULL,
    payload     TEXT NOT NULL,
    hash        TEXT NOT NULL,
    prev_hash   TEXT NOT NULL,
    UNIQUE (stream, version)
) STRICT;
CREATE INDEX events_by_correlation ON events (correlation, position);
CREATE INDEX streams ON events (machine, stream) WHERE version = 1;

CREATE TABLE requests (
    request_id  TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    stream      TEXT NOT NULL,
    version     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE timers (
    stream         TEXT NOT NULL,
    name           TEXT NOT NULL,
    due_at         TEXT NOT NULL,
    correlation    TEXT NOT NULL,
    set_at_version INTEGER NOT NULL,
    PRIMARY KEY (stream, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_by_due ON timers (due_at);

CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY,
    key         TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    stream      TEXT NOT NULL,
    body        TEXT NOT NULL,
    correlation TEXT NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    done        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX outbox_pending ON outbox (id) WHERE done = 0;
CREATE INDEX outbox_pending_by_kind ON outbox (kind, id) WHERE done = 0;

-- Erasable: the value is encrypted, its salt dies with the row. secure_delete overwrites what was erased.
CREATE TABLE protected (
    ref        TEXT PRIMARY KEY,
    stream     TEXT NOT NULL,
    commitment TEXT NOT NULL,
    salt       BLOB NOT NULL,
    value      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One known text under the key: a file is never opened, and never written, with another key.
CREATE TABLE key_check (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE cursors (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
