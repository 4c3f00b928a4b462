-- What operators did in each opening: a part of the booking views.

CREATE TABLE operated (
    opening   text   NOT NULL,
    at_offset bigint NOT NULL,
    at        bigint NOT NULL,
    by_whom   text   NOT NULL,
    what      text   NOT NULL,
    detail    text   NOT NULL,
    PRIMARY KEY (opening, at_offset)
);
COMMENT ON TABLE operated IS 'What operators did, by the log.';
COMMENT ON COLUMN operated.by_whom IS 'The name of the operator''s key.';
COMMENT ON COLUMN operated.what IS 'The event''s type.';

-- Views that lack a part are made anew from the log.
DELETE FROM places WHERE projection = 'booking';
TRUNCATE plans, showings, seats, holds, bookings, settlements;
