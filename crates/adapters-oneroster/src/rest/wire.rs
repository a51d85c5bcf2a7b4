//! One object of a response, read without copying what need not be copied.
//!
//! Real servers write `"true"`, `true` and `1`, `"2027"` and `2027`, a list as a text, a reference without its `type`, and
//! leave out what they do not have. All of that is read. What cannot be a value at all is noted, never taken as blank
//! without a word. Keys that nobody asks for, `password` above all, are skipped and become part of no value.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use rollcall_domain::Text;
use rollcall_domain::entities::{ExternalId, Metadata};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::csv::table::{Column, Table, Version};
use crate::mapping::fields::Cells;
use crate::mapping::value;

/// The name of a column in JSON.
pub(crate) const fn json_name(column: Column) -> &'static str {
    match column {
        Column::ParentSourcedId => "parent",
        Column::SchoolYearSourcedId => "schoolYear",
        Column::OrgSourcedId => "org",
        Column::CourseSourcedId => "course",
        Column::SchoolSourcedId => "school",
        Column::TermSourcedIds => "terms",
        Column::OrgSourcedIds => "orgs",
        Column::AgentSourcedIds => "agents",
        Column::PrimaryOrgSourcedId => "primaryOrg",
        Column::PreferredGivenName => "preferredFirstName",
        Column::PreferredFamilyName => "preferredLastName",
        Column::UserSourcedId => "user",
        Column::ClassSourcedId => "class",
        Column::UserProfileSourcedId => "userProfile",
        other => other.as_str(),
    }
}

/// Whether the column holds a list.
const fn is_list(column: Column) -> bool {
    matches!(
        column,
        Column::Grades
            | Column::Subjects
            | Column::SubjectCodes
            | Column::Periods
            | Column::TermSourcedIds
            | Column::OrgSourcedIds
            | Column::AgentSourcedIds
            | Column::UserIds
    )
}

/// Whether the JSON binding of some version lets an object go without the column, although the CSV binding asks for it.
const fn may_be_absent(column: Column) -> bool {
    matches!(column, Column::ClassType | Column::EnabledUser | Column::Username | Column::CourseSourcedId)
}

/// The columns of a table that are read, in the order of the newest version.
pub(crate) fn columns_read(table: Table, version: Version) -> impl Iterator<Item = Column> {
    let secret_or_unused = |column: &Column| matches!(column, Column::Password | Column::ResourceSourcedIds);
    table.columns(version).iter().copied().filter(move |column| !secret_or_unused(column))
}

type Names = HashMap<&'static str, Column>;

/// The names under which each table's columns are known: those of the JSON binding, and those of the CSV binding, which
/// some servers use in JSON too.
fn names_of(table: Table) -> &'static Names {
    static NAMES: LazyLock<[Names; Table::ALL.len()]> = LazyLock::new(|| {
        Table::ALL.map(|table| {
            let columns = || [Version::V1_1, Version::V1_2].into_iter().flat_map(move |v| columns_read(table, v));
            let mut names: Names = columns().map(|column| (column.as_str(), column)).collect();
            names.extend(columns().map(|column| (json_name(column), column)));
            names
        })
    });
    &NAMES[table as usize]
}

/// One thing that stands where a value should.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node<'j> {
    Blank,
    /// A text, number or boolean, or the `sourcedId` of a reference.
    Text(Cow<'j, str>),
    /// A `type` and an `identifier`, as in `userIds`.
    Pair(Cow<'j, str>, Cow<'j, str>),
    /// Something that is none of these.
    Odd,
}

impl Node<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value<'j> {
    One(Node<'j>),
    Many(Vec<Node<'j>>),
}

/// JSON as it came, with all that must not be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Json<'j>(pub(crate) &'j str);

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// One object of a response: what a row is to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object<'j> {
    values: Vec<(Column, Value<'j>)>,
    metadata: Metadata,
    /// The roles of a user of 1.2, each with its JSON.
    pub(crate) roles: Vec<(Self, Json<'j>)>,
    /// `roles` holds something that is no object.
    pub(crate) has_odd_role: bool,
}

impl<'j> Object<'j> {
    /// Reads an object of a collection.
    pub(crate) fn read(table: Table, json: &'j str) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        ObjectSeed(table).deserialize(&mut deserializer)
    }

    fn value(&self, column: Column) -> Option<&Value<'j>> {
        self.values.iter().find(|(known, _)| *known == column).map(|(_, value)| value)
    }

    /// The columns whose value is of a JSON type that cannot be one.
    pub(crate) fn odd(&self) -> impl Iterator<Item = Column> {
        self.values
            .iter()
            .filter(|(column, value)| match value {
                Value::One(Node::Pair(..)) => *column != Column::UserIds,
                Value::One(node) => *node == Node::Odd,
                Value::Many(nodes) => {
                    let is_odd = |node: &Node<'_>| match node {
                        Node::Odd => true,
                        Node::Pair(..) => *column != Column::UserIds,
                        Node::Blank | Node::Text(_) => false,
                    };
                    nodes.iter().any(is_odd) || (!is_list(*column) && nodes.len() > 1)
                }
            })
            .map(|(column, _)| *column)
    }
}

