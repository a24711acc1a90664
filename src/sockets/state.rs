//! TCP states as the kernel numbers them, and counts by state.

/// A TCP state (RFC 9293 section 3.3.2; numbers of the kernel's `include/net/tcp_states.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Open in both directions.
    Established = 1,
    /// A SYN was sent.
    SynSent,
    /// A SYN was received and answered.
    SynRecv,
    /// Closed here, the FIN not yet acknowledged.
    FinWait1,
    /// Closed here, waiting for the peer's FIN.
    FinWait2,
    /// Closed by both, waiting for stray segments to die out.
    TimeWait,
    /// Not connected: created, or closed by both and not yet freed.
    Close,
    /// Closed by the peer, not yet by the program here.
    CloseWait,
    /// Closed by the peer, then here, the FIN not yet acknowledged.
    LastAck,
    /// Waits for connections.
    Listen,
    /// Closed by both at once.
    Closing,
}

impl State {
    /// Every state, in the order of the kernel's numbers.
    pub const ALL: [Self; 11] = [
        Self::Established,
        Self::SynSent,
        Self::SynRecv,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
    ];

    /// The state of a kernel's number. 12 (`TCP_NEW_SYN_RECV`, a request not yet a full socket) is
    /// [`State::SynRecv`], as the kernel itself reports it; `None` for numbers that are no connection's state.
    #[inline]
    pub const fn from_kernel(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynRecv,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Close,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => return None,
        })
    }

    /// Value of the `state` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Established => "established",
            Self::SynSent => "syn_sent",
            Self::SynRecv => "syn_recv",
            Self::FinWait1 => "fin_wait1",
            Self::FinWait2 => "fin_wait2",
            Self::TimeWait => "time_wait",
            Self::Close => "close",
            Self::CloseWait => "close_wait",
            Self::LastAck => "last_ack",
            Self::Listen => "listen",
            Self::Closing => "closing",
        }
    }

    /// Place in [`State::ALL`].
    #[inline]
    const fn index(self) -> usize {
        self as usize - 1
    }
}

/// A set of states, as `idiag_states` holds it: bit n for the kernel's state n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateSet(u32);

impl StateSet {
    /// States 1 to 12. Not bit 13 (`TCP_BOUND_INACTIVE`): its sockets are no connections, are shown as CLOSE,
    /// and make the dump a third dearer.
    pub const ALL: Self = Self(0x1ffe);

    /// No state.
    pub const NONE: Self = Self(0);

    /// This set and `state`.
    #[must_use]
    pub const fn with(self, state: State) -> Self {
        Self(self.0 | 1 << state as u32)
    }

    /// This set but for `state`.
    #[must_use]
    pub const fn without(self, state: State) -> Self {
        Self(self.0 & !(1 << state as u32))
    }

    /// The mask a request carries.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// How many sockets are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateCounts([u64; State::ALL.len()]);

impl StateCounts {
    /// Counts one more socket in `state`.
    #[inline]
    pub fn add(&mut self, state: State) {
        if let Some(count) = self.0.get_mut(state.index()) {
            *count += 1;
        }
    }

    /// Sockets in `state`.
    pub fn get(&self, state: State) -> u64 {
        self.0.get(state.index()).copied().unwrap_or(0)
    }

    /// Replaces the count of `state`.
    pub fn set(&mut self, state: State, sockets: u64) {
        if let Some(count) = self.0.get_mut(state.index()) {
            *count = sockets;
        }
    }

    /// Every state with its count, in the order of [`State::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (State, u64)> {
        State::ALL.into_iter().zip(self.0)
    }

    /// Sockets in any state.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl std::ops::Add for StateCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let mut sum = self;
        for (count, more) in sum.0.iter_mut().zip(other.0) {
            *count += more;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_the_way_through_its_number() {
        for state in State::ALL {
            assert_eq!(State::from_kernel(state as u8), Some(state));
        }
    }

    #[test]
    fn a_request_that_is_not_yet_a_socket_is_syn_recv() {
        assert_eq!(State::from_kernel(12), Some(State::SynRecv));
    }

    #[test]
    fn numbers_that_are_no_connection_state_are_refused() {
        for number in [0, 13, 14, 255] {
            assert_eq!(State::from_kernel(number), None, "{number}");
        }
    }

    #[test]
    fn the_mask_asks_for_states_1_to_12_and_can_leave_some_out() {
        assert_eq!(StateSet::ALL.bits(), (1..=12).map(|n| 1 << n).sum::<u32>());
        assert_eq!(StateSet::ALL.without(State::Established).without(State::TimeWait).bits(), 0x1fbc);
        assert_eq!(StateSet::NONE.with(State::Listen).bits(), 1 << 10);
    }

    #[test]
    fn counts_are_kept_by_state_and_sum_up() {
        let mut counts = StateCounts::default();
        for state in State::ALL {
            (0..state as u8).for_each(|_| counts.add(state));
        }
        assert!(counts.iter().all(|(state, count)| count == state as u64 && counts.get(state) == count));
        assert_eq!(counts.total(), 66);
        assert_eq!((counts + counts).get(State::Closing), 22);
        counts.set(State::Closing, 0);
        assert_eq!(counts.total(), 55);
    }
}
