CREATE TABLE tenants (
  id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('active', 'suspended')),
  created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
