-- The rosters, and the book of what happened to them.
--
-- Names that end in `_ref` hold a sourcedId as the source wrote it; the column of the same stem that ends in `_id` is
-- the record that it means, or null while that record has never been stored. Instants are microseconds since 1970 UTC
-- (`_us`) or milliseconds (`_ms`), civil dates are `YYYY-MM-DD`, ends are exclusive, lists and metadata are JSON.
-- Internal ids are never given twice, and a record that is deleted keeps its row.

CREATE TABLE sources (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    cursor TEXT,
    scope TEXT,
    demographics BOOLEAN NOT NULL DEFAULT FALSE,
    -- How often something was applied.
    revision BIGINT NOT NULL DEFAULT 0,
    -- The last number given in the source's change feed.
    last_sequence BIGINT NOT NULL DEFAULT 0,
    last_full_us BIGINT
);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL UNIQUE,
    source_id BIGINT NOT NULL REFERENCES sources (id),
    status TEXT NOT NULL CHECK (status IN ('running', 'planned', 'succeeded', 'held', 'failed', 'discarded', 'lapsed', 'superseded')),
    started_us BIGINT NOT NULL,
    finished_us BIGINT,
    -- The run's report as JSON; null while it is under way.
    report TEXT
);
CREATE INDEX runs_by_source ON runs (source_id, id);

CREATE TABLE rejects (
    run_id BIGINT NOT NULL REFERENCES runs (id),
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    sourced_id TEXT,
    location TEXT NOT NULL,
    findings TEXT NOT NULL,
    record TEXT,
    PRIMARY KEY (run_id, number)
) WITHOUT ROWID;

-- Records refused for a required reference, to be applied when its target arrives.
CREATE TABLE pending_records (
    source_id BIGINT NOT NULL REFERENCES sources (id),
    kind TEXT NOT NULL,
    sourced_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    modified_ms BIGINT,
    record TEXT NOT NULL,
    PRIMARY KEY (source_id, kind, sourced_id)
) WITHOUT ROWID;

-- What is remembered of a user's roles beside the roles: the newest date of each by the source's own id of it, and those
-- that wait for their user, who need not be there.
CREATE TABLE role_books (
    source_id BIGINT NOT NULL REFERENCES sources (id),
    user_ref TEXT NOT NULL,
    -- Whether roles wait in it.
    waiting BOOLEAN NOT NULL,
    -- The book as JSON.
    book TEXT NOT NULL,
    PRIMARY KEY (source_id, user_ref)
) WITHOUT ROWID;
CREATE INDEX role_books_waiting ON role_books (source_id, user_ref) WHERE waiting;

-- What held runs have staged is kept apart, under the run's number; this is what is to be applied with it.
CREATE TABLE plans (
    run_id BIGINT NOT NULL PRIMARY KEY REFERENCES runs (id),
    source_id BIGINT NOT NULL REFERENCES sources (id),
    basis BIGINT NOT NULL,
    -- The version of the encoding under the staged fingerprints.
    encoding INTEGER NOT NULL,
    plan TEXT NOT NULL
);
CREATE INDEX plans_by_source ON plans (source_id);

-- The change feed, but for creations: those are the records of `creations`, in the order of their internal ids.
CREATE TABLE changes (
    source_id BIGINT NOT NULL REFERENCES sources (id),
    sequence BIGINT NOT NULL,
    run_id BIGINT NOT NULL REFERENCES runs (id),
    at_us BIGINT NOT NULL,
    kind TEXT NOT NULL,
    record_id BIGINT NOT NULL,
    sourced_id TEXT NOT NULL,
    change TEXT NOT NULL CHECK (change IN ('updated', 'deleted', 'restored')),
    before TEXT NOT NULL,
    PRIMARY KEY (source_id, sequence)
) WITHOUT ROWID;
CREATE INDEX changes_by_run ON changes (run_id);
CREATE INDEX changes_by_record ON changes (kind, record_id);

-- Which internal ids a run gave to a source's new records of a kind. The record with the internal id `first_id + n`
-- is number `first_sequence + n` in the feed.
CREATE TABLE creations (
    source_id BIGINT NOT NULL REFERENCES sources (id),
    kind TEXT NOT NULL,
    first_id BIGINT NOT NULL,
    last_id BIGINT NOT NULL,
    first_sequence BIGINT NOT NULL,
    run_id BIGINT NOT NULL REFERENCES runs (id),
    at_us BIGINT NOT NULL,
    PRIMARY KEY (source_id, kind, first_id)
) WITHOUT ROWID;
CREATE INDEX creations_by_run ON creations (run_id);

