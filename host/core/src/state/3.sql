-- The key that the secrets are encrypted with: in the keyring of this name as this item, or in the file beside this one where
-- both are null; `print` tells it from another key. At most one row: none where no key was made yet, or by an older version.
CREATE TABLE secrets_key (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    keyring TEXT,
    item TEXT,
    print BLOB NOT NULL,
    CHECK ((keyring IS NULL) = (item IS NULL))
) STRICT;
