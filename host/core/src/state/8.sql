-- What a person approved of MCP servers: the fingerprints of their tools, and how the server was started or reached.
CREATE TABLE servers (
    name TEXT PRIMARY KEY,
    approved TEXT NOT NULL,
    approved_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
