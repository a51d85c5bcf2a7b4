//! What Clever sends, as it sends it.
//!
//! An optional value is absent, null or blank, which is all the same here. A number or a boolean where a text is expected is
//! that text, and what is neither is as good as absent. Fields that are not read are not named.

#![expect(clippy::struct_field_names, reason = "the names are Clever's")]

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use rollcall_domain::{SourcedId, Text};
use secrecy::SecretString;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A page of a list. `data` has to be there: an answer without it says nothing about what exists.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) data: Vec<Item>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) links: Vec<Link>,
    /// How many objects the whole list has. No document says that it comes: one that is no number is as good as none.
    #[serde(default)]
    count: Option<Value>,
}

impl Page {
    pub(crate) fn count(&self) -> Option<u64> {
        self.count.as_ref().and_then(Value::as_u64)
    }
}

/// One object of a list. Which fields it has is looked at later, so that one odd object spoils no page.
#[derive(Debug, Deserialize)]
pub(crate) struct Item {
    pub(crate) data: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Link {
    pub(crate) rel: String,
    pub(crate) uri: String,
}

/// The answer to a request for one object.
#[derive(Debug, Deserialize)]
pub(crate) struct Single<T> {
    pub(crate) data: T,
}

// -- tokens -----------------------------------------------------------------------------------------------------------

#[derive(Debug, Deserialize)]
pub(crate) struct TokenPage {
    pub(crate) data: Vec<TokenRow>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) links: Vec<Link>,
}

/// A district that the application is connected to.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenRow {
    pub(crate) owner: Owner,
    pub(crate) access_token: SecretString,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) scopes: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Owner {
    #[serde(rename = "type", default)]
    pub(crate) owner_type: Option<String>,
    pub(crate) id: String,
}

/// What a token is good for.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenInfo {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) scopes: Vec<String>,
}

// -- events -----------------------------------------------------------------------------------------------------------

/// An event. What it is about lies in its `data`.
#[derive(Debug, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    pub(crate) data: EventData,
    /// Where the specification has it; on the wire it is beside the object.
    #[serde(default)]
    pub(crate) previous_attributes: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct EventData {
    pub(crate) object: Box<RawValue>,
    #[serde(default)]
    pub(crate) previous_attributes: Option<Box<RawValue>>,
}

/// The id of any object.
#[derive(Debug, Deserialize)]
pub(crate) struct Identified {
    #[serde(default)]
    pub(crate) id: Str,
}

/// What a section was before it changed, by the names of the fields that changed.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct PreviousSection(BTreeMap<String, Str>);

impl PreviousSection {
    /// The course that it was about, if it was about another one.
    pub(crate) fn course(&self) -> Option<SourcedId> {
        self.0.get("course").and_then(Str::id)
    }

    /// Whether it may have come to another course or another term.
    pub(crate) fn may_have_moved(&self) -> bool {
        let is_told = ["course", "term_id"].iter().any(|field| self.0.contains_key(*field));
        is_told || self.0.keys().all(|field| field == "last_modified")
    }
}

/// Whose contact a user was before.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PreviousUser {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) roles: PreviousRoles,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct PreviousRoles {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) contact: PreviousContact,
    /// Something of what the user was as a student.
    #[serde(default)]
    pub(crate) student: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct PreviousContact {
    /// All of them, if any of them changed.
    #[serde(default)]
    pub(crate) student_relationships: Option<Vec<Relationship>>,
}

