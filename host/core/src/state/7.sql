-- Of which version what a skill keeps is, as its author counts. A version of the skill that knows another one does not write it.
ALTER TABLE kv_totals ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
