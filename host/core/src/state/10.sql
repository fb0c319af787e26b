-- Skills that a host serves in an older version than the one that was offered last, and why: what another process wants to know of it.
-- Rows of hosts that have ended mean nothing.
CREATE TABLE standings (
    host INTEGER NOT NULL,
    skill TEXT NOT NULL,
    name TEXT NOT NULL,
    serves TEXT NOT NULL,
    process INTEGER NOT NULL,
    state TEXT NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    hint TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    PRIMARY KEY (host, skill)
) STRICT, WITHOUT ROWID;
