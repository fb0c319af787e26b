-- Several hosts may use one state at once. What each of them spends stands in rows of its own until it has ended; host 0 is all of those.
CREATE TABLE spend_of_hosts (
    day INTEGER NOT NULL,
    skill TEXT NOT NULL,
    host INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    micro_dollars INTEGER NOT NULL,
    host_calls INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    PRIMARY KEY (day, skill, host)
) WITHOUT ROWID, STRICT;
INSERT INTO spend_of_hosts SELECT day, skill, 0, input_tokens, output_tokens, micro_dollars, host_calls, wall_ms FROM spend;
DROP TABLE spend;
ALTER TABLE spend_of_hosts RENAME TO spend;

CREATE TABLE reservations_of_hosts (
    host INTEGER NOT NULL,
    id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    skill TEXT NOT NULL,
    invocation TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    micro_dollars INTEGER NOT NULL,
    PRIMARY KEY (host, id)
) WITHOUT ROWID, STRICT;
INSERT INTO reservations_of_hosts SELECT 0, id, day, skill, invocation, input_tokens, output_tokens, micro_dollars FROM reservations;
DROP TABLE reservations;
ALTER TABLE reservations_of_hosts RENAME TO reservations;

-- What hosts keep in memory, and how often it was changed: so that each sees what another one did.
CREATE TABLE changes (
    what TEXT NOT NULL PRIMARY KEY,
    count INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
INSERT INTO changes VALUES ('denials', 0), ('grants', 0), ('secrets', 0), ('skills', 0);
CREATE TRIGGER denials_added AFTER INSERT ON denials BEGIN UPDATE changes SET count = count + 1 WHERE what = 'denials'; END;
CREATE TRIGGER denials_changed AFTER UPDATE ON denials BEGIN UPDATE changes SET count = count + 1 WHERE what = 'denials'; END;
CREATE TRIGGER denials_removed AFTER DELETE ON denials BEGIN UPDATE changes SET count = count + 1 WHERE what = 'denials'; END;
CREATE TRIGGER grants_added AFTER INSERT ON grants BEGIN UPDATE changes SET count = count + 1 WHERE what = 'grants'; END;
CREATE TRIGGER grants_changed AFTER UPDATE ON grants BEGIN UPDATE changes SET count = count + 1 WHERE what = 'grants'; END;
CREATE TRIGGER grants_removed AFTER DELETE ON grants BEGIN UPDATE changes SET count = count + 1 WHERE what = 'grants'; END;
CREATE TRIGGER secrets_added AFTER INSERT ON secrets BEGIN UPDATE changes SET count = count + 1 WHERE what = 'secrets'; END;
CREATE TRIGGER secrets_changed AFTER UPDATE ON secrets BEGIN UPDATE changes SET count = count + 1 WHERE what = 'secrets'; END;
CREATE TRIGGER secrets_removed AFTER DELETE ON secrets BEGIN UPDATE changes SET count = count + 1 WHERE what = 'secrets'; END;
CREATE TRIGGER skills_added AFTER INSERT ON skills BEGIN UPDATE changes SET count = count + 1 WHERE what = 'skills'; END;
CREATE TRIGGER skills_changed AFTER UPDATE ON skills BEGIN UPDATE changes SET count = count + 1 WHERE what = 'skills'; END;
CREATE TRIGGER skills_removed AFTER DELETE ON skills BEGIN UPDATE changes SET count = count + 1 WHERE what = 'skills'; END;
