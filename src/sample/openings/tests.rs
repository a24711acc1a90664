use super::*;

const QUIET: Control = Control {
    from_client: true,
    opens: false,
    finishes: false,
    resets: false,
    sequence: 0,
    length: 0,
    acknowledged: None,
    initial: None,
};
/// Of packet time.
const NOW: u64 = 1_000 * REMEMBERED;

fn syn(sequence: u32) -> Control {
    Control { opens: true, sequence, ..QUIET }
}

fn fin(from_client: bool, sequence: u32, length: u32) -> Control {
    Control { from_client, finishes: true, sequence, length, ..QUIET }
}

/// Of the server, whose own sequence numbers are nobody's business.
fn server_fin(acknowledged: u32) -> Control {
    Control { from_client: false, finishes: true, acknowledged: Some(acknowledged), ..QUIET }
}

fn reset(from_client: bool, sequence: u32) -> Control {
    Control { from_client, resets: true, sequence, ..QUIET }
}

/// Lives, and what came and went in the slice.
struct Slice {
    lives: Lives<u32>,
    turnover: Turnover<u32>,
}

impl Default for Slice {
    fn default() -> Self {
        Self { lives: Lives::new(1), turnover: Turnover::default() }
    }
}

impl Slice {
    fn segment_at(&mut self, key: u32, at: u64, control: Control) -> Option<Change> {
        self.lives.segment(key, at, control, &mut self.turnover)
    }

    fn segment(&mut self, key: u32, control: Control) -> Option<Change> {
        self.segment_at(key, NOW, control)
    }

    fn end_at(&mut self, at: u64) -> Vec<Opening<u32>> {
        self.lives.end_slice(at);
        std::mem::take(&mut self.turnover).opened
    }

    fn end(&mut self) -> Vec<(u32, Sent)> {
        self.end_at(NOW).into_iter().map(|opening| (opening.key, opening.sent)).collect()
    }
}

#[test]
fn a_life_is_opened_once_and_ended_once_and_its_bytes_lie_between_syn_and_fin() {
    let mut slice = Slice::default();
    let steps = [
        (syn(u32::MAX), Some(Change::Opened)),
        (syn(u32::MAX), None),
        (Control { from_client: false, ..syn(7) }, None),
        (fin(true, 95, 5), None),
        (fin(true, 95, 5), None),
        (server_fin(101), Some(Change::Finished)),
        (server_fin(101), None),
        (reset(true, 101), None),
    ];
    for (control, change) in steps {
        assert_eq!(slice.segment(1, control), change, "{control:?}");
    }
    assert_eq!(slice.end(), [(1, Sent::Acknowledged(100))]);
    assert_eq!(slice.end(), []);
    assert_eq!(slice.segment(1, syn(5)), Some(Change::Opened), "the ports are used again");
    assert_eq!(slice.segment(1, syn(9)), Some(Change::Replaced), "and again, its end unseen");
    assert_eq!(slice.end(), [(1, Sent::Unknown), (1, Sent::Alive)]);
}

#[test]
fn what_a_client_claims_is_told_from_what_the_server_got() {
    let refused = Control { acknowledged: Some(101), ..reset(false, 0) };
    let table: [(&[Control], Sent); 8] = [
        (&[], Sent::Alive),
        (&[fin(true, 301, 50)], Sent::Alive),
        (&[fin(true, 301, 50), server_fin(352)], Sent::Acknowledged(250)),
        (&[server_fin(301), fin(true, 301, 50)], Sent::Acknowledged(200)),
        (&[server_fin(301), reset(true, 4_000_000_000)], Sent::Acknowledged(200)),
        (&[reset(true, 351)], Sent::Claimed(250)),
        (&[reset(false, 0)], Sent::Unknown),
        (&[refused], Sent::Acknowledged(0)),
    ];
    for (controls, expected) in table {
        let mut slice = Slice::default();
        slice.segment(1, syn(100));
        for control in controls {
            slice.segment(1, *control);
        }
        assert_eq!(slice.end(), [(1, expected)], "{controls:?}");
    }
}

#[test]
fn connections_between_the_same_ends_within_a_slice_are_told_apart() {
    let mut slice = Slice::default();
    for (initial, bytes) in [(100, 10), (5000, 70)] {
        slice.segment(1, syn(initial));
        let place = slice.lives.place(&1).unwrap();
        slice.turnover.opened[place as usize].decoded[0] += f64::from(bytes);
        slice.segment(1, fin(true, initial + 1, bytes));
        slice.segment(1, server_fin(initial + 2 + bytes));
    }
    let found: Vec<_> =
        slice.turnover.opened.iter().map(|opening| (opening.sent, opening.decoded[0])).collect();
    assert_eq!(found, [(Sent::Acknowledged(10), 10.0), (Sent::Acknowledged(70), 70.0)]);
}

#[test]
fn the_end_in_a_later_slice_changes_no_opening_of_that_one() {
    let mut slice = Slice::default();
    slice.segment(1, syn(100));
    assert_eq!(slice.lives.place(&1), Some(0));
    slice.end();
    slice.segment(2, syn(100));
    assert_eq!((slice.lives.place(&1), slice.lives.place(&2)), (None, Some(0)));
    assert_eq!(slice.segment(1, reset(true, 101)), Some(Change::Reset));
    assert_eq!(slice.end(), [(2, Sent::Alive)]);
}

