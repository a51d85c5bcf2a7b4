//! Looks at a district without pulling from it: whether the credentials work, and what they show.

use rollcall_domain::Code;
use rollcall_domain::ports::{CheckReport, Problem};

use crate::client::{COUNTED, Client};
use crate::cursor::minted;
use crate::error::CleverError;
use crate::events::{self, Newest};
use crate::pull::Identity;
use crate::source::CleverSource;

/// The lists of a district's data.
pub(crate) const LISTS: [&str; 5] = ["schools", "terms", "courses", "sections", "users"];

/// How far the two clocks may be apart before it is worth a word, in seconds.
const SKEW: i64 = 120;

pub(crate) async fn check(source: &CleverSource) -> Result<CheckReport, CleverError> {
    let mut report = CheckReport::default();
    let mut fact = |name: &str, value: String| report.facts.push((name.to_owned(), value));
    let mut problems = Vec::new();
    let mut problem = |code: Code, message: String| problems.push(Problem { code, place: None, message });
    let config = source.config();
    fact("version", config.api_version.to_string());
    match source.access.preflight().await {
        Ok(Some(scopes)) => fact("scopes", scopes.join(" ")),
        Ok(None) => fact("scopes", "Clever does not say".to_owned()),
        // The rest would only fail, and say less about why.
        Err(error @ CleverError::LoginOnly { .. }) => {
            problem(Code::FileMissing, error.to_string());
            report.problems = problems;
            return Ok(report);
        }
        Err(error) => return Err(error),
    }
    let client = &source.client;
    let identity = Identity::ask(client, config.district.as_deref()).await?;
    fact("credentials", "accepted".to_owned());
    fact("district", format!("{} ({})", identity.name(), identity.id));
    let district = &identity.district;
    for (name, value) in [("state", &district.state), ("SIS", &district.sis_type), ("last sync", &district.last_sync)] {
        fact(name, value.as_deref().unwrap_or("Clever does not say").to_owned());
    }
    match identity.standstill() {
        Ok(None) => {}
        Ok(Some(note)) => problem(Code::FileMissing, note),
        Err(error) => problem(Code::FileMissing, error.to_string()),
    }
    for list in LISTS {
        fact(list, how_many(client, list).await?);
    }
    fact(
        "events",
        match events::newest(client).await? {
            Newest::Off => {
                "none; every pull reads everything. Events are switched on in the application's settings".to_owned()
            }
            Newest::None => "none that Clever remembers".to_owned(),
            Newest::Event(id) => {
                let when = minted(&id).map(|when| format!(", of {when}")).unwrap_or_default();
                format!("the newest is {id}{when}")
            }
        },
    );
    if let Some(date) = identity.date {
        let skew = date.duration_since(source.now()).as_secs();
        let relation = if skew < 0 { "behind" } else { "ahead" };
        fact("clock", format!("{} s {relation}", skew.abs()));
        if skew.abs() > SKEW {
            problem(
                Code::ValueConflict,
                format!(
                    "Clever's clock is {} s {relation} of this machine's; whether events are too old is told by the clock. Set \
                     this machine's clock",
                    skew.abs()
                ),
            );
        }
    }
    report.problems = problems;
    Ok(report)
}

/// How many objects a list has, as far as Clever says.
pub(crate) async fn how_many(client: &Client, list: &str) -> Result<String, CleverError> {
    let page = client.page(&client.session.url(list, &[("limit", "1"), COUNTED])).await;
    match page {
        Ok(page) => Ok(match (page.count, page.objects.is_empty()) {
            (Some(count), _) => count.to_string(),
            (None, true) => "none".to_owned(),
            (None, false) => "some".to_owned(),
        }),
        Err(CleverError::Http(error))
            if error.status().is_some_and(|status| matches!(status.as_u16(), 403 | 404 | 410)) =>
        {
            Ok(format!("not shared: {error}"))
        }
        Err(error) => Err(error),
    }
}
