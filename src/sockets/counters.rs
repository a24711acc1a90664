//! The kernel's own TCP counters: `/proc/net/snmp`, `/proc/net/netstat` and `/proc/net/sockstat`.
//!
//! Reading them costs microseconds whatever the number of sockets. Formats: the kernel's `net/ipv4/proc.c`
//! (`snmp_seq_show`, `netstat_seq_show`, `sockstat_seq_show`).

use thiserror::Error;

/// A value that is missing or no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no usable {item} in group {group}")]
pub struct CounterError {
    /// Start of the line, without its colon.
    pub group: &'static str,
    /// Name of the value.
    pub item: &'static str,
}

/// What `/proc/net/snmp` and `/proc/net/sockstat` say about the two states most sockets are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauges {
    /// `CurrEstab` (RFC 4022 tcpCurrEstab): ESTABLISHED, and on newer kernels CLOSE_WAIT too.
    pub current_established: u64,
    /// `tw`: TIME_WAIT, and FIN_WAIT2 without a socket of its own.
    pub time_wait: u64,
    /// `orphan`: sockets no file refers to, of the whole host.
    pub orphans: u64,
    /// `mem`, which is in pages: bytes held by TCP's buffers, of the whole host.
    pub memory_bytes: u64,
}

impl Gauges {
    /// From the texts of `snmp` and `sockstat`, on a machine with pages of `page_bytes`.
    pub fn parse(snmp: &str, sockstat: &str, page_bytes: u64) -> Result<Self, CounterError> {
        let tcp = |item| inline(sockstat, "TCP", item);
        Ok(Self {
            current_established: columns(snmp, "Tcp", "CurrEstab")?,
            time_wait: tcp("tw")?,
            orphans: tcp("orphan")?,
            memory_bytes: tcp("mem")?.saturating_mul(page_bytes),
        })
    }

    /// Whether `self` and `later` tell the same of the two states.
    pub fn agrees_with(&self, later: &Self) -> bool {
        (self.current_established, self.time_wait) == (later.current_established, later.time_wait)
    }

    /// Of three readings, the middle one of each value.
    pub fn middle(readings: [Self; 3]) -> Self {
        let middle = |value: fn(&Self) -> u64| {
            let [a, b, c] = readings.each_ref().map(value);
            a.min(b).max(a.max(b).min(c))
        };
        Self {
            current_established: middle(|gauges| gauges.current_established),
            time_wait: middle(|gauges| gauges.time_wait),
            orphans: middle(|gauges| gauges.orphans),
            memory_bytes: middle(|gauges| gauges.memory_bytes),
        }
    }
}

/// What explains trouble with connections: counters since boot of the network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// `ListenOverflows`: the accept queue was full.
    pub listen_overflows: u64,
    /// `ListenDrops`: a connection was dropped on its way into the accept queue, for that or another reason.
    pub listen_drops: u64,
    /// `TCPTimeouts`: a retransmission timer ran out.
    pub timeouts: u64,
    /// `TCPSynRetrans`: a SYN or SYN|ACK was sent again.
    pub syn_retransmits: u64,
}

impl Events {
    /// From the text of `netstat`.
    pub fn parse(netstat: &str) -> Result<Self, CounterError> {
        let tcp = |item| columns(netstat, "TcpExt", item);
        Ok(Self {
            listen_overflows: tcp("ListenOverflows")?,
            listen_drops: tcp("ListenDrops")?,
            timeouts: tcp("TCPTimeouts")?,
            syn_retransmits: tcp("TCPSynRetrans")?,
        })
    }
}

/// The range `connect()` takes local ports from, both ends included: the text of
/// `/proc/sys/net/ipv4/ip_local_port_range`.
pub fn parse_port_range(text: &str) -> Option<(u16, u16)> {
    let mut words = text.split_whitespace().map(str::parse);
    let (low, high) = (words.next()?.ok()?, words.next()?.ok()?);
    (low <= high && words.next().is_none()).then_some((low, high))
}

