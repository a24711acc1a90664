use std::collections::HashMap;

use super::{
    super::{
        census::{Listing, Socket},
        openings::{Opening, Sent},
    },
    *,
};

const SLICE: Duration = Duration::from_secs(5);

/// A server whose connections do so many queries in a slice, seen through a class.
struct World {
    sampler: Sampler<u16>,
    asked_for: SampleClass,
    /// By port: the cookie, and what it has done.
    sockets: HashMap<u16, (u64, u32)>,
    cookies: u64,
    /// Seen and not yet weighed, of both strata.
    waiting: [f64; 2],
    /// The counter of queries.
    estimate: f64,
    truth: f64,
}

impl World {
    /// One class of two, that of ports whose bit 1 is not set: 4 and 8 of the ports from 2 on.
    fn new(rotate: Option<Duration>, ports: &[u16]) -> Self {
        let asked_for = SampleClass::new(1, 1, 0).unwrap();
        let settings = Settings { class: asked_for, multiplier: Multiplier::Measured, rotate };
        let mut world = Self {
            sampler: Sampler::new(settings),
            asked_for,
            sockets: HashMap::new(),
            cookies: 0,
            waiting: [0.0; 2],
            estimate: 0.0,
            truth: 0.0,
        };
        ports.iter().for_each(|port| world.connect(*port));
        world.census(Slice::default());
        world
    }

    fn connect(&mut self, port: u16) {
        self.cookies += 1;
        self.sockets.insert(port, (self.cookies, 0));
    }

    fn census(&mut self, slice: Slice<u16>) {
        self.census_after(SLICE, slice);
    }

    fn census_after(&mut self, elapsed: Duration, slice: Slice<u16>) {
        let mut listing = Listing::default();
        for (&port, &(cookie, queries)) in &self.sockets {
            let (segments_in, segments_out) = (queries, queries);
            let client_bytes = queries * 10;
            let socket = Socket { cookie, client_port: port, segments_in, segments_out, client_bytes };
            listing.add(port, socket, true);
        }
        let census = listing.census().unwrap();
        let class = self.sampler.next_class(self.asked_for, 1, &census, elapsed);
        let weights = self.sampler.census(census, slice, elapsed, class, |port| *port);
        for (waiting, weight) in self.waiting.iter_mut().zip(weights) {
            if let Some(weight) = weight {
                self.estimate += std::mem::take(waiting) * weight;
            }
        }
    }

    /// So many queries of each of these connections, and what the sampled ones show of it.
    fn work(&mut self, queries: &[(u16, u32)]) -> Slice<u16> {
        let mut slice = Slice::default();
        for &(port, queries) in queries {
            self.sockets.get_mut(&port).unwrap().1 += queries;
            self.truth += f64::from(queries);
            if self.sampler.class().contains(port) {
                self.waiting[0] += f64::from(queries);
                slice.lasting.push((port, [f64::from(queries), 0.0, 0.0]));
            }
        }
        slice
    }

    fn slice(&mut self, queries: &[(u16, u32)]) {
        let slice = self.work(queries);
        self.census(slice);
    }

    fn unestimated(&self) -> f64 {
        self.sampler.state().accuracy.unwrap().unestimated
    }
}

fn opening(key: u16, sent: Sent) -> Opening<u16> {
    Opening { key, sent, decoded: [0.0; 3] }
}

#[test]
fn what_unequal_connections_do_is_estimated_exactly_where_x_is_what_they_do() {
    let mut world = World::new(None, &[2, 4, 6, 8]);
    for round in 1..=5 {
        world.slice(&[(2, 900), (4, 30 * round), (6, 0), (8, 70)]);
        assert!((world.estimate - world.truth).abs() < 1e-6, "{} {}", world.estimate, world.truth);
    }
    assert_eq!(world.unestimated(), 0.0);
}

#[test]
fn with_no_connection_in_the_class_the_counter_stands_still_and_the_traffic_is_told_of() {
    let mut world = World::new(None, &[2, 6]);
    (0..3).for_each(|_| world.slice(&[(2, 100), (6, 50)]));
    assert_eq!((world.estimate, world.sampler.state().census.unwrap().sampled), (0.0, 0));
    // Given up once it has been carried for more than a cycle, which is one slice.
    assert_eq!(world.unestimated(), 150.0);
    // Then a connection of the class comes to life, and stands for what is carried, not for what was given up.
    world.connect(4);
    world.slice(&[(2, 100), (6, 50)]);
    world.slice(&[(2, 100), (4, 10), (6, 50)]);
    assert!(world.estimate + world.unestimated() <= world.truth + 1e-6);
    assert!(world.estimate > 0.0);
}

#[test]
fn idle_connections_leave_everything_as_it_is() {
    let mut world = World::new(None, &[2, 4, 6, 8]);
    world.slice(&[(2, 10), (4, 10)]);
    let before = world.estimate;
    (0..100).for_each(|_| world.slice(&[]));
    assert_eq!((world.estimate, world.unestimated()), (before, 0.0));
    world.slice(&[(2, 10), (4, 10)]);
    assert!((world.estimate - 40.0).abs() < 1e-6, "{}", world.estimate);
}

