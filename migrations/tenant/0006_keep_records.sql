-- What collections keep of their records: how many revisions of each, and whether what is deleted goes to the trash.
CREATE TABLE _keeping (
	collection  TEXT PRIMARY KEY NOT NULL,
	revisions   INTEGER NOT NULL DEFAULT 0,
	soft_delete INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Records as they were before a change; body is a JSON object by the ids of fields.
CREATE TABLE _revisions (
	collection TEXT NOT NULL,
	record     TEXT NOT NULL,
	revision   INTEGER NOT NULL, -- counts up from 1, for each record
	created    TEXT NOT NULL,
	actor      TEXT NOT NULL,    -- "users/abc", '' for work of the server's own
	body       TEXT NOT NULL,
	PRIMARY KEY (collection, record, revision)
) STRICT, WITHOUT ROWID;

-- Records that were deleted and can come back; body as above, with the secrets of accounts.
CREATE TABLE _trash (
	collection TEXT NOT NULL,
	record     TEXT NOT NULL,
	deleted    TEXT NOT NULL,
	actor      TEXT NOT NULL,
	body       TEXT NOT NULL,
	PRIMARY KEY (collection, record)
) STRICT;

CREATE INDEX _trash_deleted ON _trash (collection, deleted);
