-- The booking views and the tickets' history. Pure functions of the log:
-- drop them, and the projector makes the same again.

CREATE TABLE places (
    projection   text    NOT NULL,
    partition    integer NOT NULL,
    position     bigint  NOT NULL,
    tenure       bigint  NOT NULL DEFAULT 0,
    n            bigint  NOT NULL DEFAULT 0,
    open         boolean NOT NULL DEFAULT false,
    claim_offset bigint,
    claim_at     bigint,
    PRIMARY KEY (projection, partition)
);
COMMENT ON TABLE places IS 'How far each projection of each partition is; written in the same transaction as its views.';
COMMENT ON COLUMN places.position IS 'The next offset to apply.';
COMMENT ON COLUMN places.tenure IS 'The newest claim''s tenure; 64 bits without a sign, stored as they are.';

CREATE TABLE stops (
    projection text    NOT NULL,
    partition  integer NOT NULL,
    at_offset  bigint  NOT NULL,
    reason     text    NOT NULL,
    stopped_at bigint  NOT NULL,
    PRIMARY KEY (projection, partition)
);
COMMENT ON TABLE stops IS 'Projections that met a record they cannot apply, until an operator resumes or skips.';

CREATE TABLE acts (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection text    NOT NULL,
    partition  integer NOT NULL,
    what       text    NOT NULL,
    at_offset  bigint  NOT NULL,
    by_whom    text    NOT NULL,
    reason     text    NOT NULL,
    acted_at   bigint  NOT NULL
);
COMMENT ON TABLE acts IS 'What operators did about stopped projections.';

CREATE TABLE plans (
    opening text  NOT NULL,
    plan    text  NOT NULL,
    body    jsonb NOT NULL,
    PRIMARY KEY (opening, plan)
);

CREATE TABLE showings (
    opening   text   NOT NULL,
    showing   text   NOT NULL,
    rank      bigint GENERATED ALWAYS AS IDENTITY,
    title     text   NOT NULL,
    starts_at bigint NOT NULL,
    plan      text   NOT NULL,
    version   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (opening, showing)
);
COMMENT ON COLUMN showings.version IS 'Counts the events that changed a seat of the showing.';
COMMENT ON COLUMN showings.starts_at IS 'Milliseconds since the epoch, as all times here.';

CREATE TABLE seats (
    opening text     NOT NULL,
    showing text     NOT NULL,
    seat    text     NOT NULL,
    state   smallint NOT NULL,
    version bigint   NOT NULL,
    PRIMARY KEY (opening, showing, seat)
) WITH (fillfactor = 60);
COMMENT ON COLUMN seats.state IS '0 free, 1 held, 2 booked, 3 blocked';
COMMENT ON COLUMN seats.version IS 'The showing''s version that changed the seat last.';

CREATE TABLE holds (
    opening    text     NOT NULL,
    hold       uuid     NOT NULL,
    ticket     bytea    NOT NULL,
    showing    text     NOT NULL,
    seats      jsonb    NOT NULL,
    state      smallint NOT NULL,
    expires_at bigint   NOT NULL,
    given      bigint   NOT NULL,
    PRIMARY KEY (opening, hold)
) WITH (fillfactor = 70);
COMMENT ON COLUMN holds.state IS '0 live, 1 released, 2 expired, 3 booked';
COMMENT ON COLUMN holds.given IS 'The offset of the event that gave the deadline.';

CREATE TABLE bookings (
    opening           text    NOT NULL,
    booking           uuid    NOT NULL,
    ticket            bytea   NOT NULL,
    hold              uuid    NOT NULL,
    showing           text    NOT NULL,
    seats             jsonb   NOT NULL,
    cancelled         boolean NOT NULL,
    payment_reference text    NOT NULL,
    late              boolean NOT NULL,
    PRIMARY KEY (opening, booking)
);
COMMENT ON COLUMN bookings.seats IS 'The seats that are still booked.';

CREATE TABLE settlements (
    opening           text NOT NULL,
    hold              uuid NOT NULL,
    payment_reference text NOT NULL,
    booking           uuid NOT NULL,
    refund            text,
    PRIMARY KEY (opening, hold, payment_reference)
);
COMMENT ON COLUMN settlements.refund IS 'Why the money must go back; null: it is booked.';

CREATE TABLE ticket_history (
    opening  text    NOT NULL,
    ticket   bytea   NOT NULL,
    at_offset bigint NOT NULL,
    at       bigint  NOT NULL,
    what     text    NOT NULL,
    PRIMARY KEY (opening, ticket, at_offset)
);
COMMENT ON TABLE ticket_history IS 'What happened to each ticket, by the log; a projection with a place of its own.';
