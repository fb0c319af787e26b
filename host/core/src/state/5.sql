-- Whose signatures of skills a person trusts. A row that was revoked stays, so that nobody is trusted again unnoticed.
-- `signer` is JSON, and all of a key or of an identity.
CREATE TABLE publishers (
    signer TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    revoked_us INTEGER
) STRICT;

-- Whose a skill is, and the highest version of it that was installed. Outlives the skill.
CREATE TABLE pins (
    skill TEXT NOT NULL PRIMARY KEY,
    signer TEXT NOT NULL,
    source TEXT NOT NULL,
    floor TEXT NOT NULL
) STRICT;

-- Who signed what is installed, where that was checked and trusted.
ALTER TABLE skills ADD COLUMN signer TEXT;
