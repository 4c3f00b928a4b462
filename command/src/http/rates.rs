//! How many joins are taken: from one address in a minute, and into one
//! opening in a second. Joining is what anyone may do as often as they like.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use usher_http::peer::{Peer, Proxies};
use usher_http::problem::Problem;

use super::{forward, tickets};

/// So many addresses, or openings, are counted apart. Beyond that they share,
/// so that nobody who makes them up takes memory without end.
const APART: usize = 100_000;
const SHARED: u64 = 4_096;
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// The limits of joining, and what was used of them lately.
#[derive(Debug, Default)]
pub struct JoinRates {
    by_address: Option<Rate>,
    by_opening: Option<Rate>,
    proxies: Proxies,
}

impl JoinRates {
    /// Without any limit.
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// These limits, 0 for none. `proxies` are believed when they say for
    /// whom they ask.
    pub fn new(per_address_per_minute: u32, per_opening_per_second: u32, proxies: Proxies) -> Self {
        let clock = DefaultClock::default;
        Self {
            by_address: NonZeroU32::new(per_address_per_minute)
                .map(|most| Rate::new("address", Quota::per_minute(most), 60, clock())),
            by_opening: NonZeroU32::new(per_opening_per_second)
                .map(|most| Rate::new("opening", Quota::per_second(most), 1, clock())),
            proxies,
        }
    }

    pub(super) fn limit_addresses(&self) -> bool {
        self.by_address.is_some()
    }

    pub(super) fn limit_openings(&self) -> bool {
        self.by_opening.is_some()
    }

    /// Where a request comes from; nothing when it was counted already, by
    /// the instance that passed it on.
    fn origin(&self, request: &Request) -> Option<[u8; 8]> {
        let ConnectInfo(Peer(peer)) = request.extensions().get()?;
        let passed_on = request.headers().contains_key(forward::HOP) && self.proxies.contain(*peer);
        (!passed_on).then(|| household(self.proxies.client(*peer, request.headers())))
    }
}

/// What one household or machine has of its own: an IPv4 address, or the
/// first half of an IPv6 address.
fn household(address: IpAddr) -> [u8; 8] {
    let mut kept = [0; 8];
    match address {
        IpAddr::V4(address) => kept[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => kept.copy_from_slice(&address.octets()[..8]),
    }
    kept
}

fn is_join(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>();
    *request.method() == Method::PUT && path.is_some_and(|path| path.as_str() == tickets::PATH)
}

/// Takes so many joins from one address.
pub(super) async fn by_address(
    State(rates): State<Arc<JoinRates>>,
    request: Request,
    next: Next,
) -> Response {
    match &rates.by_address {
        Some(rate) if is_join(&request) => match rates.origin(&request) {
            Some(origin) => rate.pass(&origin, request, next).await,
            None => next.run(request).await,
        },
        _ => next.run(request).await,
    }
}

/// Takes so many joins into one opening.
pub(super) async fn by_opening(
    State(rates): State<Arc<JoinRates>>,
    request: Request,
    next: Next,
) -> Response {
    match &rates.by_opening {
        Some(rate) if is_join(&request) => match forward::opening_of(request.uri()) {
            Some(opening) => rate.pass(&opening, request, next).await,
            None => next.run(request).await,
        },
        _ => next.run(request).await,
    }
}

/// One limit.
#[derive(Debug)]
struct Rate<C: Clock = DefaultClock> {
    name: &'static str,
    quota: Quota,
    window_s: u64,
    limiter: RateLimiter<u64, HashMapStateStore<u64>, C, StateInformationMiddleware>,
    hasher: RandomState,
    begun: Instant,
    /// In which second after `begun` those who came long ago were forgotten.
    swept: AtomicU64,
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    joins: u32,
    /// How long until there is one more; none when there are some.
    wait: Option<Duration>,
}

impl<C: Clock> Rate<C> {
    fn new(name: &'static str, quota: Quota, window_s: u64, clock: C) -> Self {
        let limiter: RateLimiter<_, _, _, StateInformationMiddleware> =
            RateLimiter::new(quota, HashMapStateStore::default(), clock);
        Self {
            name,
            quota,
            window_s,
            limiter,
            hasher: RandomState::new(),
            begun: Instant::now(),
            swept: AtomicU64::new(0),
        }
    }

    fn key(&self, whose: &impl Hash) -> u64 {
        let key = self.hasher.hash_one(whose);
        if self.limiter.len() < APART {
            return key;
        }
        let second = self.begun.elapsed().as_secs() + 1;
        if self.swept.swap(second, Ordering::Relaxed) != second {
            self.limiter.retain_recent();
        }
        if self.limiter.len() < APART { key } else { key % SHARED }
    }

    /// Uses one up, if there is one.
    fn take(&self, whose: &impl Hash) -> Left {
        match self.limiter.check_key(&self.key(whose)) {
            Ok(state) => Left { joins: state.remaining_burst_capacity(), wait: None },
            Err(until) => {
                let wait = until.wait_time_from(self.limiter.clock().now());
                Left { joins: 0, wait: Some(wait) }
            }
        }
    }

    async fn pass(&self, whose: &impl Hash, request: Request, next: Next) -> Response {
        let left = self.take(whose);
        let mut response = match left.wait {
            None => next.run(request).await,
            Some(wait) => self.refusal(wait).into_response(),
        };
        self.tell(left, response.headers_mut());
        response
    }

    fn refusal(&self, wait: Duration) -> Problem {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-joins", "More joins than are taken")
            .detail(format!(
                "more than the limit for one {}; the place in line is not worse for it",
                self.name
            ))
            .with("limit", self.name)
            .retry_after(up(wait))
    }

    /// What the limit is and what is left of it, as the draft of the RateLimit
    /// header fields has it; `t` is when all of it is there again.
    fn tell(&self, left: Left, headers: &mut HeaderMap) {
        let most = self.quota.burst_size().get();
        let all = up(self.quota.replenish_interval() * (most - left.joins.min(most)));
        let policy = format!("\"{}\";q={most};w={}", self.name, self.window_s);
        let now = format!("\"{}\";r={};t={}", self.name, left.joins, all.as_secs());
        for (name, text) in [(POLICY, policy), (LEFT, now)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.append(name, value);
            }
        }
    }
}

