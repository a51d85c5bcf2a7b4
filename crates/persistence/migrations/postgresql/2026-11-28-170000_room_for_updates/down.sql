ALTER TABLE demographics RESET (fillfactor);
ALTER TABLE enrollments RESET (fillfactor);
ALTER TABLE users RESET (fillfactor);
ALTER TABLE classes RESET (fillfactor);
