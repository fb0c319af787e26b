-- Up to which number what a host had put on record ahead of its commits has been committed. Rows of hosts that have ended, and of which
-- nothing is left to take up, mean nothing.
CREATE TABLE ahead (
    host INTEGER PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;
