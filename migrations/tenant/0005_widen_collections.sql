-- Collections of type view: what they hold is what their SELECT finds. The table is made anew, since a CHECK cannot be
-- changed; the order of its rows is the order in which collections are listed.
CREATE TABLE _collections_new (
	id          TEXT PRIMARY KEY NOT NULL,
	name        TEXT NOT NULL COLLATE NOCASE UNIQUE,
	type        TEXT NOT NULL CHECK (type IN ('base', 'auth', 'view')),
	system      INTEGER NOT NULL DEFAULT 0,
	list_rule   TEXT,
	view_rule   TEXT,
	create_rule TEXT,
	update_rule TEXT,
	delete_rule TEXT,
	fields      TEXT NOT NULL,                -- JSON array of field objects
	indexes     TEXT NOT NULL DEFAULT '[]',   -- JSON array of CREATE INDEX texts
	created     TEXT NOT NULL,
	updated     TEXT NOT NULL,
	view_query  TEXT NOT NULL DEFAULT ''      -- of a view: its SELECT
) STRICT;

INSERT INTO _collections_new
SELECT id, name, type, system, list_rule, view_rule, create_rule, update_rule, delete_rule, fields, indexes, created,
	updated, ''
FROM _collections ORDER BY rowid;

DROP TABLE _collections;

ALTER TABLE _collections_new RENAME TO _collections;
