//! When a failed request is tried again, and what a server says about when.

use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use crate::config::RetryPolicy;
use crate::error::HttpError;
use crate::response;

/// From here on a reset is an instant in Unix seconds, below it a number of seconds. Nobody waits thirty years.
const EPOCH_SECONDS: f64 = 1e9;

/// From here on it is an instant in milliseconds.
const EPOCH_MILLISECONDS: f64 = 1e12;

/// Passes the time. Tests note how much, and pass none.
#[async_trait]
pub(crate) trait Sleep: Send + Sync {
    async fn sleep(&self, duration: Duration);
}

/// Passes the time for real.
pub(crate) struct RealSleep;

#[async_trait]
impl Sleep for RealSleep {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl RetryPolicy {
    /// The waits between tries, with jitter.
    pub(crate) fn backoff(&self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(self.min_delay)
            .with_max_delay(self.max_delay.max(self.min_delay))
            .with_factor(2.0)
            .with_jitter()
            .without_max_times()
            .build()
    }

    /// Whether another try may follow, after so many.
    pub(crate) fn allows_another(&self, error: &HttpError, tries: u32) -> bool {
        let most = match error {
            // What stands behind missing credentials was tried often enough by whoever fetches them.
            HttpError::Credentials { .. } => return false,
            _ if !error.is_temporary() => return false,
            HttpError::Status { status, wait, .. } => {
                if wait.is_some_and(|wait| wait > self.max_server_delay) {
                    return false;
                }
                if *status == StatusCode::INTERNAL_SERVER_ERROR {
                    self.max_tries_internal_error.min(self.max_tries)
                } else {
                    self.max_tries
                }
            }
            _ => self.max_tries,
        };
        tries < most
    }
}

/// How long a server asks to wait with this answer: by `Retry-After`, or by the reset of a rate limit that is used up.
pub(crate) fn server_wait(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    // By the server's own clock, if it shows one: ours may be wrong.
    let now = response::date(headers).unwrap_or(now);
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if !status.is_success()
        && let Some(after) = text(RETRY_AFTER.as_str())
    {
        let wait = match after.parse::<f64>() {
            Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Err(_) => response::http_date(after).map(|instant| until(now, instant)),
        };
        if wait.is_some() {
            return wait;
        }
    }
    let used_up = ["x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining"]
        .iter()
        .any(|name| text(name).and_then(|left| left.parse::<f64>().ok()).is_some_and(|left| left <= 0.0));
    if !used_up && status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let reset: f64 = ["x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset"]
        .iter()
        .find_map(|name| text(name).and_then(|reset| reset.parse().ok()))?;
    if reset < EPOCH_SECONDS {
        return Duration::try_from_secs_f64(reset).ok();
    }
    let seconds = if reset < EPOCH_MILLISECONDS { reset } else { reset / 1000.0 };
    let instant = Timestamp::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?).ok()?;
    Some(until(now, instant))
}

fn until(now: Timestamp, instant: Timestamp) -> Duration {
    Duration::try_from(instant.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const NOW: &str = "2026-11-22T10:00:00Z";

    fn wait(status: u16, headers: &[(&'static str, &str)]) -> Option<u64> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        server_wait(StatusCode::from_u16(status).unwrap(), &headers, NOW.parse().unwrap()).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_server_says_how_long_to_wait_in_many_ways() {
        let epoch = NOW.parse::<Timestamp>().unwrap().as_second();
        assert_eq!(wait(429, &[("retry-after", "7")]), Some(7));
        assert_eq!(wait(503, &[("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT")]), Some(30));
        assert_eq!(wait(503, &[("retry-after", "Sun, 22 Nov 2026 09:00:00 GMT")]), Some(0));
        // Our clock is an hour behind the server's: what counts is the server's.
        let date = ("date", "Sun, 22 Nov 2026 11:00:00 GMT");
        assert_eq!(wait(503, &[("retry-after", "Sun, 22 Nov 2026 11:00:05 GMT"), date]), Some(5));
        assert_eq!(wait(429, &[("x-ratelimit-reset", &(epoch + 12).to_string())]), Some(12));
        assert_eq!(wait(429, &[("x-ratelimit-reset", &((epoch + 12) * 1000).to_string())]), Some(12));
        assert_eq!(wait(429, &[("x-ratelimit-reset", &(epoch - 12).to_string())]), Some(0));
        assert_eq!(wait(429, &[("ratelimit-reset", "40")]), Some(40));
        assert_eq!(wait(429, &[("retry-after", "soon"), ("ratelimit-reset", "40")]), Some(40));
        assert_eq!(
            wait(200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &(epoch + 3).to_string())]),
            Some(3)
        );
        assert_eq!(wait(200, &[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", &(epoch + 3).to_string())]), None);
        assert_eq!(wait(200, &[("retry-after", "7")]), None);
        assert_eq!(wait(429, &[]), None);
        assert_eq!(wait(429, &[("retry-after", "-1")]), None);
    }

    #[test]
    fn waits_double_up_to_a_bound_with_jitter_on_top() {
        let policy = RetryPolicy::default();
        let waits: Vec<Duration> = policy.backoff().take(8).collect();
        for (wait, base) in waits.iter().zip([1, 2, 4, 8, 16, 32, 32, 32]) {
            let base = Duration::from_secs(base);
            assert!(*wait >= base && *wait <= base * 2, "{waits:?}");
        }
    }
}
