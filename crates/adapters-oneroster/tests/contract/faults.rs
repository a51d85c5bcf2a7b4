//! Faults of a simulated server, as the contract wants them.

use rollcall_testkit::source::{Fault, Times};
use rollcall_vendor_sim::server::{FaultKind, FaultOrder, Faults};

/// As often as nobody asks.
const ALWAYS: u32 = u32::MAX;

const fn kind_of(fault: Fault) -> FaultKind {
    match fault {
        Fault::TooManyRequests | Fault::TooManyRequestsRetryAfter => FaultKind::RateLimited,
        Fault::InternalError => FaultKind::ServerError,
        Fault::Truncated => FaultKind::Truncated,
        Fault::RepeatedPage => FaultKind::RepeatedPage,
        Fault::ShortPage => FaultKind::ShortPage,
        Fault::ShrinkingTotal => FaultKind::ShrinkingTotal,
        Fault::ExpiredToken => FaultKind::ExpiredToken,
        Fault::LoginPage => FaultKind::LoginPage,
        Fault::EmptyCollection => FaultKind::EmptyCollection,
        Fault::MissingEnvelope => FaultKind::MissingEnvelope,
        Fault::ConnectionReset => FaultKind::Reset,
    }
}

/// Makes something go wrong with a page of users.
pub(crate) fn arm(faults: &Faults, fault: Fault, times: Times) {
    // Two pages come as they should; but a collection is empty from its beginning or not at all.
    arm_in(faults, fault, times, "users", if fault == Fault::EmptyCollection { 0 } else { 2 });
}

/// Makes something go wrong with a page of a collection, once `after` pages came as they should.
pub(crate) fn arm_in(faults: &Faults, fault: Fault, times: Times, collection: &str, after: u32) {
    let mut order = FaultOrder::new(kind_of(fault), if times == Times::Once { 1 } else { ALWAYS });
    order.collection = Some(collection.to_owned());
    order.after = after;
    if fault == Fault::TooManyRequestsRetryAfter {
        order.retry_after = Some(if times == Times::Once { 1 } else { 3_600 });
    }
    faults.arm(order);
}

/// Makes nothing go wrong any more, and says how often something did.
pub(crate) fn disarm(faults: &Faults) -> usize {
    // One that was armed for one time is gone when it has struck.
    let Some(order) = faults.armed().into_iter().next() else { return 1 };
    faults.arm(FaultOrder { times: 0, ..order.clone() });
    if order.times > 1 { (ALWAYS - order.times) as usize } else { 0 }
}