impl<'a> Cells<'a> for &'a Object<'_> {
    fn untrimmed(self, column: Column) -> &'a str {
        match self.value(column) {
            Some(Value::One(node)) => node.text(),
            Some(Value::Many(nodes)) if nodes.len() == 1 => nodes[0].text(),
            _ => "",
        }
    }

    /// Where an object may go without a key, its absence says nothing.
    fn has(self, column: Column) -> bool {
        self.value(column).is_some() || !may_be_absent(column)
    }

    fn each_item(self, column: Column, mut visit: impl FnMut(&'a str)) -> bool {
        match self.value(column) {
            None => true,
            // Some servers write a list as the CSV binding does.
            Some(Value::One(node)) => value::each_item(node.text().trim(), visit),
            Some(Value::Many(nodes)) => {
                for item in nodes.iter().map(|node| node.text().trim()).filter(|item| !item.is_empty()) {
                    visit(item);
                }
                !nodes.contains(&Node::Blank)
            }
        }
    }

    fn user_ids(self, column: Column, ids: &mut Vec<ExternalId>) -> bool {
        let mut take = |node: &Node<'_>| match node {
            Node::Text(text) => value::user_ids(text.trim(), ids),
            Node::Pair(scheme, value) => {
                let (scheme, value) = (scheme.trim(), value.trim());
                if !value.is_empty() {
                    ids.push(ExternalId { scheme: Text::new(scheme), value: Text::new(value) });
                }
                !scheme.is_empty() && !value.is_empty()
            }
            // Noted as odd.
            Node::Blank | Node::Odd => true,
        };
        match self.value(column) {
            None => true,
            Some(Value::One(node)) => take(node),
            Some(Value::Many(nodes)) => {
                let mut exact = true;
                for node in nodes {
                    exact &= take(node);
                }
                exact
            }
        }
    }

    fn metadata(self) -> Metadata {
        self.metadata.clone()
    }

    fn name(column: Column) -> &'static str {
        json_name(column)
    }
}

/// A text that is borrowed where the JSON has no escapes in it.
#[derive(Deserialize)]
struct Str<'j>(#[serde(borrow)] Cow<'j, str>);

struct ObjectSeed(Table);

impl<'j> DeserializeSeed<'j> for ObjectSeed {
    type Value = Object<'j>;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'j> Visitor<'j> for ObjectSeed {
    type Value = Object<'j>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let names = names_of(self.0);
        let mut object = Object {
            values: Vec::with_capacity(16),
            metadata: Metadata::new(),
            roles: Vec::new(),
            has_odd_role: false,
        };
        while let Some(Str(key)) = map.next_key()? {
            match (self.0, &*key) {
                (_, "metadata") => map.next_value_seed(MetadataSeed { path: "", into: &mut object.metadata })?,
                (Table::Users, "roles") => {
                    let Roles(roles) = map.next_value()?;
                    for role in roles {
                        match role {
                            Some(role) => object.roles.push((Self(Table::Roles).read(role)?, Json(role.get()))),
                            None => object.has_odd_role = true,
                        }
                    }
                }
                _ => match names.get(&*key) {
                    Some(&Column::UserProfileSourcedId) => {
                        let value = map.next_value_seed(ValueSeed)?;
                        object.values.push((Column::UserProfileSourcedId, without_address(value)));
                    }
                    Some(&column) => object.values.push((column, map.next_value_seed(ValueSeed)?)),
                    None => {
                        map.next_value::<IgnoredAny>()?;
                    }
                },
            }
        }
        Ok(object)
    }
}

impl ObjectSeed {
    fn read<E: Error>(self, raw: &RawValue) -> Result<Object<'_>, E> {
        Object::read(self.0, raw.get()).map_err(E::custom)
    }
}

/// The id at the end of a profile's address: the CSV binding gives the id alone.
fn without_address(value: Value<'_>) -> Value<'_> {
    match value {
        Value::One(Node::Text(text)) if text.contains("://") => {
            let id = text.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
            Value::One(Node::Text(Cow::Owned(id)))
        }
        other => other,
    }
}

/// The roles of a user; `None` for what is no object. A missing list, `null`, is an empty one.
struct Roles<'j>(Vec<Option<&'j RawValue>>);

