-- What merchants are to be told, and who has told how much of it. No view:
-- what was delivered is not in the log, and making it again would tell all of
-- it again. A schema of its own, so that the views can be dropped without it.

-- Several schemas of views may stand in one database; this one is there once.
CREATE SCHEMA IF NOT EXISTS usher_webhooks;

CREATE TABLE IF NOT EXISTS usher_webhooks.receivers (
    name  text   PRIMARY KEY,
    since bigint NOT NULL
);
COMMENT ON TABLE usher_webhooks.receivers IS 'Since when each receiver is told, in milliseconds since the epoch: of nothing that happened before.';

CREATE TABLE IF NOT EXISTS usher_webhooks.lines (
    receiver     text        NOT NULL,
    opening      text        NOT NULL,
    due_at       timestamptz NOT NULL DEFAULT now(),
    lease        uuid,
    leased_until timestamptz,
    written_to   bigint      NOT NULL DEFAULT -1,
    PRIMARY KEY (receiver, opening),
    CHECK ((lease IS NULL) = (leased_until IS NULL))
);
COMMENT ON TABLE usher_webhooks.lines IS 'One courier at a time has a line, so that a receiver is told of an opening in order.';
COMMENT ON COLUMN usher_webhooks.lines.written_to IS 'The last event whose messages were written: those up to it are not written again.';

CREATE TABLE IF NOT EXISTS usher_webhooks.messages (
    receiver  text   NOT NULL,
    opening   text   NOT NULL,
    at_offset bigint NOT NULL,
    part      int    NOT NULL,
    id        text   NOT NULL,
    kind      text   NOT NULL,
    body      text   NOT NULL,
    since     bigint NOT NULL,
    attempts  int    NOT NULL DEFAULT 0,
    refusals  int    NOT NULL DEFAULT 0,
    fault     text,
    died_at   timestamptz,
    PRIMARY KEY (receiver, opening, at_offset, part)
);
COMMENT ON TABLE usher_webhooks.messages IS 'A message goes when it is delivered; one with died_at is a dead letter, sent again when an operator redrives it.';
CREATE INDEX IF NOT EXISTS messages_waiting ON usher_webhooks.messages (receiver, opening, at_offset, part) WHERE died_at IS NULL;
