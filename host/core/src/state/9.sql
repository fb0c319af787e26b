-- What a person approved of MCP servers: the fingerprints of their tools, and how the server was started or reached.
CREATE TABLE servers (
    name TEXT PRIMARY KEY,
    approved TEXT NOT NULL,
    approved_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO changes VALUES ('servers', 0);
CREATE TRIGGER servers_added AFTER INSERT ON servers BEGIN UPDATE changes SET count = count + 1 WHERE what = 'servers'; END;
CREATE TRIGGER servers_changed AFTER UPDATE ON servers BEGIN UPDATE changes SET count = count + 1 WHERE what = 'servers'; END;
CREATE TRIGGER servers_removed AFTER DELETE ON servers BEGIN UPDATE changes SET count = count + 1 WHERE what = 'servers'; END;
