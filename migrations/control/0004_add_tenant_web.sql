-- How browsers reach a tenant: its own host names, and the origins whose pages may call it ("": any). Separated by spaces.
ALTER TABLE tenants ADD COLUMN hosts TEXT NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN origins TEXT NOT NULL DEFAULT '';
