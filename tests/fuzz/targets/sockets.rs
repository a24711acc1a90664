//! The kernel's answers: netlink dumps, `/proc/net/tcp` and the kernel's counters.

use dbwire_exporter::sockets::{
    counters::{self, Events, Gauges},
    inet_diag::{Pass, Query, walk},
    proc_net::{LineError, Table},
    row::{Family, Row},
    state::StateSet,
    tcp_info::{Carried, Quantiles, TcpInfo},
};

use super::input::Input;

/// `struct nlmsghdr` and `struct inet_diag_msg`.
const ROW_BYTES: usize = 16 + 72;

/// Which request it answers, its sequence number, and a receive buffer: never more rows than fit. What the two kinds of
/// attributes' readers find comes of the same one, of which the first needs less.
pub fn inet_diag(data: &[u8]) {
    let mut input = Input(data);
    let pass = match input.u8() % 3 {
        0 => Pass::BothFamilies,
        1 => Pass::One(Family::Ipv4),
        _ => Pass::One(Family::Ipv6),
    };
    let sequence = input.u32();
    let request = Query::of(StateSet::ALL).encode(pass, sequence).expect("a request");
    assert!(walk(pass, sequence, &request, |_, _| {}).is_err(), "a request for an answer");
    let (mut rows, mut times, mut longest) = (0, Quantiles::default(), None);
    let _ = walk(pass, sequence, input.0, |_, attributes| {
        rows += 1;
        let info = TcpInfo::find(attributes);
        assert!(Carried::find(attributes).is_none() || info.is_some());
        longest = longest.max(info.map(|info| info.rtt_micros));
        info.into_iter().for_each(|info| times.add(info.rtt_micros));
    });
    assert!(times.quantile(1.0) >= longest);
    assert!(rows * ROW_BYTES <= input.0.len());
}

/// A family, a chunk's size, and a file: the same rows and the same error however it was read. Read as one of the files of
/// counters it is as harmless.
pub fn proc_net(data: &[u8]) {
    let mut input = Input(data);
    let family = Family::ALL[usize::from(input.u8()) % 2];
    let chunk = usize::from(input.u8()) + 1;
    let whole = read(family, input.0, input.0.len().max(1));
    assert_eq!(read(family, input.0, chunk), whole);
    let text = String::from_utf8_lossy(input.0);
    let (_, _) = (Gauges::parse(&text, &text, 4096), Events::parse(&text));
    let _ = counters::parse_time_wait_limit(&text);
    assert!(counters::parse_port_range(&text).is_none_or(|(low, high)| low <= high));
}

fn read(family: Family, file: &[u8], chunk: usize) -> (Vec<Row>, Result<(), LineError>) {
    let mut table = Table::new(family);
    let mut rows = Vec::new();
    for chunk in file.chunks(chunk) {
        if let Err(error) = table.feed(chunk, |row| rows.push(*row)) {
            return (rows, Err(error));
        }
    }
    (rows, table.finish())
}
