-- Room on each page for the new versions of the few rows that change in a night: a row that finds its new version a place
-- on its own page needs no new entries in its indexes. What is on the pages already stays as it is.
ALTER TABLE classes SET (fillfactor = 90);
ALTER TABLE users SET (fillfactor = 90);
ALTER TABLE enrollments SET (fillfactor = 95);
ALTER TABLE demographics SET (fillfactor = 95);

-- An external id's source is its record's, as an enrollment's is its user's: a key of its own is checked for every row.
ALTER TABLE external_ids DROP CONSTRAINT external_ids_source_id_fkey;
