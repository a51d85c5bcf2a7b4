//! How fast a session goes: as fast as the server lets it, and no faster than it was told.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::retry::Sleep;

pub(crate) struct Pace {
    slots: Semaphore,
    limiter: Option<DefaultDirectRateLimiter>,
    /// Until when the server wants to be left alone.
    not_before: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(max_in_flight: usize, per_second: Option<NonZeroU32>) -> Self {
        Self {
            slots: Semaphore::new(max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            limiter: per_second.map(|per_second| RateLimiter::direct(Quota::per_second(per_second))),
            not_before: Mutex::default(),
        }
    }

    /// Waits for a request's turn, which lasts as long as what is given.
    pub(crate) async fn turn(&self, sleep: &dyn Sleep) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed: without a permit there would be nothing to wait for either.
        let permit = self.slots.acquire().await.ok();
        let mut waited_for = None;
        loop {
            // Another answer may have put it off while this request slept.
            let until = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(until) = until.filter(|until| waited_for.is_none_or(|waited| *until > waited)) else { break };
            sleep.sleep(until.saturating_duration_since(Instant::now())).await;
            waited_for = Some(until);
        }
        if let Some(limiter) = &self.limiter {
            limiter.until_ready().await;
        }
        permit
    }

    /// Lets no further request begin for a while.
    pub(crate) fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        if not_before.is_none_or(|already| already < until) {
            *not_before = Some(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::retry::RealSleep;

    #[tokio::test]
    async fn no_more_requests_begin_in_a_second_than_were_allowed() {
        let pace = Pace::new(9, NonZeroU32::new(2));
        for _ in 0..2 {
            assert!(pace.turn(&RealSleep).now_or_never().is_some());
        }
        assert!(pace.turn(&RealSleep).now_or_never().is_none());
    }
}