#[test]
fn of_those_that_were_there_before_the_end_tells_what_was_sent_in_all() {
    let mut slice = Slice::default();
    slice.segment(1, syn(100));
    slice.end();
    let known = Control { initial: Some(5000), ..fin(true, 5101, 0) };
    for (key, control) in [
        (1, fin(true, 301, 0)),
        (1, server_fin(302)),
        // From before lives were followed, its SYN seen or not.
        (2, known),
        (2, server_fin(5102)),
        (3, fin(true, 77, 0)),
        (3, server_fin(78)),
        // As the client alone says.
        (4, syn(1)),
        (4, reset(true, 9)),
    ] {
        slice.segment(key, control);
    }
    assert_eq!(slice.turnover.ended, [(1, 200), (2, 100)]);
}

#[test]
fn what_was_under_way_ends_by_its_fins_and_a_stray_reset_ends_nothing() {
    let mut slice = Slice::default();
    assert_eq!(slice.segment(1, reset(true, 0)), None);
    assert_eq!(slice.segment(1, fin(false, 3, 0)), None);
    assert_eq!(slice.segment(1, reset(true, 0)), Some(Change::Reset));
}

#[test]
fn what_has_come_and_gone_takes_no_memory_however_long_that_goes_on() {
    let mut slice = Slice::default();
    const SLICES: u64 = 5;
    for number in 0..10_000_u32 {
        let now = NOW + u64::from(number) * REMEMBERED / SLICES;
        for key in 10 * number..10 * number + 10 {
            slice.segment_at(key, now, syn(1));
            slice.segment_at(key, now, fin(true, 2, 5));
            assert_eq!(slice.segment_at(key, now, fin(false, 9, 0)), Some(Change::Finished));
            assert_eq!(slice.segment_at(key.saturating_sub(40), now, fin(false, 9, 0)), None, "again");
        }
        assert_eq!(slice.end_at(now).len(), 10);
        assert!(slice.lives.lives.len() <= 10 * (1 + SLICES as usize));
    }
    assert_eq!(slice.lives.ended.len(), slice.lives.lives.len());
    assert!(slice.lives.known.len() <= SPARE_PLACES + 200);
}

#[test]
fn whose_ends_are_used_again_is_remembered_for_as_long_as_any() {
    let mut slice = Slice::default();
    let live = |slice: &mut Slice, at, initial| {
        assert_eq!(slice.segment_at(1, at, syn(initial)), Some(Change::Opened));
        slice.segment_at(1, at, fin(true, initial + 1, 5));
        assert_eq!(slice.segment_at(1, at, fin(false, 9, 0)), Some(Change::Finished));
    };
    let [second, third] = [1, 2].map(|times| NOW + times * REMEMBERED);
    live(&mut slice, NOW, 100);
    slice.end_at(second);
    live(&mut slice, second, 200);
    // The first has been forgotten by then, the second has not.
    slice.end_at(third);
    assert_eq!(slice.segment_at(1, third, fin(false, 9, 0)), None, "sent again");
    assert_eq!(slice.segment_at(1, third, fin(true, 201, 5)), None, "sent again");
    slice.end_at(third + 1);
    assert!(slice.lives.lives.is_empty() && slice.lives.ended.is_empty());
}

#[test]
fn a_flood_is_bounded() {
    let mut slice = Slice::default();
    for key in 0..MOST_LIVES as u32 + 10 {
        assert_eq!(slice.segment(key, syn(1)), Some(Change::Opened));
    }
    assert_eq!((slice.lives.forgotten(), slice.lives.lives.len()), (10, MOST_LIVES));
    assert_eq!(slice.turnover.opened.len(), MOST_OPENINGS);
    assert_eq!(slice.lives.end_slice(NOW), (MOST_LIVES - MOST_OPENINGS) as u64 + 10);
    assert_eq!(slice.lives.end_slice(NOW), 0);
}

#[test]
fn ends_beyond_the_bound_are_left_out_and_counted() {
    let mut slice = Slice::default();
    for key in 0..MOST_OPENINGS as u32 + 7 {
        slice.segment(key, Control { initial: Some(0), ..fin(true, 11, 0) });
        assert_eq!(slice.segment(key, server_fin(12)), Some(Change::Finished));
    }
    assert_eq!((slice.turnover.ended.len(), slice.lives.end_slice(NOW)), (MOST_OPENINGS, 7));
}

#[test]
fn behind_a_flood_that_nobody_ends_connections_are_followed_as_before() {
    let mut slice = Slice::default();
    for key in 0..3 * MOST_LIVES as u32 {
        slice.segment(key, syn(1));
    }
    slice.end();
    for key in 4 * MOST_LIVES as u32..5 * MOST_LIVES as u32 {
        assert_eq!(slice.segment(key, syn(1)), Some(Change::Opened));
        assert_eq!(slice.segment(key, fin(true, 2, 5)), None);
        assert_eq!(slice.segment(key, fin(false, 9, 0)), Some(Change::Finished), "{key}");
    }
    assert!(slice.lives.known.len() <= 2 * MOST_LIVES + SPARE_PLACES);
}
