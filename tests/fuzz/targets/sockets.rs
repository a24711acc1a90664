//! The kernel's answers: netlink dumps and `/proc/net/tcp`.

use dbwire_exporter::sockets::{
    inet_diag::{Pass, walk},
    proc_net::{LineError, Table},
    row::{Family, Row},
};

use super::input::Input;

/// `struct nlmsghdr` and `struct inet_diag_msg`.
const ROW_BYTES: usize = 16 + 72;

/// Which request it answers, its sequence number, and a receive buffer: never more rows than fit.
pub fn inet_diag(data: &[u8]) {
    let mut input = Input(data);
    let pass = match input.u8() % 3 {
        0 => Pass::BothFamilies,
        1 => Pass::One(Family::Ipv4),
        _ => Pass::One(Family::Ipv6),
    };
    let sequence = input.u32();
    let mut rows = 0;
    let _ = walk(pass, sequence, input.0, |_, _| rows += 1);
    assert!(rows * ROW_BYTES <= input.0.len());
}

/// A family, a chunk's size, and a file: the same rows and the same error however it was read.
pub fn proc_net(data: &[u8]) {
    let mut input = Input(data);
    let family = Family::ALL[usize::from(input.u8()) % 2];
    let chunk = usize::from(input.u8()) + 1;
    let whole = read(family, input.0, input.0.len().max(1));
    assert_eq!(read(family, input.0, chunk), whole);
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
