use std::time::Duration;

use super::{
    super::{
        census::Listing,
        openings::{Opening, Sent},
    },
    *,
};

fn census(sockets: &[(u16, u64, u32)]) -> Census<u16> {
    let mut listing = Listing::default();
    for &(port, cookie, segments) in sockets {
        let socket = Socket {
            cookie,
            client_port: port,
            segments_in: segments,
            segments_out: segments,
            client_bytes: segments * 10,
        };
        listing.add(port, socket, true);
    }
    listing.census().unwrap()
}

/// The stratum between two censuses, the second of which has so many queries decoded.
fn between(before: &Census<u16>, now: &[(u16, u64, u32)], queries: &[(u16, f64)]) -> Stratum {
    let now = census(now);
    let decoded: Vec<_> = queries.iter().map(|(port, queries)| (*port, [*queries, 0.0, 0.0])).collect();
    lasting(before, &now, &decoded.into(), &mut [], class())
}

/// Of ports 2, 4, 6, 8 those with bit 1 set: 2 and 6.
fn class() -> SampleClass {
    SampleClass::new(1, 1, 1).unwrap()
}

#[test]
fn the_weight_is_the_ratio_of_requests_not_of_connections() {
    let before = census(&[(2, 1, 0), (4, 2, 0), (6, 3, 0), (8, 4, 0)]);
    let now = [(2, 1, 10), (4, 2, 300), (6, 3, 30), (8, 4, 60)];
    let stratum = between(&before, &now, &[(6, 10.0), (2, 10.0), (6, 20.0)]);
    assert_eq!(stratum.weight(0.0), Some(10.0));
    assert_eq!(stratum.queries(10.0), 400.0);
    assert_eq!(stratum.weight(40.0), Some(11.0));
}

#[test]
fn nothing_sampled_tells_nothing() {
    let stratum = between(&census(&[(4, 2, 0)]), &[(4, 2, 300)], &[]);
    assert_eq!((stratum.weight(0.0), stratum.all), (None, 300.0));
}

#[test]
fn connections_that_ended_do_not_lend_their_requests_the_weight_of_the_rest() {
    // The pool of 2 and 4 has gone; 6 is nearly idle, 8 is busy.
    let mut before = census(&[(2, 1, 99), (4, 2, 299), (6, 3, 0), (8, 4, 0)]);
    before.compare(&census(&[(2, 1, 0), (4, 2, 0)]), Duration::ZERO);
    let stratum = between(&before, &[(6, 3, 1), (8, 4, 5000)], &[(2, 9999.0), (6, 1.0)]);
    let weight = stratum.weight(0.0).unwrap();
    assert!((weight - (1.0 + 5000.0 + 4.0 * 9999.0) / 10_000.0).abs() < 1e-9, "{weight}");
}

#[test]
fn what_connections_that_ended_did_in_a_moment_before_does_not_tell_how_busy_they_were() {
    let at = |sampled, other| census(&[(2, 1, sampled), (4, 2, other), (6, 3, sampled), (8, 4, other)]);
    let (first, mut second, mut third) = (at(0, 0), at(5000, 5000), at(5001, 5200));
    second.compare(&first, Duration::from_secs(5));
    third.compare(&second, Duration::from_millis(50));
    let stratum = between(&third, &[], &[(2, 5000.0), (6, 5000.0)]);
    let weight = stratum.weight(0.0).unwrap();
    assert!((2.0..2.1).contains(&weight), "{weight}");
}

/// 2 of them is sampled. A request takes 10 bytes.
#[test]
fn bytes_at_the_end_tell_what_was_done_last_however_busy_it_was_before() {
    let start = census(&[(2, 1, 0), (4, 2, 0), (8, 3, 0)]);
    let mut before = census(&[(2, 1, 1000), (4, 2, 1000), (8, 3, 1000)]);
    before.compare(&start, Duration::ZERO);
    let weight = |ended: &mut [(u16, u32)], decoded: f64| {
        let decoded = vec![(2, [decoded, 0.0, 0.0])].into();
        lasting(&before, &census(&[]), &decoded, ended, class()).weight(0.0).unwrap()
    };
    assert_eq!(weight(&mut [], 500.0), 3.0, "as busy as the sampled one");
    let near = |weight: f64, expected: f64| {
        assert!((weight - expected).abs() < 0.01 * expected, "{weight} instead of {expected}");
    };
    near(weight(&mut [(8, 10_000), (4, 12_000), (2, 15_000)], 500.0), 700.0 / 500.0);
    // Of 8 nothing is known; were it like 2, it would have as many.
    near(weight(&mut [(4, 12_000)], 500.0), (500.0 + 500.0 + 200.0) / 500.0);
    // What a byte is worth is held against what was decoded.
    near(weight(&mut [(2, 15_000), (4, 12_000), (8, 10_000)], 250.0), 350.0 / 250.0);
    // A large request, and more than 4 GiB.
    near(weight(&mut [(2, 15_000), (4, 80_000_000), (8, 10_000)], 500.0), 8508.0 / 500.0);
    assert!(weight(&mut [(4, 5)], 500.0) > 2.0, "what cannot be is not believed");
}