impl<'j> Deserialize<'j> for Roles<'j> {
    fn deserialize<D: Deserializer<'j>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'j RawValue>::deserialize(deserializer)?;
        let is_object = |raw: &&RawValue| raw.get().starts_with('{');
        Ok(Self(match raw.get().as_bytes().first() {
            Some(b'[') => serde_json::from_str::<Vec<&'j RawValue>>(raw.get())
                .map_err(Error::custom)?
                .into_iter()
                .map(|role| Some(role).filter(is_object))
                .collect(),
            Some(b'{') => vec![Some(raw)],
            _ if matches!(raw.get(), "null" | "\"\"") => Vec::new(),
            _ => vec![None],
        }))
    }
}

struct ValueSeed;

impl<'j> DeserializeSeed<'j> for ValueSeed {
    type Value = Value<'j>;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The visits of a plain value, which a list and an item of it have in common.
macro_rules! visit_scalars {
    ($wrap:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value")
        }

        fn visit_borrowed_str<E: Error>(self, text: &'j str) -> Result<Self::Value, E> {
            Ok($wrap(Node::Text(Cow::Borrowed(text))))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok($wrap(Node::Text(Cow::Owned(text.to_owned()))))
        }

        fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
            Ok($wrap(Node::Text(Cow::Borrowed(if flag { "true" } else { "false" }))))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok($wrap(Node::Text(Cow::Owned(number.to_string()))))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok($wrap(Node::Text(Cow::Owned(number.to_string()))))
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
            Ok($wrap(Node::Text(Cow::Owned(number.to_string()))))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok($wrap(Node::Blank))
        }

        fn visit_map<A: MapAccess<'j>>(self, map: A) -> Result<Self::Value, A::Error> {
            node_of_map(map).map($wrap)
        }
    };
}

impl<'j> Visitor<'j> for ValueSeed {
    type Value = Value<'j>;

    visit_scalars!(Value::One);

    fn visit_seq<A: SeqAccess<'j>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element_seed(NodeSeed)? {
            nodes.push(node);
        }
        Ok(Value::Many(nodes))
    }
}

struct NodeSeed;

impl<'j> DeserializeSeed<'j> for NodeSeed {
    type Value = Node<'j>;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'j> Visitor<'j> for NodeSeed {
    type Value = Node<'j>;

    visit_scalars!(std::convert::identity);

    fn visit_seq<A: SeqAccess<'j>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node::Odd)
    }
}

/// A reference, by its `sourcedId`, or an item of `userIds`. The `type` of a reference decides nothing.
fn node_of_map<'j, A: MapAccess<'j>>(mut map: A) -> Result<Node<'j>, A::Error> {
    let (mut id, mut scheme, mut identifier) = (None, None, None);
    let mut is_empty = true;
    while let Some(Str(key)) = map.next_key()? {
        is_empty = false;
        let place = match &*key {
            "sourcedId" => &mut id,
            "type" => &mut scheme,
            "identifier" => &mut identifier,
            _ => {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
        };
        *place = match map.next_value_seed(NodeSeed)? {
            Node::Text(text) => Some(text),
            _ => None,
        };
    }
    Ok(match (id, identifier) {
        (Some(id), _) => Node::Text(id),
        (None, Some(identifier)) => Node::Pair(scheme.unwrap_or_default(), identifier),
        (None, None) if is_empty => Node::Blank,
        (None, None) => Node::Odd,
    })
}

/// Reads extension fields. What is nested is named by its path, as the columns `metadata.jp.kana` of the CSV binding are.
struct MetadataSeed<'p, 'm> {
    path: &'p str,
    into: &'m mut Metadata,
}

impl MetadataSeed<'_, '_> {
    fn put(self, value: &str) {
        let value = value.trim();
        if !self.path.is_empty() && !value.is_empty() {
            self.into.insert(Text::new(self.path), Text::new(value));
        }
    }
}

impl<'j> DeserializeSeed<'j> for MetadataSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'j> Visitor<'j> for MetadataSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("extension fields")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.put(text);
        Ok(())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.put(if flag { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.put(&number.to_string());
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.put(&number.to_string());
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.put(&number.to_string());
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(NodeSeed)? {
            let text = item.text().trim();
            if !text.is_empty() {
                items.push(text.to_owned());
            }
        }
        self.put(&items.join(","));
        Ok(())
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Str(key)) = map.next_key()? {
            if Column::is_secret(&key) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let nested = if self.path.is_empty() { key.into_owned() } else { format!("{}.{key}", self.path) };
            map.next_value_seed(MetadataSeed { path: &nested, into: &mut *self.into })?;
        }
        Ok(())
    }
}

/// A record as the server sent it, for a person to look at. Passwords and credentials are left out (R11): what a key of
/// that name holds is never read.
pub(crate) fn quoted(json: &str) -> Option<serde_json::Value> {
    QuoteSeed.deserialize(&mut serde_json::Deserializer::from_str(json)).ok()
}

