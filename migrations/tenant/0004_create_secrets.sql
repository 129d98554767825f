-- Secrets of one tenant that are drawn once and go with its data. cursor: what the cursors of lists are signed with.
CREATE TABLE _secrets (
	name  TEXT PRIMARY KEY NOT NULL,
	value BLOB NOT NULL
) STRICT;

INSERT INTO _secrets VALUES ('cursor', randomblob(32));
