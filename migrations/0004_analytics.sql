-- What analysts ask, and the facts behind it: a projection of its own with a
-- place of its own, so that no question of theirs and no fault of it stops a
-- visitor. Analysts read the views; the tables may change, a view's columns
-- do not: a view that has to say something else gets the next number.
--
-- Tickets are pseudonyms that usher drew. Nothing here says who has one: no
-- claim, no subject, no address, no payment.

-- Several schemas of views may stand in one database; this one is there once.
CREATE SCHEMA IF NOT EXISTS analytics;
COMMENT ON SCHEMA analytics IS 'For analysts: read the views, by usher_analyst. Pure functions of the log, and as old as their as_of says.';

CREATE TABLE IF NOT EXISTS analytics.watermarks (
    partition integer PRIMARY KEY,
    position  bigint  NOT NULL,
    newest_at bigint  NOT NULL
);
COMMENT ON TABLE analytics.watermarks IS 'How far the log is counted, written in the same transaction as what it says.';
COMMENT ON COLUMN analytics.watermarks.newest_at IS 'Milliseconds since the epoch, as all times of these tables.';

CREATE TABLE IF NOT EXISTS analytics.openings (
    opening   text    PRIMARY KEY,
    partition integer NOT NULL,
    title     text    NOT NULL,
    opens_at  bigint  NOT NULL
);

CREATE TABLE IF NOT EXISTS analytics.plans (
    opening   text    NOT NULL,
    partition integer NOT NULL,
    plan      text    NOT NULL,
    seats     integer NOT NULL,
    blocked   integer NOT NULL,
    PRIMARY KEY (opening, plan)
);

CREATE TABLE IF NOT EXISTS analytics.showings (
    opening   text    NOT NULL,
    partition integer NOT NULL,
    showing   text    NOT NULL,
    title     text    NOT NULL,
    starts_at bigint  NOT NULL,
    seats     integer NOT NULL,
    PRIMARY KEY (opening, showing)
);

CREATE TABLE IF NOT EXISTS analytics.visitors (
    opening     text    NOT NULL,
    partition   integer NOT NULL,
    ticket      bytea   NOT NULL,
    joined_at   bigint,
    admitted_at bigint,
    entered_at  bigint,
    held_at     bigint,
    booked_at   bigint,
    PRIMARY KEY (opening, ticket)
) WITH (fillfactor = 70);
COMMENT ON TABLE analytics.visitors IS 'When each place in line first got so far. A place that was taken over with another ticket is one.';

CREATE TABLE IF NOT EXISTS analytics.holds (
    opening    text     NOT NULL,
    partition  integer  NOT NULL,
    hold       uuid     NOT NULL,
    ticket     bytea    NOT NULL,
    showing    text     NOT NULL,
    seats      integer  NOT NULL,
    swaps      integer  NOT NULL DEFAULT 0,
    extensions integer  NOT NULL DEFAULT 0,
    outcome    smallint NOT NULL DEFAULT 0,
    held_at    bigint   NOT NULL,
    ended_at   bigint,
    PRIMARY KEY (opening, hold)
) WITH (fillfactor = 70);
COMMENT ON COLUMN analytics.holds.outcome IS '0 live, 1 released, 2 expired, 3 booked, 4 booked after it had expired';

CREATE TABLE IF NOT EXISTS analytics.sales (
    opening   text    NOT NULL,
    partition integer NOT NULL,
    at_offset bigint  NOT NULL,
    showing   text    NOT NULL,
    at        bigint  NOT NULL,
    booked    integer NOT NULL,
    cancelled integer NOT NULL,
    blocked   integer NOT NULL,
    PRIMARY KEY (opening, at_offset, showing)
);
COMMENT ON TABLE analytics.sales IS 'What an event changed in how many seats of a showing are booked, or not for sale.';

CREATE TABLE IF NOT EXISTS analytics.refusals (
    opening   text    NOT NULL,
    partition integer NOT NULL,
    at_offset bigint  NOT NULL,
    since     bigint  NOT NULL,
    until     bigint  NOT NULL,
    reason    text    NOT NULL,
    count     bigint  NOT NULL,
    PRIMARY KEY (opening, at_offset, reason)
);

CREATE TABLE IF NOT EXISTS analytics.conflicts (
    opening   text    NOT NULL,
    partition integer NOT NULL,
    at_offset bigint  NOT NULL,
    since     bigint  NOT NULL,
    until     bigint  NOT NULL,
    showing   text    NOT NULL,
    seat      text    NOT NULL,
    count     bigint  NOT NULL,
    PRIMARY KEY (opening, at_offset, showing, seat)
);