fn holds_secrets(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    Column::is_secret(&key) || key.contains("credential") || key.contains("secret") || key == "userprofiles"
}

struct QuoteSeed;

impl<'j> DeserializeSeed<'j> for QuoteSeed {
    type Value = serde_json::Value;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'j> Visitor<'j> for QuoteSeed {
    type Value = serde_json::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.into())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(number.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(serde_json::Value::Null)
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Self)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if holds_secrets(&key) {
                map.next_value::<IgnoredAny>()?;
            } else {
                object.insert(key, map.next_value_seed(Self)?);
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(json: &str) -> Object<'_> {
        Object::read(Table::Users, json).unwrap()
    }

    #[test]
    fn values_are_read_in_all_the_types_in_which_they_are_seen() {
        let object = user(
            r#"{"sourcedId": 17, "enabledUser": true, "identifier": null, "email": "a\u0040b", "sms": ["1"],
                "grades": "09, 10", "agents": [{"sourcedId": "x", "type": "nonsense"}, "y", null],
                "orgs": {"sourcedId": 5}, "givenName": {"first": "A"}, "role": ["a", "b"], "children": [[{}]]}"#,
        );
        let get = |column| (&object).untrimmed(column);
        assert_eq!(get(Column::SourcedId), "17");
        assert_eq!(get(Column::EnabledUser), "true");
        assert_eq!(get(Column::Identifier), "");
        assert_eq!(get(Column::Email), "a@b");
        assert_eq!(get(Column::Sms), "1");
        let list = |column| {
            let mut items = Vec::new();
            let exact = (&object).each_item(column, |item| items.push(item));
            (items.join(" "), exact)
        };
        assert_eq!(list(Column::Grades), ("09 10".to_owned(), false));
        assert_eq!(list(Column::AgentSourcedIds), ("x y".to_owned(), false));
        assert_eq!(list(Column::OrgSourcedIds), ("5".to_owned(), true));
        assert_eq!(object.odd().collect::<Vec<_>>(), [Column::GivenName, Column::Role]);
    }

    #[test]
    fn user_ids_are_objects_and_texts_too() {
        let read = |json: &str| {
            let object = user(json);
            let mut ids = Vec::new();
            let exact = (&object).user_ids(Column::UserIds, &mut ids);
            let ids: Vec<_> = ids.iter().map(|id| format!("{}={}", id.scheme, id.value)).collect();
            (ids.join(" "), exact)
        };
        assert_eq!(read(r#"{"userIds": [{"type": "LDAP", "identifier": 7}]}"#), ("LDAP=7".to_owned(), true));
        assert_eq!(read(r#"{"userIds": [{"identifier": "7"}, "8"]}"#), ("=7 =8".to_owned(), false));
        assert_eq!(read(r#"{"userIds": "{LDAP:x},{LTI:y}"}"#), ("LDAP=x LTI=y".to_owned(), true));
        assert_eq!(read(r#"{"userIds": null}"#), (String::new(), true));
    }

    #[test]
    fn extension_fields_are_named_by_their_path() {
        let object =
            user(r#"{"metadata": {"jp": {"kana": " タロウ ", "no": 1, "none": ""}, "tags": ["a", 2], "x": null}}"#);
        let metadata: Vec<_> = object.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(metadata, ["jp.kana=タロウ", "jp.no=1", "tags=a,2"]);
    }

    #[test]
    fn r11_no_password_becomes_part_of_a_value() {
        let json = r#"{"sourcedId": "u", "password": "hunter2", "metadata": {"sis": {"userPassword": "hunter2"}},
            "userProfiles": [{"credentials": [{"password": "hunter2"}]}], "roles": [{"role": "student", "password": "hunter2"}]}"#;
        assert!(!format!("{:?}", user(json)).contains("hunter2"));
        assert!(!quoted(json).unwrap().to_string().contains("hunter2"));
    }

    #[test]
    fn roles_are_objects_of_their_own_and_what_is_none_is_noted() {
        let object =
            user(r#"{"roles": [{"role": "student", "org": {"sourcedId": "s1"}, "userProfile": "https://h/p/p1"}, 7]}"#);
        assert_eq!((&object.roles[0].0).untrimmed(Column::OrgSourcedId), "s1");
        assert_eq!((&object.roles[0].0).untrimmed(Column::UserProfileSourcedId), "p1");
        assert!(object.has_odd_role);
        assert!(user(r#"{"roles": null}"#).roles.is_empty());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["7", "[]", "\"x\"", "{\"a\":", r#"{"givenName": "\ud800"}"#] {
            assert!(Object::read(Table::Users, json).is_err(), "{json}");
        }
    }
}