/// In whole seconds, never too early.
fn up(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    /// Sixty a minute, on a clock that is set by hand.
    fn sixty() -> (Rate<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let quota = Quota::per_minute(NonZeroU32::new(60).unwrap());
        (Rate::new("address", quota, 60, clock.clone()), clock)
    }

    #[test]
    fn so_many_are_taken_at_once_and_then_as_many_as_time_gives() {
        let (rate, clock) = sixty();
        for left in (0..60).rev() {
            assert_eq!(rate.take(&"here"), Left { joins: left, wait: None });
        }
        let refused = Left { joins: 0, wait: Some(Duration::from_secs(1)) };
        assert_eq!(rate.take(&"here"), refused);
        assert_eq!(rate.take(&"here"), refused, "who is refused is not punished for it");
        assert_eq!(rate.take(&"there").wait, None, "others are not either");
        clock.advance(Duration::from_millis(2_500));
        let again: Vec<bool> = (0..3).map(|_| rate.take(&"here").wait.is_none()).collect();
        assert_eq!(again, [true, true, false]);
    }

    #[test]
    fn the_headers_say_the_limit_and_what_is_left_of_it() {
        let (rate, _) = sixty();
        let mut headers = HeaderMap::new();
        for _ in 0..3 {
            rate.take(&"here");
        }
        rate.tell(rate.take(&"here"), &mut headers);
        assert_eq!(headers[POLICY], "\"address\";q=60;w=60");
        assert_eq!(headers[LEFT], "\"address\";r=56;t=4");
    }

    #[test]
    fn who_comes_too_early_is_told_to_wait_at_least_a_second() {
        let (rate, _) = sixty();
        for wait in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(1)] {
            let refused = rate.refusal(wait).into_response();
            let after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!(after >= 1, "{after}");
        }
    }

    #[test]
    fn strangers_without_end_share_what_is_left_and_take_no_memory() {
        let (rate, clock) = sixty();
        for stranger in 0..APART + 50_000 {
            rate.take(&stranger);
        }
        assert!(rate.limiter.len() <= APART + usize::try_from(SHARED).unwrap());
        clock.advance(Duration::from_secs(61));
        rate.swept.store(0, Ordering::Relaxed);
        assert_eq!(rate.take(&"here").joins, 59);
        assert!(rate.limiter.len() < 10, "who came long ago is forgotten");
    }

    #[test]
    fn a_household_with_many_addresses_is_one() {
        let of = |text: &str| household(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