CREATE OR REPLACE FUNCTION analytics.moment(millis bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT to_timestamp(millis / 1000.0) $$;
COMMENT ON FUNCTION analytics.moment(bigint) IS 'Milliseconds since the epoch as a time.';

CREATE OR REPLACE VIEW analytics.funnel_v1 AS
SELECT openings.opening,
       openings.title,
       analytics.moment(openings.opens_at) AS opens_at,
       counts.joined, counts.admitted, counts.entered, counts.held, counts.booked,
       marks.partition || '.' || marks.position AS as_of,
       analytics.moment(marks.newest_at) AS as_of_at
FROM analytics.openings
JOIN analytics.watermarks marks USING (partition)
CROSS JOIN LATERAL (
    SELECT count(joined_at) AS joined, count(admitted_at) AS admitted, count(entered_at) AS entered,
           count(held_at) AS held, count(booked_at) AS booked
    FROM analytics.visitors WHERE visitors.opening = openings.opening
) counts;
COMMENT ON VIEW analytics.funnel_v1 IS 'How many places in line got how far, for each opening. Each place counts once in each column that it ever reached; a place taken over with another ticket stays one place.';
COMMENT ON COLUMN analytics.funnel_v1.opening IS 'The opening''s id.';
COMMENT ON COLUMN analytics.funnel_v1.title IS 'Its title, as visitors read it now.';
COMMENT ON COLUMN analytics.funnel_v1.opens_at IS 'When its lobby closes and its line starts to move, as it is scheduled now.';
COMMENT ON COLUMN analytics.funnel_v1.joined IS 'Places that were taken in the lobby or in line.';
COMMENT ON COLUMN analytics.funnel_v1.admitted IS 'Of these: whose turn came at least once.';
COMMENT ON COLUMN analytics.funnel_v1.entered IS 'Of these: who entered the seat window.';
COMMENT ON COLUMN analytics.funnel_v1.held IS 'Of these: who held seats at least once.';
COMMENT ON COLUMN analytics.funnel_v1.booked IS 'Of these: who booked at least once, cancelled later or not.';
COMMENT ON COLUMN analytics.funnel_v1.as_of IS 'The partition and the position of its log up to which all is counted, as in answers over HTTP.';
COMMENT ON COLUMN analytics.funnel_v1.as_of_at IS 'When the newest event that is counted was decided.';

CREATE OR REPLACE VIEW analytics.holds_v1 AS
SELECT holds.opening,
       holds.showing,
       holds.hold,
       encode(holds.ticket, 'hex') AS ticket,
       holds.seats,
       holds.swaps,
       holds.extensions,
       (ARRAY['live', 'released', 'expired', 'booked', 'booked_late'])[holds.outcome + 1] AS outcome,
       analytics.moment(holds.held_at) AS held_at,
       analytics.moment(holds.ended_at) AS ended_at,
       (holds.ended_at - holds.held_at) / 1000.0 AS duration_s,
       marks.partition || '.' || marks.position AS as_of,
       analytics.moment(marks.newest_at) AS as_of_at
FROM analytics.holds
JOIN analytics.watermarks marks USING (partition);
COMMENT ON VIEW analytics.holds_v1 IS 'Every hold, how it ended and how long it lasted.';
COMMENT ON COLUMN analytics.holds_v1.opening IS 'The opening''s id.';
COMMENT ON COLUMN analytics.holds_v1.showing IS 'The showing''s id.';
COMMENT ON COLUMN analytics.holds_v1.hold IS 'The hold''s id.';
COMMENT ON COLUMN analytics.holds_v1.ticket IS 'The pseudonym of whose hold it is, in hexadecimal.';
COMMENT ON COLUMN analytics.holds_v1.seats IS 'How many seats it holds, after its last swap.';
COMMENT ON COLUMN analytics.holds_v1.swaps IS 'How often its seats were exchanged for others.';
COMMENT ON COLUMN analytics.holds_v1.extensions IS 'How often it was made to last longer.';
COMMENT ON COLUMN analytics.holds_v1.outcome IS 'live; released (by its visitor, or with the end of the visit); expired; booked; booked_late (paid after it had expired, while its seats were still free).';
COMMENT ON COLUMN analytics.holds_v1.held_at IS 'When it began.';
COMMENT ON COLUMN analytics.holds_v1.ended_at IS 'When it was released, expired or booked, whichever came last; null while it lives.';
COMMENT ON COLUMN analytics.holds_v1.duration_s IS 'Seconds between the two; null while it lives.';
COMMENT ON COLUMN analytics.holds_v1.as_of IS 'The partition and the position of its log up to which all is counted, as in answers over HTTP.';
COMMENT ON COLUMN analytics.holds_v1.as_of_at IS 'When the newest event that is counted was decided.';

CREATE OR REPLACE VIEW analytics.conflicts_v1 AS
SELECT conflicts.opening,
       conflicts.showing,
       conflicts.seat,
       sum(conflicts.count)::bigint AS refusals,
       analytics.moment(min(conflicts.since)) AS since,
       analytics.moment(max(conflicts.until)) AS until,
       marks.partition || '.' || marks.position AS as_of,
       analytics.moment(marks.newest_at) AS as_of_at
FROM analytics.conflicts
JOIN analytics.watermarks marks USING (partition)
GROUP BY conflicts.opening, conflicts.showing, conflicts.seat, marks.partition;
COMMENT ON VIEW analytics.conflicts_v1 IS 'How often each seat was asked for in vain. The log counts refusals about once a minute, and of each count the 1,000 most refused seats.';
COMMENT ON COLUMN analytics.conflicts_v1.opening IS 'The opening''s id.';
COMMENT ON COLUMN analytics.conflicts_v1.showing IS 'The showing''s id.';
COMMENT ON COLUMN analytics.conflicts_v1.seat IS 'The seat''s id in its plan.';
COMMENT ON COLUMN analytics.conflicts_v1.refusals IS 'Refused requests that named the seat as one that they could not have.';
COMMENT ON COLUMN analytics.conflicts_v1.since IS 'From when the first of them were counted.';
COMMENT ON COLUMN analytics.conflicts_v1.until IS 'Until when the last of them were counted.';
COMMENT ON COLUMN analytics.conflicts_v1.as_of IS 'The partition and the position of its log up to which all is counted, as in answers over HTTP.';
COMMENT ON COLUMN analytics.conflicts_v1.as_of_at IS 'When the newest event that is counted was decided.';

CREATE OR REPLACE VIEW analytics.refusals_v1 AS
SELECT refusals.opening,
       refusals.reason,
       analytics.moment(refusals.since) AS since,
       analytics.moment(refusals.until) AS until,
       refusals.count AS refusals,
       marks.partition || '.' || marks.position AS as_of,
       analytics.moment(marks.newest_at) AS as_of_at
FROM analytics.refusals
JOIN analytics.watermarks marks USING (partition);
COMMENT ON VIEW analytics.refusals_v1 IS 'Refused commands by reason, about a minute in each row.';
COMMENT ON COLUMN analytics.refusals_v1.opening IS 'The opening''s id.';
COMMENT ON COLUMN analytics.refusals_v1.reason IS 'The problem''s type, without its urn.';
COMMENT ON COLUMN analytics.refusals_v1.since IS 'From when they were counted.';
COMMENT ON COLUMN analytics.refusals_v1.until IS 'Until when.';
COMMENT ON COLUMN analytics.refusals_v1.refusals IS 'How many there were.';
COMMENT ON COLUMN analytics.refusals_v1.as_of IS 'The partition and the position of its log up to which all is counted, as in answers over HTTP.';
COMMENT ON COLUMN analytics.refusals_v1.as_of_at IS 'When the newest event that is counted was decided.';

CREATE OR REPLACE VIEW analytics.sell_through_v1 AS
SELECT minutes.opening,
       minutes.showing,
       showings.title,
       analytics.moment(showings.starts_at) AS starts_at,
       analytics.moment(minutes.minute) AS minute,
       minutes.booked,
       minutes.cancelled,
       minutes.sold,
       showings.seats - minutes.blocked AS for_sale,
       round(minutes.sold::numeric / nullif(showings.seats - minutes.blocked, 0), 4) AS share,
       marks.partition || '.' || marks.position AS as_of,
       analytics.moment(marks.newest_at) AS as_of_at
FROM (
    SELECT opening, partition, showing, at / 60000 * 60000 AS minute,
           sum(booked)::bigint AS booked, sum(cancelled)::bigint AS cancelled,
           (sum(sum(booked) - sum(cancelled)) OVER so_far)::bigint AS sold,
           (sum(sum(blocked)) OVER so_far)::bigint AS blocked
    FROM analytics.sales
    GROUP BY opening, partition, showing, at / 60000
    WINDOW so_far AS (PARTITION BY opening, showing ORDER BY at / 60000)
) minutes
JOIN analytics.showings USING (opening, showing)
JOIN analytics.watermarks marks ON marks.partition = minutes.partition;
COMMENT ON VIEW analytics.sell_through_v1 IS 'How a showing sells: a row for each minute in which something changed.';
COMMENT ON COLUMN analytics.sell_through_v1.opening IS 'The opening''s id.';
COMMENT ON COLUMN analytics.sell_through_v1.showing IS 'The showing''s id.';
COMMENT ON COLUMN analytics.sell_through_v1.title IS 'What is shown.';
COMMENT ON COLUMN analytics.sell_through_v1.starts_at IS 'When it starts.';
COMMENT ON COLUMN analytics.sell_through_v1.minute IS 'The minute''s beginning.';
COMMENT ON COLUMN analytics.sell_through_v1.booked IS 'Seats booked in this minute.';
COMMENT ON COLUMN analytics.sell_through_v1.cancelled IS 'Booked seats given back in this minute.';
COMMENT ON COLUMN analytics.sell_through_v1.sold IS 'Seats that were booked at the minute''s end.';
COMMENT ON COLUMN analytics.sell_through_v1.for_sale IS 'Seats of the hall at the minute''s end, without the blocked ones.';
COMMENT ON COLUMN analytics.sell_through_v1.share IS 'sold / for_sale, to four digits; null when none is for sale.';
COMMENT ON COLUMN analytics.sell_through_v1.as_of IS 'The partition and the position of its log up to which all is counted, as in answers over HTTP.';
COMMENT ON COLUMN analytics.sell_through_v1.as_of_at IS 'When the newest event that is counted was decided.';
