//! How to count all sockets without having the kernel list them all.
//!
//! A socket that is listed costs the kernel about ten times what one costs that is only walked past, and on a busy
//! host nearly all are in ESTABLISHED or TIME_WAIT. Those two need no listing:
//!
//! ```text
//! ESTABLISHED = CurrEstab − CLOSE_WAIT           or CurrEstab, as the kernel's version has it
//! TIME_WAIT   = tw − FIN_WAIT2 rows that stand in for a freed socket
//! ```
//!
//! The counters are read before the dump and after it. Each is a sum over CPUs, and a reader that is held up in the
//! middle of one, while connections are opened on one CPU and closed on another, gets a sum that never was: where the
//! two readings differ, a third is made, and the middle one counts ([`Gauges::middle`]).
//!
//! [`Planner`] trusts an identity only after a full dump has borne it out, between two estimates so that
//! connections that come and go meanwhile are allowed for, and has that done again now and then. Where none is
//! exact, full dumps are made.

use std::time::{Duration, Instant};

use super::{
    census::Tally,
    counters::Gauges,
    state::{State, StateCounts, StateSet},
};

/// What the cheap dump lists. Listeners are read on their own, which costs microseconds.
pub const LISTED: StateSet =
    StateSet::ALL.without(State::Established).without(State::TimeWait).without(State::Listen);

/// Time between verifications of an identity in use.
pub const VERIFY_EVERY: Duration = Duration::from_secs(300);

/// Time after which a verification that no identity passed is made again: perhaps only the churn was too great.
pub const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Sockets in the two big states up to which a full dump is made: listing so few costs less than the walk over all
/// sockets that finding those of a port takes.
pub const FEW: u64 = 256;

/// Share of one CPU that counts by port may take while the states come from [`LISTED`]: finding a port's sockets
/// takes a walk of its own over all sockets, and costs twice the rest of the plan.
const PORTS_SHARE: f64 = 0.0002;

/// Most that counts by port may age for that reason.
pub const PORTS_OLDEST: Duration = Duration::from_secs(60);

/// How long to keep counts by port that took `cpu` to make: they are fresh where there are few sockets, and
/// half a minute old at 50,000.
pub fn ports_rest(cpu: Duration) -> Duration {
    cpu.div_f64(PORTS_SHARE).min(PORTS_OLDEST)
}

/// How far a full dump may lie outside the two estimates around it.
const SLACK: u64 = 8;

/// What `CurrEstab` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// ESTABLISHED and CLOSE_WAIT (RFC 4022; Linux since about 6.10).
    WithCloseWait,
    /// ESTABLISHED only.
    EstablishedOnly,
}

/// How the sockets are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// A dump without the two big states, and the kernel's counters for those.
    Counters(Identity),
    /// A dump of everything.
    FullDump,
    /// The tables of procfs.
    Tables,
}

impl Plan {
    /// Value of the `plan` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Counters(Identity::WithCloseWait) => "counters_less_close_wait",
            Self::Counters(Identity::EstablishedOnly) => "counters",
            Self::FullDump => "full_dump",
            Self::Tables => "procfs",
        }
    }
}

/// A dump of [`LISTED`] with the counters read beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Rows of [`LISTED`], and of the listeners.
    pub tally: Tally,
    /// The kernel's counters.
    pub gauges: Gauges,
}

impl Estimate {
    /// All states by `identity`; `None` if the counters are less than what was listed.
    fn states(&self, identity: Identity) -> Option<StateCounts> {
        let mut states = self.tally.states();
        let close_wait = match identity {
            Identity::WithCloseWait => states.get(State::CloseWait),
            Identity::EstablishedOnly => 0,
        };
        states.set(State::Established, less(self.gauges.current_established, close_wait)?);
        states.set(State::TimeWait, less(self.gauges.time_wait, self.tally.stand_ins)?);
        Some(states)
    }
}

/// `whole - part`, two readings that lie a moment apart.
fn less(whole: u64, part: u64) -> Option<u64> {
    (whole + SLACK >= part).then(|| whole.saturating_sub(part))
}

/// Decides by which plan to count.
#[derive(Debug, Default)]
pub struct Planner {
    identity: Option<Identity>,
    verified: Option<Instant>,
    /// Whether a verification has shown one identity right and the other wrong. A kernel does not change its mind.
    told_apart: bool,
}

