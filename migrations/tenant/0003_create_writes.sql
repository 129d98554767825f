-- What a write with an Idempotency-Key was answered, so that the same request is answered the same and not done twice.
CREATE TABLE _idempotency (
	key        TEXT PRIMARY KEY NOT NULL, -- SHA-256 of who asked and of his key
	request    TEXT NOT NULL,             -- SHA-256 of what was asked
	status     INTEGER NOT NULL,
	body       TEXT NOT NULL,
	created_us INTEGER NOT NULL
) STRICT;

CREATE INDEX _idempotency_created ON _idempotency (created_us);
