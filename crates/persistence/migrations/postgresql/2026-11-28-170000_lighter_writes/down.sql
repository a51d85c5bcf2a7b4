ALTER TABLE external_ids ADD CONSTRAINT external_ids_source_id_fkey FOREIGN KEY (source_id) REFERENCES sources (id);

ALTER TABLE demographics RESET (fillfactor);
ALTER TABLE enrollments RESET (fillfactor);
ALTER TABLE users RESET (fillfactor);
ALTER TABLE classes RESET (fillfactor);
