//! The machine's clock.

use jiff::Timestamp;
use rollcall_domain::ports::Clock;

/// Asks the machine what time it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
