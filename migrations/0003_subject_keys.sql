-- The keys that subjects are made with, one for each opening whose policy asks
-- for claims. They are no view: nothing makes them again, and destroying one is
-- what makes the log's subjects nobody's. A schema of their own, so that the
-- views can be dropped without them, and that its rights and backups can be
-- narrower. `command` alone uses it.

-- Several schemas of views may stand in one database; this one is there once.
CREATE SCHEMA IF NOT EXISTS usher_subjects;

CREATE TABLE IF NOT EXISTS usher_subjects.keys (
    opening      text        PRIMARY KEY,
    key          bytea       CHECK (octet_length(key) = 32),
    made_at      timestamptz NOT NULL DEFAULT now(),
    destroyed_at timestamptz,
    CHECK ((key IS NULL) = (destroyed_at IS NOT NULL))
);
COMMENT ON TABLE usher_subjects.keys IS 'A key that was destroyed leaves its row, so that no other takes its place.';
