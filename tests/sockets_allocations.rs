//! Counting allocates nothing per socket.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use dbwire_exporter::sockets::{
    census::{Census, PairScope},
    inet_diag::{Pass, walk},
    pairs::Pairs,
    ports::WatchedPorts,
    proc_net::Table,
    row::Family,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are those System asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those System asks for.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread in `body`.
fn allocations(body: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    body();
    ALLOCATIONS.get() - before
}

/// Rows of `count` connections from 10.0.0.1 to 3306 of ten servers, as a netlink dump has them.
fn dump(count: u16) -> Vec<u8> {
    let mut buffer = Vec::new();
    for n in 0..count {
        let mut message = [0; 88];
        message[..4].copy_from_slice(&88_u32.to_ne_bytes());
        message[4..6].copy_from_slice(&18_u16.to_ne_bytes());
        message[16..20].copy_from_slice(&[2, 1, 0, 0]);
        message[20..22].copy_from_slice(&(40_000 + n).to_be_bytes());
        message[22..24].copy_from_slice(&3306_u16.to_be_bytes());
        message[24..28].copy_from_slice(&[10, 0, 0, 1]);
        message[40..44].copy_from_slice(&[10, 0, 0, (n % 10) as u8]);
        buffer.extend(message);
    }
    buffer
}

#[test]
fn a_netlink_dump_is_counted_without_an_allocation_per_socket() {
    let buffer = dump(300);
    let watched = WatchedPorts::new([3306]);
    let mut census = Census::new(&watched, Some(Pairs::new((32768, 60999))), PairScope::All);
    // The table of pairs grows with the pairs, of which there are ten.
    walk(Pass::BothFamilies, 0, &buffer, |row, _| census.add(row)).unwrap();
    let made = allocations(|| {
        walk(Pass::BothFamilies, 0, &buffer, |row, _| census.add(row)).unwrap();
    });
    assert_eq!((made, census.tally.states().total()), (0, 600));
}

#[test]
fn a_table_of_procfs_is_counted_without_an_allocation_per_socket() {
    let mut text = b"  sl  local_address rem_address   st\n".to_vec();
    for n in 0..300 {
        let line = format!(
            "{n:4}: 0100007F:{n:04X} 0100007F:0CEA 01 00000000:00000000 00:00000000 00000000 0 0 1 1\n"
        );
        text.extend(line.as_bytes());
    }
    let watched = WatchedPorts::new([3306]);
    let mut census = Census::new(&watched, None, PairScope::All);
    let mut table = Table::new(Family::Ipv4);
    let made = allocations(|| {
        text.chunks(1000).try_for_each(|chunk| table.feed(chunk, |row| census.add(row))).unwrap();
    });
    assert_eq!((made, census.tally.states().total()), (0, 300));
}
