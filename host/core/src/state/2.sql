-- What was asked, allowed, refused and done, in a chain: `hash` is SHA-256 over the hash before it and the record.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    event TEXT NOT NULL,
    invocation TEXT NOT NULL,
    act INTEGER NOT NULL,
    skill TEXT NOT NULL,
    caller TEXT NOT NULL,
    capability TEXT NOT NULL,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
-- What a skill used is asked for by name. The record of every invocation's end is in no index: it is written on the way of
-- every call, and who looks for one invocation may wait for a scan.
CREATE INDEX audit_used ON audit (skill, capability, subject) WHERE event IN ('intent', 'denied');

-- Signed places of the chain: `head`, up to which it must reach, and `base`, before which records were removed by age.
CREATE TABLE audit_marks (
    name TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;

-- Secrets, encrypted. `hosts` is a JSON list of the origins that each is bound to.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    hosts TEXT NOT NULL,
    sealed BLOB NOT NULL,
    changed_us INTEGER NOT NULL
) STRICT;

-- Answers that a person let the host keep.
CREATE TABLE answers (
    skill TEXT NOT NULL,
    name TEXT NOT NULL,
    schema TEXT NOT NULL,
    json TEXT NOT NULL,
    answered_us INTEGER NOT NULL,
    PRIMARY KEY (skill, name)
) WITHOUT ROWID, STRICT;

-- What a person refused a skill: not asked again.
CREATE TABLE denials (
    identity TEXT NOT NULL,
    capability TEXT NOT NULL,
    wanted TEXT NOT NULL,
    denied_us INTEGER NOT NULL,
    PRIMARY KEY (identity, capability, wanted)
) WITHOUT ROWID, STRICT;

-- The invocation that called this one, where a skill did.
ALTER TABLE runs ADD COLUMN parent TEXT;
