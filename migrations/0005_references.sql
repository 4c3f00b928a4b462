-- What people read out of a booking.

ALTER TABLE bookings ADD COLUMN reference text;
COMMENT ON COLUMN bookings.reference IS 'Unique in its opening; null for bookings older than references.';
CREATE UNIQUE INDEX bookings_reference ON bookings (opening, reference);