impl Planner {
    /// The plan in force.
    pub fn plan(&self) -> Plan {
        self.identity.map_or(Plan::FullDump, Plan::Counters)
    }

    /// When a full dump was last compared with the identities.
    pub fn verified(&self) -> Option<Instant> {
        self.verified
    }

    /// Whether to make an [`Estimate`] at all, `gauges` being what the counters say; if not, a full dump is what
    /// there is.
    pub fn wants_estimate(&self, now: Instant, gauges: &Gauges) -> bool {
        let unlisted = gauges.current_established.saturating_add(gauges.time_wait);
        unlisted > FEW && (self.identity.is_some() || self.is_due(now))
    }

    /// All states by the identity in force; `None` if a full dump must be made, to be handed to [`Self::verify`].
    pub fn derive(&self, now: Instant, estimate: &Estimate) -> Option<StateCounts> {
        if self.is_due(now) || (!self.told_apart && telling(estimate) > SLACK) {
            return None;
        }
        estimate.states(self.identity?)
    }

    /// Chooses the identity that a full dump bears out, made between two estimates.
    pub fn verify(&mut self, now: Instant, before: &Estimate, full: &StateCounts, after: &Estimate) {
        let exact = |identity: &Identity| bears_out(*identity, before, full, after);
        let identities = [Identity::WithCloseWait, Identity::EstablishedOnly];
        let mut exact = identities.into_iter().filter(exact);
        self.identity = exact.next();
        self.told_apart |= self.identity.is_some() && exact.next().is_none();
        self.verified = Some(now);
    }

    fn is_due(&self, now: Instant) -> bool {
        let period = if self.identity.is_some() { VERIFY_EVERY } else { RETRY_AFTER };
        self.verified.is_none_or(|verified| now.saturating_duration_since(verified) >= period)
    }
}

/// By how much the identities differ.
fn telling(estimate: &Estimate) -> u64 {
    estimate.tally.states().get(State::CloseWait)
}

