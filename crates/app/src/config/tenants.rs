//! Which tenants a source is about, where its vendor has many.

use toml::Spanned;
use toml::de::DeValue;

use super::keys::Keys;
use super::mistake::Mistake;

/// Which tenants a source is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tenants {
    /// That of the credentials, or none yet.
    Unsaid,
    /// This one.
    One(String),
    /// Every one that the credentials open: each is a source of its own.
    All,
}

/// The keys by which a source says which tenants it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct TenantKeys {
    /// One.
    pub(super) one: &'static str,
    /// All of them.
    pub(super) all: &'static str,
}

impl TenantKeys {
    /// Says that the keys are known, before they are taken.
    pub(super) fn make_known(self, keys: &mut Keys<'_>) {
        keys.know_key(self.one);
        keys.know_key(self.all);
    }
}

impl Tenants {
    /// Takes the keys. `alone` says what to do where the credentials open one tenant and no more.
    pub(super) fn take(
        keys: &mut Keys<'_>,
        TenantKeys { one, all }: TenantKeys,
        alone: Option<&str>,
    ) -> Result<Self, Mistake> {
        match (keys.value(one), keys.value(all)) {
            (None, None) => Ok(Self::Unsaid),
            (Some(named), None) => match text(named.get_ref()).map(str::trim) {
                Some("") => Err(Mistake::at(named.span(), format!("`{one}` is blank"))),
                Some(id) => Ok(Self::One(id.to_owned())),
                None => Err(Mistake::at(named.span(), format!("`{one}` is the id of one, as a text"))),
            },
            (None, Some(value)) if text(value.get_ref()) != Some("all") => {
                Err(Mistake::at(value.span(), format!("`{all}` is \"all\"; one {one} is `{one} = \"ID\"`")))
            }
            (None, Some(value)) => match alone {
                Some(message) => Err(Mistake::at(value.span(), message)),
                None => Ok(Self::All),
            },
            (Some(_), Some(value)) => {
                Err(Mistake::at(value.span(), format!("a source has `{one}` or `{all}`, not both")))
            }
        }
    }
}

/// An id: some vendors' are numbers, and people write them as such.
fn text<'v>(value: &'v DeValue<'_>) -> Option<&'v str> {
    match value {
        DeValue::String(text) => Some(text),
        DeValue::Integer(number) => Some(number.as_str()),
        _ => None,
    }
}

/// A text that says something.
pub(super) fn not_blank(key: &str, value: Spanned<String>) -> Result<String, Mistake> {
    if value.get_ref().trim().is_empty() {
        return Err(Mistake::at(value.span(), format!("`{key}` is blank")));
    }
    Ok(value.into_inner().trim().to_owned())
}
