//! Token buckets: how often something may be done, over all and by each source.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Sources told apart. Those beyond share one bucket.
const MAX_SOURCES: usize = 1024;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Over a network.
    Address(IpAddr),
    /// Over a Unix socket.
    Local,
}

impl Source {
    /// What counts as one source: an IPv4 address, or the /64 that a host can take IPv6 addresses from at will.
    fn group(self) -> Self {
        match self {
            Self::Address(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Self::Address(Ipv6Addr::from_bits(network).into())
            }
            Self::Address(address) => Self::Address(address.to_canonical()),
            Self::Local => Self::Local,
        }
    }
}

/// A bucket that fills again with time.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    tokens: f64,
    at: Instant,
}

/// How large a bucket is, and how soon it fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Tokens in a full bucket.
    pub burst: u32,
    /// Time in which another one comes.
    pub interval: Duration,
}

impl Bucket {
    /// A full one.
    pub fn full(rate: Rate, now: Instant) -> Self {
        Self { tokens: rate.burst.into(), at: now }
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        let taken = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(taken));
        taken
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() / rate.interval.as_secs_f64();
        self.tokens = (self.tokens + gained).min(rate.burst.into());
        self.at = now;
    }

    fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.tokens >= rate.burst.into()
    }
}

/// A bucket for each source, and one for all.
#[derive(Debug)]
pub struct Throttle {
    each: Rate,
    together: Rate,
    sources: HashMap<Source, Bucket>,
    /// Of the sources that no room is left for.
    rest: Bucket,
    all: Bucket,
}

impl Throttle {
    /// Full buckets.
    pub fn new(each: Rate, together: Rate, now: Instant) -> Self {
        let (rest, all) = (Bucket::full(each, now), Bucket::full(together, now));
        Self { each, together, sources: HashMap::new(), rest, all }
    }

    /// Whether `source` may now.
    pub fn take(&mut self, source: Source, now: Instant) -> bool {
        let source = source.group();
        if !self.sources.contains_key(&source) && self.sources.len() >= MAX_SOURCES {
            self.sources.retain(|_, bucket| !bucket.is_full(self.each, now));
        }
        let room = self.sources.len() < MAX_SOURCES;
        let bucket = match self.sources.get_mut(&source) {
            Some(bucket) => bucket,
            None if room => self.sources.entry(source).or_insert(Bucket::full(self.each, now)),
            None => &mut self.rest,
        };
        bucket.take(self.each, now) && self.all.take(self.together, now)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    const EACH: Rate = Rate { burst: 2, interval: Duration::from_secs(1) };
    const TOGETHER: Rate = Rate { burst: 100_000, interval: Duration::from_secs(1) };

    fn source(text: &str) -> Source {
        Source::Address(text.parse().unwrap())
    }

    #[test]
    fn a_bucket_holds_a_burst_and_fills_with_time() {
        let start = Instant::now();
        let mut bucket = Bucket::full(EACH, start);
        let mut at = |millis| bucket.take(EACH, start + Duration::from_millis(millis));
        let taken = [at(0), at(0), at(0), at(999), at(1000), at(1000), at(60_000), at(60_000), at(60_000)];
        assert_eq!(taken, [true, true, false, false, true, false, true, true, false]);
    }

    #[test]
    fn one_source_does_not_take_anothers_tokens_but_all_share_what_there_is() {
        let now = Instant::now();
        let mut throttle = Throttle::new(EACH, Rate { burst: 3, ..TOGETHER }, now);
        let mut take = |text| throttle.take(source(text), now);
        assert_eq!([take("10.0.0.1"), take("10.0.0.1"), take("10.0.0.1")], [true, true, false]);
        assert!(take("10.0.0.2"));
        assert!(!take("10.0.0.3"), "three are all there are");
    }

    #[test]
    fn a_host_cannot_get_more_by_choosing_other_addresses() {
        let now = Instant::now();
        let mut throttle = Throttle::new(EACH, TOGETHER, now);
        for (text, expected) in [
            ("2001:db8::1", true),
            ("2001:db8::2", true),
            ("2001:db8::ffff:3", false),
            ("2001:db8:0:1::1", true),
            ("::ffff:10.0.0.1", true),
            ("10.0.0.1", true),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(throttle.take(source(text), now), expected, "{text}");
        }
    }

    #[test]
    fn the_table_of_sources_is_bounded_and_forgets_those_that_are_quiet() {
        let now = Instant::now();
        let mut throttle = Throttle::new(EACH, TOGETHER, now);
        for number in 0..MAX_SOURCES as u32 + 2 {
            assert!(throttle.take(Source::Address(IpAddr::from(number.to_be_bytes())), now));
        }
        assert!(!throttle.take(source("9.9.9.9"), now), "those beyond share a bucket");
        assert_eq!(throttle.sources.len(), MAX_SOURCES);
        assert!(throttle.take(source("9.9.9.9"), now + Duration::from_secs(10)));
        assert_eq!(throttle.sources.len(), 1);
    }
}
