//! Tells the formats of others that come in CSV files of the same or similar names, so that the refusal can name them.

/// The name and header of a file.
pub(crate) struct Signature<'a> {
    /// Without `.csv`, in lower case.
    pub(crate) name: &'a str,
    /// The columns in lower case.
    pub(crate) columns: &'a [String],
}

impl Signature<'_> {
    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }
}

/// The format of a package, if it is a known one that is not OneRoster.
pub(crate) fn recognise(files: &[Signature<'_>]) -> Option<&'static str> {
    let any = |name: &str, found: fn(&Signature<'_>) -> bool| files.iter().any(|file| file.name == name && found(file));
    // SDS v2 reuses OneRoster's file names and most of its column names. What it has instead of OneRoster's gives it
    // away: classes belong to an `orgSourcedId`, and enrollments and roles have no ids of their own.
    let is_sds_class = any("classes", |file| file.has("orgsourcedid") && !file.has("schoolsourcedid"));
    let is_sds_enrollment =
        any("enrollments", |file| file.has("classsourcedid") && file.has("usersourcedid") && !file.has("sourcedid"));
    if is_sds_class || is_sds_enrollment {
        let is_2_1 = any("classes", |file| file.has("sessionsourcedids"))
            || any("roles", |file| file.has("isprimary") || file.has("sessionsourcedid"))
            || files.iter().any(|file| matches!(file.name, "relationships" | "userflags"));
        return Some(if is_2_1 { "Microsoft School Data Sync v2.1" } else { "Microsoft School Data Sync v2" });
    }
    let is_sds_1 = |file: &Signature<'_>| file.has("sis id") || file.has("school sis id") || file.has("section sis id");
    if files.iter().any(|file| {
        matches!(file.name, "school" | "section" | "student" | "teacher" | "studentenrollment" | "teacherroster")
            && is_sds_1(file)
    }) {
        return Some("Microsoft School Data Sync v1");
    }
    let is_clever = |file: &Signature<'_>| {
        matches!(file.name, "schools" | "sections" | "students" | "teachers" | "enrollments" | "staff")
            && ["school_id", "section_id", "student_id", "teacher_id"].iter().filter(|id| file.has(id)).count() >= 1
            && !file.has("sourcedid")
            && !file.has("status")
    };
    if files.iter().any(is_clever) {
        return Some("Clever SIS");
    }
    let is_canvas = |file: &Signature<'_>| {
        (file.has("user_id") && (file.has("login_id") || file.has("section_id") || file.has("course_id")))
            || (file.has("course_id") && (file.has("short_name") || file.has("long_name") || file.has("section_id")))
            || (file.has("term_id") && file.has("name"))
            || (file.has("account_id") && file.has("parent_account_id"))
    };
    files.iter().any(is_canvas).then_some("Canvas SIS import")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format_of(files: &[(&str, &str)]) -> Option<&'static str> {
        let columns: Vec<Vec<String>> =
            files.iter().map(|(_, header)| header.split(',').map(str::to_ascii_lowercase).collect()).collect();
        let signatures: Vec<_> =
            files.iter().zip(&columns).map(|((name, _), columns)| Signature { name, columns }).collect();
        recognise(&signatures)
    }

    #[test]
    fn formats_of_others_are_told_by_their_headers() {
        for (files, format) in [
            (vec![("classes", "sourcedId,orgSourcedId,title")], "Microsoft School Data Sync v2"),
            (vec![("enrollments", "classSourcedId,userSourcedId,role")], "Microsoft School Data Sync v2"),
            (
                vec![
                    ("classes", "sourcedId,orgSourcedId,title,sessionSourcedIds,courseSourcedId"),
                    ("roles", "userSourcedId,orgSourcedId,role,sessionSourcedId,grade,isPrimary"),
                ],
                "Microsoft School Data Sync v2.1",
            ),
            (vec![("student", "SIS ID,School SIS ID,Username")], "Microsoft School Data Sync v1"),
            (vec![("students", "School_id,Student_id,Student_number,Last_name")], "Clever SIS"),
            (vec![("enrollments", "School_id,Section_id,Student_id")], "Clever SIS"),
            (vec![("users", "user_id,login_id,first_name,last_name,status")], "Canvas SIS import"),
            (vec![("enrollments", "course_id,user_id,role,section_id,status")], "Canvas SIS import"),
        ] {
            assert_eq!(format_of(&files), Some(format), "{files:?}");
        }
    }

    #[test]
    fn oneroster_of_any_version_is_not_mistaken_for_another_format() {
        for files in [
            vec![
                ("classes", "sourcedId,title,schoolSourcedId"),
                ("enrollments", "sourcedId,classSourcedId,userSourcedId"),
            ],
            vec![("users", "sourcedId,status,dateLastModified,orgSourcedIds,role,grade")],
            vec![("demographics", "userSourcedId,status,birthdate")],
        ] {
            assert_eq!(format_of(&files), None, "{files:?}");
        }
    }
}
