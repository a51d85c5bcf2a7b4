//! Bearer tokens that somebody hands out for a while.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use rollcall_domain::ports::Clock;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use url::Url;

use crate::auth::{Authenticator, Authorization};
use crate::error::HttpError;

/// How long before its end a token is not used any more, at most: requests take time, and clocks differ.
const MARGIN: Duration = Duration::from_mins(1);

/// Where tokens come from.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// Gets a token that is valid now. Called for one caller at a time.
    async fn fetch(&self) -> Result<Token, HttpError>;
}

/// A bearer token. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token.
    pub value: SecretString,
    /// How long it is valid, if that was said.
    pub valid_for: Option<Duration>,
}

/// An [`Authenticator`] that carries a source's token: fetched when the first request needs it, once for all requests under
/// way, kept until shortly before its end, and fetched once more when a server refuses it.
pub struct TokenAuth<S> {
    source: S,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    generation: u64,
}

struct Held {
    value: SecretString,
    authorization: Authorization,
    until: Option<Timestamp>,
}

impl<S: TokenSource> TokenAuth<S> {
    /// Carries the tokens of a source.
    pub fn new(source: S, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, state: Mutex::default() }
    }

    /// Begins with a token that is at hand.
    pub fn starting_with(self, token: &Token) -> Result<Self, HttpError> {
        let mut state = State::default();
        self.keep(&mut state, token)?;
        Ok(Self { state: Mutex::new(state), ..self })
    }

    fn keep(&self, state: &mut State, token: &Token) -> Result<Authorization, HttpError> {
        let generation = state.generation + 1;
        let authorization = Authorization::bearer(&token.value)?.of_generation(generation);
        let until = token.valid_for.and_then(|valid| {
            let usable = valid.saturating_sub(MARGIN.min(valid / 10));
            // A time beyond what can be counted is no end.
            self.clock.now().checked_add(SignedDuration::try_from(usable).ok()?).ok()
        });
        *state = State {
            held: Some(Held { value: token.value.clone(), authorization: authorization.clone(), until }),
            generation,
        };
        Ok(authorization)
    }
}

#[async_trait]
impl<S: TokenSource> Authenticator for TokenAuth<S> {
    async fn authorize(&self, _method: &Method, _url: &Url) -> Result<Authorization, HttpError> {
        // Whoever comes while a token is fetched waits here, and finds it.
        let mut state = self.state.lock().await;
        if let Some(held) = &state.held
            && held.until.is_none_or(|until| self.clock.now() < until)
        {
            return Ok(held.authorization.clone());
        }
        let token = self.source.fetch().await?;
        self.keep(&mut state, &token)
    }

    async fn renew(&self, refused: &Authorization) -> Result<bool, HttpError> {
        let mut state = self.state.lock().await;
        if state.generation != refused.generation() {
            return Ok(true);
        }
        let token = self.source.fetch().await?;
        // The same token again would be refused again.
        let same = state.held.as_ref().is_some_and(|held| held.value.expose_secret() == token.value.expose_secret());
        if same {
            return Ok(false);
        }
        self.keep(&mut state, &token)?;
        Ok(true)
    }
}