// -- the district's data ------------------------------------------------------------------------------------------------

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(crate) struct District {
    pub(crate) id: Str,
    pub(crate) name: Str,
    pub(crate) sis_type: Str,
    pub(crate) state: Str,
    pub(crate) error: Str,
    pub(crate) last_sync: Str,
    pub(crate) pause_end: Str,
    pub(crate) mdr_number: Str,
    pub(crate) nces_id: Str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct School {
    pub(crate) id: Str,
    pub(crate) name: Str,
    pub(crate) school_number: Str,
    pub(crate) sis_id: Str,
    pub(crate) state_id: Str,
    pub(crate) nces_id: Str,
    pub(crate) mdr_number: Str,
    pub(crate) phone: Str,
    pub(crate) low_grade: Str,
    pub(crate) high_grade: Str,
    #[serde(deserialize_with = "or_default")]
    pub(crate) principal: Principal,
    #[serde(deserialize_with = "or_default")]
    pub(crate) location: Location,
    pub(crate) ext: Ext,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Principal {
    pub(crate) name: Str,
    pub(crate) email: Str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Location {
    pub(crate) address: Str,
    pub(crate) city: Str,
    pub(crate) state: Str,
    pub(crate) zip: Str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Term {
    pub(crate) id: Str,
    pub(crate) name: Str,
    pub(crate) start_date: Str,
    pub(crate) end_date: Str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Course {
    pub(crate) id: Str,
    pub(crate) name: Str,
    pub(crate) number: Str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Section {
    pub(crate) id: Str,
    pub(crate) school: Str,
    pub(crate) name: Str,
    pub(crate) sis_id: Str,
    pub(crate) section_number: Str,
    pub(crate) period: Str,
    pub(crate) grade: Str,
    pub(crate) subject: Str,
    pub(crate) course: Str,
    pub(crate) term_id: Str,
    pub(crate) teacher: LoneId,
    pub(crate) teachers: Ids,
    pub(crate) students: Ids,
    pub(crate) ext: Ext,
}

/// Who is in a section and what it is about, whatever else is wrong with it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Members {
    pub(crate) id: Str,
    pub(crate) course: Str,
    pub(crate) teacher: LoneId,
    pub(crate) teachers: Ids,
    pub(crate) students: Ids,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct User {
    pub(crate) id: Str,
    pub(crate) email: Str,
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: Name,
    pub(crate) roles: Roles,
}

/// Whose contact a user is, whatever else is wrong with them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Contacting {
    pub(crate) id: Str,
    pub(crate) roles: Roles,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Name {
    pub(crate) first: Str,
    pub(crate) middle: Str,
    pub(crate) last: Str,
}

/// The roles of a user, by name. At most one of each.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    pub(crate) student: Option<Box<Student>>,
    pub(crate) teacher: Option<Box<Teacher>>,
    pub(crate) staff: Option<Box<Staff>>,
    pub(crate) district_admin: Option<Box<DistrictAdmin>>,
    pub(crate) contact: Option<Box<Contact>>,
    /// Roles that Clever added later, with the schools that they name.
    pub(crate) others: Vec<(String, OtherRole)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Student {
    pub(crate) school: Str,
    pub(crate) schools: Ids,
    #[serde(deserialize_with = "or_default")]
    pub(crate) enrollments: Vec<SchoolEnrollment>,
    pub(crate) sis_id: Str,
    pub(crate) student_number: Str,
    pub(crate) state_id: Str,
    pub(crate) dob: Str,
    pub(crate) gender: Str,
    pub(crate) grade: Str,
    pub(crate) graduation_year: Str,
    pub(crate) race: Str,
    pub(crate) hispanic_ethnicity: Str,
    pub(crate) ell_status: Str,
    pub(crate) frl_status: Str,
    pub(crate) gifted_status: Str,
    pub(crate) section_504_status: Str,
    pub(crate) iep_status: Str,
    #[serde(deserialize_with = "or_default")]
    pub(crate) disability: Disability,
    pub(crate) home_language: Str,
    pub(crate) home_language_code: Str,
    #[serde(deserialize_with = "or_default")]
    pub(crate) preferred_name: Name,
    pub(crate) legacy_id: Str,
    #[serde(deserialize_with = "or_default")]
    pub(crate) credentials: Credentials,
    pub(crate) ext: Ext,
}

/// A student's time at a school.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SchoolEnrollment {
    pub(crate) school: Str,
    pub(crate) start_date: Str,
    pub(crate) end_date: Str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Disability {
    pub(crate) disability_status: Str,
    pub(crate) disability_type: Str,
    pub(crate) disability_code: Str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Credentials {
    pub(crate) district_username: Str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Teacher {
    pub(crate) legacy_id: Str,
    pub(crate) school: Str,
    pub(crate) schools: Ids,
    pub(crate) sis_id: Str,
    pub(crate) teacher_number: Str,
    pub(crate) state_id: Str,
    pub(crate) title: Str,
    #[serde(deserialize_with = "or_default")]
    pub(crate) credentials: Credentials,
    pub(crate) ext: Ext,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Staff {
    pub(crate) legacy_id: Str,
    pub(crate) staff_id: Str,
    pub(crate) schools: Ids,
    pub(crate) department: Str,
    pub(crate) title: Str,
    #[serde(deserialize_with = "or_default")]
    pub(crate) credentials: Credentials,
    pub(crate) ext: Ext,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DistrictAdmin {
    pub(crate) legacy_id: Str,
    pub(crate) title: Str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Contact {
    pub(crate) phone: Str,
    pub(crate) phone_type: Str,
    pub(crate) sis_id: Str,
    pub(crate) legacy_id: Str,
    #[serde(deserialize_with = "or_default")]
    pub(crate) student_relationships: Vec<Relationship>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Relationship {
    pub(crate) student: Str,
    pub(crate) relationship: Str,
    #[serde(rename = "type")]
    pub(crate) relationship_type: Str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OtherRole {
    pub(crate) schools: Ids,
}

// -- lenient values -----------------------------------------------------------------------------------------------------

/// A text, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Str(pub(crate) Option<Text>);

impl Str {
    pub(crate) fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(crate) fn get(&self) -> Option<Text> {
        self.0.clone()
    }

    /// The text as an id. A text is never blank here.
    pub(crate) fn id(&self) -> Option<SourcedId> {
        self.as_deref().and_then(|id| SourcedId::new(id).ok())
    }
}

impl<'de> Deserialize<'de> for Str {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrVisitor)
    }
}

struct StrVisitor;

impl<'de> Visitor<'de> for StrVisitor {
    type Value = Str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Str, E> {
        let text = text.trim();
        Ok(Str((!text.is_empty()).then(|| Text::new(text))))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Str, E> {
        Ok(Str(Some(Text::const_new(if flag { "Y" } else { "N" }))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Str, E> {
        Ok(Str(Some(Text::new(number.to_string()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Str, E> {
        Ok(Str(Some(Text::new(number.to_string()))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Str, E> {
        Ok(Str(Some(Text::new(number.to_string()))))
    }

    fn visit_unit<E>(self) -> Result<Str, E> {
        Ok(Str(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Str, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Str(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Str, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Str(None))
    }
}

/// Reads an object or a list that may be null or blank.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    struct OrDefault<T>(PhantomData<T>);

    impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for OrDefault<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object or a list")
        }

        fn visit_unit<E>(self) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            if text.trim().is_empty() {
                Ok(T::default())
            } else {
                Err(E::invalid_type(Unexpected::Other("text"), &self))
            }
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
            T::deserialize(SeqAccessDeserializer::new(seq))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(OrDefault(PhantomData))
}

/// A list of ids, which may be missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ids {
    pub(crate) ids: Vec<SourcedId>,
    /// How many of its entries are no ids. Somebody was meant by each, and nobody knows who.
    pub(crate) odd: usize,
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries: Vec<Str> = or_default(deserializer)?;
        let ids: Vec<_> = entries.iter().filter_map(Str::id).collect();
        Ok(Self { odd: entries.len() - ids.len(), ids })
    }
}

/// An id that stands alone, which may be missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoneId {
    text: Str,
    /// Something is there, and it is no id.
    pub(crate) is_odd: bool,
}

impl LoneId {
    pub(crate) fn id(&self) -> Option<SourcedId> {
        self.text.id()
    }
}

impl<'de> Deserialize<'de> for LoneId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let is_odd = value.is_array() || value.is_object();
        Ok(Self { text: Str::deserialize(value).map_err(Error::custom)?, is_odd })
    }
}

/// A district's own columns: any JSON, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ext(pub(crate) BTreeMap<String, Text>);

impl<'de> Deserialize<'de> for Ext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Value::Object(fields) = Value::deserialize(deserializer)? else { return Ok(Self::default()) };
        let text = |value: Value| match value {
            Value::Null => None,
            Value::String(text) => (!text.trim().is_empty()).then(|| Text::new(text.trim())),
            other => Some(Text::new(other.to_string())),
        };
        Ok(Self(fields.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()))
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RolesVisitor;

        impl<'de> Visitor<'de> for RolesVisitor {
            type Value = Roles;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("roles by their names")
            }

            fn visit_unit<E>(self) -> Result<Roles, E> {
                Ok(Roles::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Roles, A::Error> {
                let mut roles = Roles::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "student" => roles.student = map.next_value()?,
                        "teacher" => roles.teacher = map.next_value()?,
                        "staff" => roles.staff = map.next_value()?,
                        "district_admin" => roles.district_admin = map.next_value()?,
                        "contact" => roles.contact = map.next_value()?,
                        _ => {
                            // Whatever it holds, it is no reason to lose the user.
                            let value: Value = map.next_value()?;
                            if !value.is_null() {
                                roles.others.push((name, OtherRole::deserialize(value).unwrap_or_default()));
                            }
                        }
                    }
                }
                roles.others.sort_by(|one, other| one.0.cmp(&other.0));
                Ok(roles)
            }
        }

        deserializer.deserialize_any(RolesVisitor)
    }
}
