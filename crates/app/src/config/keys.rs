//! The keys of a table, handed out group by group.
//!
//! What a source can be told comes from several structs: what all sources share, what all sources over HTTP share, and what
//! is its kind's own. Serde can flatten structs into one table, but then it loses both the place of a mistake and the
//! refusal of unknown keys.

use std::fmt;
use std::ops::Range;

use serde::de::value::Error as NotFields;
use serde::de::{Deserialize, Deserializer, Error as _, IntoDeserializer as _, Visitor};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, closest, nearest};

/// The keys of a table that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Keys<'t> {
    span: Range<usize>,
    left: DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Keys<'t> {
    /// The keys of a table. `expected` says what to write where it is none.
    pub(super) fn of(table: Spanned<DeValue<'t>>, expected: &str) -> Result<Self, Mistake> {
        let span = table.span();
        match table.into_inner() {
            DeValue::Table(left) => Ok(Self { span, left, known: Vec::new() }),
            _ => Err(Mistake::at(span, expected)),
        }
    }

    /// Where the table stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The place of a key that is there.
    pub(super) fn place_of(&self, key: &str) -> Option<Range<usize>> {
        self.left.get_key_value(key).map(|(key, _)| key.span())
    }

    /// Takes a key whose value is one of a few words that decide what the other keys are, each with what it stands for.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        what: &str,
        choices: &[(&'static str, T)],
    ) -> Result<(&'static str, T), Mistake> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let value = self
            .value(key)
            .ok_or_else(|| Mistake::at(self.span(), format!("{what} needs a `{key}`; {}", nearest("", &words))))?;
        let Some(word) = value.get_ref().as_str() else {
            return Err(Mistake::at(value.span(), format!("`{key}` is a text; {}", nearest("", &words))));
        };
        choices.iter().find(|(known, _)| *known == word).copied().ok_or_else(|| {
            Mistake::at(value.span(), format!("unknown {key} of {what} `{word}`; {}", nearest(word, &words)))
        })
    }

    /// Takes one key.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Spanned<DeValue<'t>>> {
        self.know_key(key);
        self.left.remove(key)
    }

    /// Takes the keys that are the fields of a struct.
    pub(super) fn take<T: Deserialize<'t>>(&mut self) -> Result<T, Mistake> {
        let fields = self.know::<T>();
        let mut taken = DeTable::new();
        for field in fields {
            if let Some((key, value)) = self.left.remove_entry(*field) {
                taken.insert(key, value);
            }
        }
        let absent: Vec<_> = fields.iter().copied().filter(|field| !taken.contains_key(*field)).collect();
        let table = Spanned::new(self.span(), DeValue::Table(taken));
        T::deserialize(table.into_deserializer()).map_err(|error| {
            // A key that is missing is mostly there, misspelt.
            let misspelt = self.left.keys().find(|key| closest(key.get_ref(), &absent).is_some());
            match misspelt {
                Some(key) if error.message().starts_with("missing field") => {
                    Mistake::unknown_key(key.span(), key.get_ref(), &absent)
                }
                _ => error.into(),
            }
        })
    }

    /// Says that the fields of a struct are known here, before they are taken.
    pub(super) fn know<T: Deserialize<'t>>(&mut self) -> &'static [&'static str] {
        let fields = fields_of::<T>();
        for field in fields {
            self.know_key(field);
        }
        fields
    }

    /// Says that a key is known here, before it is taken.
    pub(super) fn know_key(&mut self, key: &'static str) {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
    }

    /// Refuses what is not known here, so that a key is not called missing where it is misspelt. `elsewhere` may know
    /// where a key belongs.
    pub(super) fn refuse_unknown(&self, elsewhere: impl Fn(&str) -> Option<String>) -> Result<(), Mistake> {
        let is_known = |key: &str| self.known.contains(&key);
        let Some(key) = self.left.keys().find(|key| !is_known(key.get_ref())) else { return Ok(()) };
        Err(match elsewhere(key.get_ref()) {
            Some(message) => Mistake::at(key.span(), message),
            None => Mistake::unknown_key(key.span(), key.get_ref(), &self.known),
        })
    }

    /// Refuses what nobody has taken.
    pub(super) fn end(self) -> Result<(), Mistake> {
        match self.left.keys().next() {
            Some(key) => Err(Mistake::unknown_key(key.span(), key.get_ref(), &self.known)),
            None => Ok(()),
        }
    }
}

/// The names of a struct's fields as serde knows them; none if it is no struct.
pub(super) fn fields_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It always ends in an error: there is nothing to deserialise.
    let _: Result<T, NotFields> = T::deserialize(FieldNames(&mut fields));
    fields
}

/// A deserialiser that has no data and notes which fields it is asked for.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl fmt::Debug for FieldNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldNames")
    }
}

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = NotFields;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, NotFields> {
        *self.0 = fields;
        Err(NotFields::custom("there is no data"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, NotFields> {
        Err(NotFields::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