/// From a pair of lines: `Group: name name …` and `Group: value value …`.
fn columns(text: &str, group: &'static str, item: &'static str) -> Result<u64, CounterError> {
    let value = || {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(':'));
        let (names, values) = (lines.next()?, lines.next()?);
        let column = names.split_whitespace().position(|name| name == item)?;
        values.split_whitespace().nth(column)?.parse().ok()
    };
    value().ok_or(CounterError { group, item })
}

/// From one line: `Group: name value name value …`.
fn inline(text: &str, group: &'static str, item: &'static str) -> Result<u64, CounterError> {
    let value = || {
        let line = text.lines().find_map(|line| line.strip_prefix(group)?.strip_prefix(':'))?;
        let mut words = line.split_whitespace();
        words.find(|name| *name == item)?;
        words.next()?.parse().ok()
    };
    value().ok_or(CounterError { group, item })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNMP: &str = "\
Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs
Tcp: 1 200 120000 -1 84 2 0 72 7 5860
Udp: InDatagrams
Udp: 0
";
    const SOCKSTAT: &str = "\
sockets: used 14
TCP: inuse 1 orphan 2 tw 3 alloc 4 mem 185
UDP: inuse 0 mem 9
";
    const NETSTAT: &str = "\
TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPTimeouts TCPSynRetrans
TcpExt: 0 1 2 3 4
IpExt: InNoRoutes
IpExt: 0
";

    #[test]
    fn gauges_are_read_by_name() {
        let gauges = Gauges { current_established: 7, time_wait: 3, orphans: 2, memory_bytes: 185 << 12 };
        assert_eq!(Gauges::parse(SNMP, SOCKSTAT, 4096), Ok(gauges));
    }

    #[test]
    fn of_three_readings_the_middle_one_counts_value_by_value() {
        let gauges =
            |n: u64, time_wait| Gauges { current_established: n, time_wait, orphans: n, memory_bytes: n };
        let (low, middle, high) = (gauges(1, 9), gauges(2, 7), gauges(30, 8));
        for readings in [[low, middle, high], [high, low, middle], [middle, high, low], [high, middle, low]] {
            assert_eq!(Gauges::middle(readings), gauges(2, 8));
        }
        assert!(low.agrees_with(&Gauges { orphans: 5, ..low }) && !low.agrees_with(&middle));
    }

    #[test]
    fn events_are_read_by_name() {
        let events = Events { listen_overflows: 1, listen_drops: 2, timeouts: 3, syn_retransmits: 4 };
        assert_eq!(Events::parse(NETSTAT), Ok(events));
    }

    #[test]
    fn what_is_missing_or_no_number_is_an_error_and_no_zero() {
        for (snmp, sockstat, group, item) in [
            ("", SOCKSTAT, "Tcp", "CurrEstab"),
            ("Tcp: CurrEstab\n", SOCKSTAT, "Tcp", "CurrEstab"),
            ("Tcp: CurrEstab\nTcp: -1\n", SOCKSTAT, "Tcp", "CurrEstab"),
            ("Tcp: A CurrEstab\nTcp: 1\n", SOCKSTAT, "Tcp", "CurrEstab"),
            (SNMP, "TCP: inuse 1 orphan 0\n", "TCP", "tw"),
            (SNMP, "TCP: tw\n", "TCP", "tw"),
            (SNMP, "TCP6: tw 1\n", "TCP", "tw"),
        ] {
            assert_eq!(
                Gauges::parse(snmp, sockstat, 4096),
                Err(CounterError { group, item }),
                "{snmp}{sockstat}"
            );
        }
    }

    #[test]
    fn a_port_range_is_two_ports_in_order() {
        for (text, range) in [
            ("32768\t60999\n", Some((32768, 60999))),
            ("1024 1024", Some((1024, 1024))),
            ("60999 32768", None),
            ("1 65536", None),
            ("1", None),
            ("1 2 3", None),
            ("", None),
        ] {
            assert_eq!(parse_port_range(text), range, "{text}");
        }
    }
}
