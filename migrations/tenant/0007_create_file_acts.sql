-- What has to be done to the folder of files because a transaction stands: written in that transaction, done
-- right after it, deleted by a later one. What a crash left is done when the database is opened.
CREATE TABLE _file_acts (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	act        INTEGER NOT NULL CHECK (act IN (0, 1, 2)), -- place, remove, drop the collection's folder
	collection TEXT NOT NULL,                             -- its id
	record     TEXT NOT NULL,                             -- its id; '' when dropped
	name       TEXT NOT NULL                              -- the stored name; '' when dropped
) STRICT;
