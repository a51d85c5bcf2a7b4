CREATE TABLE external_ids_anew (
    kind TEXT NOT NULL,
    record_id BIGINT NOT NULL,
    scheme TEXT NOT NULL,
    value TEXT NOT NULL,
    source_id BIGINT NOT NULL REFERENCES sources (id),
    PRIMARY KEY (kind, record_id, scheme, value)
) WITHOUT ROWID;
INSERT INTO external_ids_anew SELECT kind, record_id, scheme, value, source_id FROM external_ids;
DROP TABLE external_ids;
ALTER TABLE external_ids_anew RENAME TO external_ids;
CREATE INDEX external_ids_by_value ON external_ids (source_id, scheme, value);