fn opening(key: u16, sent: Sent) -> Opening<u16> {
    Opening { key, sent, decoded: [0.0; 3] }
}

fn weight_of_new(now: &Census<u16>, openings: &[Opening<u16>]) -> Option<f64> {
    new(now, openings, class(), |key| *key).weight(0.0)
}

#[test]
fn new_connections_count_by_their_requests_or_bytes_and_else_by_their_number() {
    // Its login is one of its requests.
    let now = census(&[(4, 2, 61)]);
    let known = [(2, Sent::Acknowledged(100)), (4, Sent::Alive), (6, Sent::Acknowledged(200))];
    assert_eq!(weight_of_new(&now, &known.map(|(key, sent)| opening(key, sent))), Some(3.0));
    let unknown = [2, 4, 6, 8].map(|key| opening(key, Sent::Unknown));
    assert_eq!(weight_of_new(&Census::default(), &unknown), Some(2.0));
}

/// Strangers need not log in, nor finish a handshake, to send segments that open and end connections.
#[test]
fn connections_that_never_came_to_be_and_claims_that_nobody_confirms_raise_no_weight() {
    let now = census(&[(2, 1, 60), (4, 2, 60)]);
    let real = [2, 4].map(|key| opening(key, Sent::Alive));
    assert_eq!(weight_of_new(&now, &real), Some(2.0));
    let half_open = |n: u16| opening(8 + 4 * n, Sent::Alive);
    let flood: Vec<_> = real.into_iter().chain((0..1000).map(half_open)).collect();
    assert_eq!(weight_of_new(&now, &flood), Some(2.0));
    let refused = |n: u16| opening(8 + 4 * n, Sent::Acknowledged(0));
    let refusals: Vec<_> = real.into_iter().chain((0..1000).map(refused)).collect();
    assert_eq!(weight_of_new(&now, &refusals), Some(2.0));
    let liar = [real[0], real[1], opening(8, Sent::Claimed(u32::MAX))];
    let weight = weight_of_new(&now, &liar).unwrap();
    assert!((2.9..3.1).contains(&weight), "{weight}: as one of the others, at most");
}

/// What is estimated, and what is true, of connections with so many queries, which send `bytes` for them; every other
/// one is sampled.
fn estimate(queries: &[f64], bytes: impl Fn(f64) -> f64) -> (f64, f64) {
    let openings: Vec<_> = (1..)
        .map(|n| 2 * n)
        .zip(queries.iter().copied())
        .map(|(key, queries)| Opening {
            key,
            sent: Sent::Acknowledged(bytes(queries) as u32),
            decoded: if class().contains(key) { [queries, 0.0, 0.0] } else { [0.0; 3] },
        })
        .collect();
    let stratum = new(&Census::default(), &openings, class(), |port| *port);
    (stratum.queries(stratum.weight(0.0).unwrap()), queries.iter().sum())
}

#[test]
fn the_bytes_of_logins_do_not_count_as_requests() {
    // The sampled ones have 1 to 3, the others 3.
    let queries: Vec<_> =
        (0..20).map(|n| if n % 2 == 0 { 1.0 + f64::from(n / 2 % 3) } else { 3.0 }).collect();
    let (estimated, truth) = estimate(&queries, |queries| 100.0 + 13.0 * queries);
    assert!((estimated / truth - 1.0).abs() < 1e-9, "{estimated}, in truth {truth}");
}

#[test]
fn one_that_sends_far_more_than_any_sampled_one_weighs_no_more_than_its_bytes() {
    let mut queries: Vec<_> = (0..20).map(|n| 1.0 + f64::from(n / 2 % 3)).collect();
    let (small, _) = estimate(&queries, |queries| 100.0 + 13.0 * queries);
    queries[1] = 1000.0;
    let (large, _) = estimate(&queries, |queries| 100.0 + 13.0 * queries);
    // A byte of the sampled ones is worth 2 / 126 of a query.
    let by_bytes = 13_000.0 * 2.0 / 126.0;
    assert!((0.9..1.1).contains(&((large - small) / by_bytes)), "{small} {large}");
}

/// It is carried into a slice that counts requests.
#[test]
fn what_nothing_tells_of_is_counted_in_connections_and_not_in_their_bytes() {
    let ended: Vec<_> = (1..=10).map(|n| opening(4 * n, Sent::Acknowledged(200))).collect();
    let stratum = new(&Census::default(), &ended, class(), |port| *port);
    assert_eq!((stratum.sampled, stratum.weight(0.0)), (0.0, None));
    assert!((stratum.all - 10.0).abs() < 1e-9, "{}", stratum.all);
}