#[test]
fn a_census_that_fails_makes_the_slice_longer_and_loses_nothing() {
    let mut world = World::new(None, &[2, 4]);
    world.slice(&[(2, 300), (4, 100)]);
    let mut slice = world.work(&[(2, 100), (4, 50)]);
    world.sampler.census_failed();
    assert_eq!(world.estimate, 400.0, "nothing is known of it yet");
    slice.extend(world.work(&[(2, 20), (4, 10)]));
    world.census(slice);
    assert!((world.estimate - world.truth).abs() < 1e-6);
    assert_eq!(world.sampler.state().censuses, [3, 1]);
}

#[test]
fn a_pool_that_reconnects_all_at_once_makes_no_counter_jump() {
    let mut world = World::new(None, &[2, 4, 6, 8]);
    (0..3).for_each(|_| world.slice(&[(2, 100), (4, 100), (6, 100), (8, 100)]));
    // All but one have gone at the end of the slice, and that one is nearly idle; others have come in their place.
    let mut slice = world.work(&[(2, 100), (4, 100), (6, 100), (8, 1)]);
    for port in [2, 4, 6] {
        world.sockets.remove(&port);
    }
    for port in [12, 14, 16, 18] {
        world.connect(port);
        slice.turnover.opened.push(opening(port, Sent::Alive));
    }
    let before = world.estimate;
    world.census(slice);
    let grown = world.estimate - before;
    assert!((150.0..=600.0).contains(&grown), "300 queries are told as {grown}");
    world.slice(&[(12, 100), (14, 100), (16, 100), (18, 100)]);
    assert!((world.estimate - before - grown - 400.0).abs() < 1e-6, "{}", world.estimate);
}

#[test]
fn a_server_that_starts_anew_makes_no_counter_jump() {
    let mut world = World::new(None, &[2, 4, 6, 8]);
    (0..3).for_each(|_| world.slice(&[(2, 1000), (4, 1000), (6, 1000), (8, 1000)]));
    let before = world.estimate;
    world.sockets.clear();
    world.census(Slice::default());
    assert_eq!(world.estimate, before);
    // The same ports, but other connections, whose numbers begin again.
    let mut slice = Slice::default();
    for port in [2, 4, 6, 8] {
        world.connect(port);
        slice.turnover.opened.push(opening(port, Sent::Acknowledged(10)));
    }
    world.census(slice);
    assert_eq!(world.estimate, before);
    world.slice(&[(2, 10), (4, 10), (6, 10), (8, 10)]);
    assert!((world.estimate - before - 40.0).abs() < 1e-6, "{}", world.estimate - before);
}

#[test]
fn what_came_before_the_first_census_is_told_of_and_not_multiplied() {
    let mut world = World::new(None, &[2, 4]);
    let settings = Settings { class: world.asked_for, multiplier: Multiplier::Measured, rotate: None };
    world.sampler = Sampler::new(settings);
    world.slice(&[(2, 10), (4, 7)]);
    assert_eq!((world.estimate, world.unestimated()), (0.0, 7.0));
}

#[test]
fn rotation_shows_each_class_in_turn_and_carries_what_a_quiet_class_does_not_tell() {
    let mut world = World::new(Some(SLICE), &[2, 4, 6, 8]);
    let mut classes = Vec::new();
    for _ in 0..8 {
        classes.push(world.sampler.class().number());
        // Class 0, of ports 4 and 8, is always idle.
        world.slice(&[(2, 100), (6, 20)]);
    }
    assert!(classes.contains(&0) && classes.contains(&1), "{classes:?}");
    let carried = world.truth - world.estimate;
    assert!((0.0..=120.0).contains(&carried), "a slice's at most: {carried}");
    assert_eq!(world.unestimated(), 0.0);
}

#[test]
fn in_a_rotation_traffic_is_carried_until_a_cycle_has_shown_all_classes_however_short_the_slices() {
    let mut world = World::new(Some(SLICE), &[2, 4, 6, 8]);
    for _ in 0..20 {
        let slice = world.work(&[(2, 100), (6, 20)]);
        world.census_after(Duration::from_secs(1), slice);
    }
    assert_eq!(world.unestimated(), 0.0);
}

#[test]
fn where_the_class_stays_new_connections_may_yet_fall_into_it() {
    let mut world = World::new(None, &[2, 4]);
    let mut unsampled = |seconds: u64, port| {
        let mut slice = Slice::default();
        slice.turnover.opened.push(opening(port, Sent::Acknowledged(50)));
        world.census_after(Duration::from_secs(seconds), slice);
        world.unestimated()
    };
    let told: Vec<_> = [6, 10, 14, 18].map(|port| unsampled(1, port)).into();
    assert_eq!(told, [0.0; 4], "one may come yet");
    assert_eq!(unsampled(2, 22), 4.0);
}
