-- What an auth collection says about signing in, as one JSON object; one without a row has the defaults.
-- No reference to _collections: that table may be made anew.
CREATE TABLE _auth_options (
	collection_id TEXT PRIMARY KEY NOT NULL,
	options       TEXT NOT NULL
) STRICT;

-- The tenant's settings, by group: one JSON object each; secrets in them are sealed.
CREATE TABLE _settings (
	name  TEXT PRIMARY KEY NOT NULL,
	value TEXT NOT NULL
) STRICT;

-- Keys for machines. The key itself is shown once and never kept.
CREATE TABLE _api_keys (
	id            TEXT PRIMARY KEY NOT NULL,
	name          TEXT NOT NULL,
	hash          TEXT NOT NULL,           -- SHA-256 of its secret half, hexadecimal
	scopes        TEXT NOT NULL,           -- JSON array of texts
	collection_id TEXT NOT NULL DEFAULT '', -- whom it acts for; '' for a superuser
	record_id     TEXT NOT NULL DEFAULT '',
	expires_s     INTEGER NOT NULL DEFAULT 0, -- wall clock; 0: never
	last_used_s   INTEGER NOT NULL DEFAULT 0,
	created       TEXT NOT NULL
) STRICT;
