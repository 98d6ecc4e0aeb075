-- Everything that the log holds, by week and place: position = week * 2^32 + place.
CREATE TABLE entries (
    position BIGINT PRIMARY KEY,
    body     BYTEA NOT NULL
);

-- What records are searched by; all of it stands in the body too, which is what counts.
CREATE TABLE records (
    position    BIGINT PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    time        BIGINT  NOT NULL, -- milliseconds since 1970
    decision    TEXT    NOT NULL,
    user_name   TEXT    NOT NULL,
    tool        TEXT    NOT NULL,
    namespace   TEXT    NOT NULL,
    object      TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    dry_run     BIGINT  NOT NULL,
    replica     TEXT    NOT NULL,
    number      BIGINT  NOT NULL
);
CREATE INDEX records_time ON records (time, position);
CREATE INDEX records_decision ON records (decision, time, position);
CREATE INDEX records_user ON records (user_name, time, position);
CREATE INDEX records_tool ON records (tool, time, position);
CREATE INDEX records_namespace ON records (namespace, time, position);
CREATE INDEX records_object ON records (object, time, position);
CREATE INDEX records_fingerprint ON records (fingerprint, time, position);
CREATE INDEX records_dry_run ON records (dry_run, time, position);

CREATE TABLE record_rules (
    rule     TEXT    NOT NULL,
    time     BIGINT  NOT NULL,
    position BIGINT  NOT NULL,
    PRIMARY KEY (rule, time, position)
);

-- Tiles of the log of a week, of 256 hashes each but for those at the right edge.
CREATE TABLE tiles (
    week   BIGINT  NOT NULL,
    level  BIGINT  NOT NULL,
    place  BIGINT  NOT NULL,
    hashes BYTEA NOT NULL,
    PRIMARY KEY (week, level, place)
);

-- The last checkpoint of the log of each week.
CREATE TABLE checkpoints (
    week BIGINT PRIMARY KEY,
    note TEXT NOT NULL
);

-- How often what was decided in which hour.
CREATE TABLE hours (
    hour     BIGINT  NOT NULL,
    decision TEXT    NOT NULL,
    rule     TEXT    NOT NULL,
    count    BIGINT  NOT NULL,
    PRIMARY KEY (hour, decision, rule)
);

-- Who writes: the one that started last.
CREATE TABLE writer (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    id  TEXT NOT NULL
);