CREATE TABLE orgs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id BIGINT NOT NULL REFERENCES sources (id),
    sourced_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    encoding INTEGER NOT NULL,
    modified_ms BIGINT,
    deleted_at_us BIGINT,
    delete_reason TEXT CHECK (delete_reason IN ('explicit', 'absent', 'cascade')),
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    identifier TEXT,
    metadata TEXT,
    parent_ref TEXT,
    parent_id BIGINT REFERENCES orgs (id)
);
CREATE UNIQUE INDEX orgs_key ON orgs (source_id, sourced_id);
CREATE INDEX orgs_by_parent ON orgs (parent_id);
CREATE INDEX orgs_parent_dangling ON orgs (source_id) WHERE parent_id IS NULL AND parent_ref IS NOT NULL;

CREATE TABLE academic_sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id BIGINT NOT NULL REFERENCES sources (id),
    sourced_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    encoding INTEGER NOT NULL,
    modified_ms BIGINT,
    deleted_at_us BIGINT,
    delete_reason TEXT CHECK (delete_reason IN ('explicit', 'absent', 'cascade')),
    title TEXT NOT NULL,
    type TEXT NOT NULL,
    start_date TEXT NOT NULL,
    end_date TEXT NOT NULL,
    school_year BIGINT,
    metadata TEXT,
    parent_ref TEXT,
    parent_id BIGINT REFERENCES academic_sessions (id)
);
CREATE UNIQUE INDEX academic_sessions_key ON academic_sessions (source_id, sourced_id);
CREATE INDEX academic_sessions_by_parent ON academic_sessions (parent_id);
CREATE INDEX academic_sessions_parent_dangling ON academic_sessions (source_id) WHERE parent_id IS NULL AND parent_ref IS NOT NULL;

CREATE TABLE courses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id BIGINT NOT NULL REFERENCES sources (id),
    sourced_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    encoding INTEGER NOT NULL,
    modified_ms BIGINT,
    deleted_at_us BIGINT,
    delete_reason TEXT CHECK (delete_reason IN ('explicit', 'absent', 'cascade')),
    title TEXT NOT NULL,
    course_code TEXT,
    grades TEXT,
    subjects TEXT,
    subject_codes TEXT,
    metadata TEXT,
    school_year_ref TEXT,
    school_year_id BIGINT REFERENCES academic_sessions (id),
    org_ref TEXT,
    org_id BIGINT REFERENCES orgs (id)
);
CREATE UNIQUE INDEX courses_key ON courses (source_id, sourced_id);
CREATE INDEX courses_by_school_year ON courses (school_year_id);
CREATE INDEX courses_by_org ON courses (org_id);
CREATE INDEX courses_school_year_dangling ON courses (source_id) WHERE school_year_id IS NULL AND school_year_ref IS NOT NULL;
CREATE INDEX courses_org_dangling ON courses (source_id) WHERE org_id IS NULL AND org_ref IS NOT NULL;

CREATE TABLE classes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id BIGINT NOT NULL REFERENCES sources (id),
    sourced_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    encoding INTEGER NOT NULL,
    modified_ms BIGINT,
    deleted_at_us BIGINT,
    delete_reason TEXT CHECK (delete_reason IN ('explicit', 'absent', 'cascade')),
    title TEXT NOT NULL,
    grades TEXT,
    class_code TEXT,
    class_type TEXT NOT NULL,
    location TEXT,
    subjects TEXT,
    subject_codes TEXT,
    periods TEXT,
    metadata TEXT,
    course_ref TEXT,
    course_id BIGINT REFERENCES courses (id),
    school_id BIGINT NOT NULL REFERENCES orgs (id)
);
CREATE UNIQUE INDEX classes_key ON classes (source_id, sourced_id);
CREATE INDEX classes_by_school ON classes (school_id);
CREATE INDEX classes_by_course ON classes (course_id);
CREATE INDEX classes_course_dangling ON classes (source_id) WHERE course_id IS NULL AND course_ref IS NOT NULL;

CREATE TABLE class_terms (
    class_id BIGINT NOT NULL REFERENCES classes (id),
    position BIGINT NOT NULL,
    term_ref TEXT NOT NULL,
    term_id BIGINT REFERENCES academic_sessions (id),
    PRIMARY KEY (class_id, position)
) WITHOUT ROWID;
CREATE INDEX class_terms_by_term ON class_terms (term_id);
CREATE INDEX class_terms_dangling ON class_terms (class_id) WHERE term_id IS NULL;

CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id BIGINT NOT NULL REFERENCES sources (id),
    sourced_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    encoding INTEGER NOT NULL,
    modified_ms BIGINT,
    deleted_at_us BIGINT,
    delete_reason TEXT CHECK (delete_reason IN ('explicit', 'absent', 'cascade')),
    enabled_user BOOLEAN NOT NULL,
    username TEXT,
    given_name TEXT,
    family_name TEXT,
    middle_name TEXT,
    identifier TEXT,
    email TEXT,
    sms TEXT,
    phone TEXT,
    grades TEXT,
    user_master_identifier TEXT,
    preferred_given_name TEXT,
    preferred_middle_name TEXT,
    preferred_family_name TEXT,
    pronouns TEXT,
    metadata TEXT,
    primary_org_ref TEXT,
    primary_org_id BIGINT REFERENCES orgs (id)
);
CREATE UNIQUE INDEX users_key ON users (source_id, sourced_id);
CREATE INDEX users_by_primary_org ON users (primary_org_id) WHERE primary_org_id IS NOT NULL;
CREATE INDEX users_primary_org_dangling ON users (source_id) WHERE primary_org_id IS NULL AND primary_org_ref IS NOT NULL;

CREATE TABLE user_roles (
    user_id BIGINT NOT NULL REFERENCES users (id),
    position BIGINT NOT NULL,
    role TEXT NOT NULL,
    role_type TEXT NOT NULL,
    begin_date TEXT,
    end_date TEXT,
    user_profile TEXT,
    -- The source's own id of the role.
    sourced_id TEXT,
    org_ref TEXT,
    org_id BIGINT REFERENCES orgs (id),
    PRIMARY KEY (user_id, position)
) WITHOUT ROWID;
CREATE INDEX user_roles_by_org ON user_roles (org_id);
CREATE INDEX user_roles_org_dangling ON user_roles (user_id) WHERE org_id IS NULL AND org_ref IS NOT NULL;

CREATE TABLE user_agents (
    user_id BIGINT NOT NULL REFERENCES users (id),
    position BIGINT NOT NULL,
    agent_ref TEXT NOT NULL,
    agent_id BIGINT REFERENCES users (id),
    PRIMARY KEY (user_id, position)
) WITHOUT ROWID;
CREATE INDEX user_agents_by_agent ON user_agents (agent_id);
CREATE INDEX user_agents_dangling ON user_agents (user_id) WHERE agent_id IS NULL;

-- An enrollment's and a demographics record's source is its user's: a key of their own would be checked a million times.
CREATE TABLE enrollments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id BIGINT NOT NULL,
    sourced_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    encoding INTEGER NOT NULL,
    modified_ms BIGINT,
    deleted_at_us BIGINT,
    delete_reason TEXT CHECK (delete_reason IN ('explicit', 'absent', 'cascade')),
    role TEXT NOT NULL,
    is_primary BOOLEAN,
    begin_date TEXT,
    end_date TEXT,
    metadata TEXT,
    -- The school as the source states it. What counts is the class's.
    school_ref TEXT,
    class_id BIGINT NOT NULL REFERENCES classes (id),
    user_id BIGINT NOT NULL REFERENCES users (id)
);
CREATE UNIQUE INDEX enrollments_key ON enrollments (source_id, sourced_id);
CREATE INDEX enrollments_by_class ON enrollments (class_id);
CREATE INDEX enrollments_by_user ON enrollments (user_id);

CREATE TABLE demographics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id BIGINT NOT NULL,
    sourced_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    encoding INTEGER NOT NULL,
    modified_ms BIGINT,
    deleted_at_us BIGINT,
    delete_reason TEXT CHECK (delete_reason IN ('explicit', 'absent', 'cascade')),
    birth_date TEXT,
    sex TEXT,
    american_indian_or_alaska_native BOOLEAN,
    asian BOOLEAN,
    black_or_african_american BOOLEAN,
    native_hawaiian_or_other_pacific_islander BOOLEAN,
    white BOOLEAN,
    demographic_race_two_or_more_races BOOLEAN,
    hispanic_or_latino_ethnicity BOOLEAN,
    country_of_birth_code TEXT,
    state_of_birth_abbreviation TEXT,
    city_of_birth TEXT,
    public_school_residence_status TEXT,
    metadata TEXT,
    user_id BIGINT NOT NULL REFERENCES users (id)
);
CREATE UNIQUE INDEX demographics_by_user ON demographics (user_id);
CREATE UNIQUE INDEX demographics_key ON demographics (source_id, sourced_id);

-- Ids in other systems, of records of every kind.
CREATE TABLE external_ids (
    kind TEXT NOT NULL,
    record_id BIGINT NOT NULL,
    scheme TEXT NOT NULL,
    value TEXT NOT NULL,
    source_id BIGINT NOT NULL REFERENCES sources (id),
    PRIMARY KEY (kind, record_id, scheme, value)
) WITHOUT ROWID;
CREATE INDEX external_ids_by_value ON external_ids (source_id, scheme, value);
