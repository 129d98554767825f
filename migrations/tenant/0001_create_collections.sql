-- The collections of one tenant: what the tables of its records look like and who may touch them.
-- A rule that is NULL is for superusers only, '' for anyone, else a filter.
CREATE TABLE _collections (
	id          TEXT PRIMARY KEY NOT NULL,
	name        TEXT NOT NULL COLLATE NOCASE UNIQUE,
	type        TEXT NOT NULL CHECK (type IN ('base', 'auth')),
	system      INTEGER NOT NULL DEFAULT 0,
	list_rule   TEXT,
	view_rule   TEXT,
	create_rule TEXT,
	update_rule TEXT,
	delete_rule TEXT,
	fields      TEXT NOT NULL,                -- JSON array of field objects
	indexes     TEXT NOT NULL DEFAULT '[]',   -- JSON array of CREATE INDEX texts
	created     TEXT NOT NULL,
	updated     TEXT NOT NULL
) STRICT;

-- Counts the changes of the schema: a write that was planned for another version plans again.
CREATE TABLE _schema_version (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	version INTEGER NOT NULL
) STRICT;

INSERT INTO _schema_version VALUES (1, 1);
