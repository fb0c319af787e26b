-- What was seen of indexes: none is followed back to an older one.
CREATE TABLE indexes (
    place TEXT PRIMARY KEY,
    serial INTEGER NOT NULL,
    digest TEXT NOT NULL,
    seen_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
