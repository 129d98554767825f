-- What was uploaded: one row per artifact, addressed by the SHA-256 of its bytes.
CREATE TABLE plugin_versions (
  sha256     TEXT NOT NULL PRIMARY KEY CHECK (length(sha256) = 64),
  plugin     TEXT NOT NULL,
  version    TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  manifest   TEXT NOT NULL,
  uploaded   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ'))
) STRICT, WITHOUT ROWID;
CREATE INDEX plugin_versions_by_plugin ON plugin_versions (plugin, uploaded);

-- What each tenant wants to run of each plugin; the keeper makes it so.
CREATE TABLE plugin_deployments (
  tenant          TEXT NOT NULL,
  plugin          TEXT NOT NULL,
  sha256          TEXT NOT NULL REFERENCES plugin_versions (sha256),
  previous_sha256 TEXT REFERENCES plugin_versions (sha256),
  wanted          TEXT NOT NULL CHECK (wanted IN ('active', 'disabled')),
  grant_all       INTEGER NOT NULL CHECK (grant_all IN (0, 1)),
  generation      INTEGER NOT NULL DEFAULT 1,
  changed         TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')),
  PRIMARY KEY (tenant, plugin)
) STRICT, WITHOUT ROWID;

-- The journal of deployments: each step that was reached, in order.
CREATE TABLE plugin_steps (
  id      INTEGER PRIMARY KEY,
  tenant  TEXT NOT NULL,
  plugin  TEXT NOT NULL,
  sha256  TEXT NOT NULL,
  state   TEXT NOT NULL,
  message TEXT NOT NULL,
  at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ'))
) STRICT;
CREATE INDEX plugin_steps_by_plugin ON plugin_steps (tenant, plugin, id);