fn bears_out(identity: Identity, before: &Estimate, full: &StateCounts, after: &Estimate) -> bool {
    let (Some(before), Some(after)) = (before.states(identity), after.states(identity)) else { return false };
    [State::Established, State::TimeWait].into_iter().all(|state| {
        let (a, b) = (before.get(state), after.get(state));
        let lowest = a.min(b).saturating_sub(SLACK);
        (lowest..=a.max(b) + SLACK).contains(&full.get(state))
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "std makes an `Instant` in no other way")]
mod tests {
    use super::*;
    use crate::sockets::row::{Row, Timer, tests::row};

    /// 40 CLOSE_WAIT, 5 FIN_WAIT2 of which 3 stand in for freed sockets.
    fn estimate(current_established: u64, time_wait: u64) -> Estimate {
        let mut tally = Tally::default();
        (0..40).for_each(|_| tally.add(&row(State::CloseWait, 1, 2)));
        (0..2).for_each(|_| tally.add(&row(State::FinWait2, 1, 2)));
        (0..3).for_each(|_| tally.add(&Row { timer: Timer::TimeWait, ..row(State::FinWait2, 1, 2) }));
        Estimate { tally, gauges: Gauges { current_established, time_wait, orphans: 0, memory_bytes: 0 } }
    }

    fn full(established: u64, time_wait: u64) -> StateCounts {
        let mut states = estimate(0, 0).tally.states();
        states.set(State::Established, established);
        states.set(State::TimeWait, time_wait);
        states
    }

    #[test]
    fn the_identity_a_full_dump_bears_out_is_used() {
        let now = Instant::now();
        for (current_established, identity) in
            [(1040, Identity::WithCloseWait), (1000, Identity::EstablishedOnly)]
        {
            let mut planner = Planner::default();
            let cheap = estimate(current_established, 203);
            assert!(planner.wants_estimate(now, &cheap.gauges));
            assert_eq!(planner.derive(now, &cheap), None, "not verified yet");
            planner.verify(now, &cheap, &full(1000, 200), &cheap);
            assert_eq!((planner.plan(), planner.verified()), (Plan::Counters(identity), Some(now)));
            assert_eq!(planner.derive(now, &cheap), Some(full(1000, 200)));
        }
    }

    #[test]
    fn an_identity_is_verified_again_after_a_while() {
        let (mut planner, now, cheap) = (Planner::default(), Instant::now(), estimate(1040, 203));
        planner.verify(now, &cheap, &full(1000, 200), &cheap);
        let due = now + VERIFY_EVERY;
        assert!(planner.derive(due - Duration::from_nanos(1), &cheap).is_some());
        assert_eq!(planner.derive(due, &cheap), None);
    }

    #[test]
    fn where_no_identity_is_exact_full_dumps_are_made_and_the_matter_is_looked_at_again() {
        let (mut planner, now, cheap) = (Planner::default(), Instant::now(), estimate(1020, 203));
        planner.verify(now, &cheap, &full(1000, 200), &cheap);
        assert_eq!(planner.plan(), Plan::FullDump);
        assert!(!planner.wants_estimate(now + RETRY_AFTER - Duration::from_nanos(1), &cheap.gauges));
        assert!(planner.wants_estimate(now + RETRY_AFTER, &cheap.gauges));
        assert_eq!(planner.derive(now + RETRY_AFTER, &cheap), None);
    }

    #[test]
    fn a_few_sockets_are_listed() {
        let (planner, now) = (Planner::default(), Instant::now());
        for (current_established, time_wait, wanted) in
            [(0, 0, false), (FEW, 0, false), (FEW - 1, 2, true), (u64::MAX, 1, true)]
        {
            let gauges = estimate(current_established, time_wait).gauges;
            assert_eq!(planner.wants_estimate(now, &gauges), wanted, "{gauges:?}");
        }
    }

    #[test]
    fn counts_by_port_are_kept_in_proportion_to_their_cost() {
        for (micros, seconds) in [(0, 0.0), (300, 1.5), (7_000, 35.0), (70_000, 60.0)] {
            let rest = ports_rest(Duration::from_micros(micros));
            assert_eq!(rest, Duration::from_secs_f64(seconds), "{micros}");
        }
    }

    #[test]
    fn a_wrong_count_of_time_wait_spoils_an_identity() {
        let (mut planner, now, cheap) = (Planner::default(), Instant::now(), estimate(1040, 300));
        planner.verify(now, &cheap, &full(1000, 200), &cheap);
        assert_eq!(planner.plan(), Plan::FullDump);
    }

    #[test]
    fn connections_that_came_and_went_meanwhile_are_allowed_for() {
        let (mut planner, now) = (Planner::default(), Instant::now());
        planner.verify(now, &estimate(1040, 203), &full(1090, 260), &estimate(1140, 303));
        assert_eq!(planner.plan(), Plan::Counters(Identity::WithCloseWait));
        planner.verify(now, &estimate(1040, 203), &full(1200, 260), &estimate(1140, 303));
        assert_eq!(planner.plan(), Plan::FullDump);
    }

    #[test]
    fn identities_that_could_not_be_told_apart_are_not_trusted_once_they_differ() {
        let (mut planner, now) = (Planner::default(), Instant::now());
        let quiet = Estimate { tally: Tally::default(), ..estimate(1000, 200) };
        let mut whole = StateCounts::default();
        whole.set(State::Established, 1000);
        whole.set(State::TimeWait, 200);
        planner.verify(now, &quiet, &whole, &quiet);
        assert_eq!(planner.derive(now, &quiet), Some(whole));
        // Now with 40 CLOSE_WAIT, the two differ.
        let cheap = estimate(1040, 203);
        assert_eq!(planner.derive(now, &cheap), None);
        planner.verify(now, &cheap, &full(1000, 200), &cheap);
        assert_eq!(planner.derive(now, &cheap), Some(full(1000, 200)));
        // Told apart once, told apart for good.
        planner.verify(now, &quiet, &whole, &quiet);
        assert!(planner.derive(now, &cheap).is_some());
    }

    #[test]
    fn counters_below_what_was_listed_give_no_counts() {
        let (mut planner, now, cheap) = (Planner::default(), Instant::now(), estimate(1040, 203));
        planner.verify(now, &cheap, &full(1000, 200), &cheap);
        assert_eq!(planner.derive(now, &estimate(30, 203)), None);
        assert_eq!(planner.derive(now, &estimate(38, 1)), Some(full(0, 0)));
    }

    #[test]
    fn the_cheap_dump_lists_nine_states_less_the_listeners() {
        assert_eq!(LISTED.bits(), 0x1ffe & !(1 << 1 | 1 << 6 | 1 << 10));
    }
}
