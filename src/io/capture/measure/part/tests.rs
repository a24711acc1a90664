use std::panic::AssertUnwindSafe;

use super::*;
use crate::{
    config::{Counting, PortSet},
    io::netlink::Transport,
    packet::Endpoint,
    pipeline::Options,
    sample::{
        census::{Listing, MOST_SOCKETS, Socket},
        class::SampleClass,
        pace::ENOUGH,
    },
    stream::key::{Ends, FlowKey},
};

/// A thread's part, its pipeline, and when it began.
struct Thread(Part, Pipeline, Instant);

impl Thread {
    fn turn(&mut self) -> Option<Timestamp> {
        self.turn_after(Duration::ZERO)
    }

    fn turn_after(&mut self, time: Duration) -> Option<Timestamp> {
        self.turn_having(0, time)
    }

    /// With so many requests in the slice.
    fn turn_having(&mut self, sampled: u64, time: Duration) -> Option<Timestamp> {
        let orders = self.0.turn(self.2 + time, sampled, None);
        orders.cut_at.inspect(|at| self.1.cut_at(*at))
    }

    fn end_slice(&mut self) {
        if let Some(at) = self.0.cut_at() {
            self.1.tick(at);
        }
        self.0.finish(&mut self.1);
    }

    fn answers(&self) -> u64 {
        self.0.answerable()
    }
}

impl Thread {
    /// As seen from another place.
    fn part(&self) -> Part {
        Part {
            measurement: Arc::clone(&self.0.measurement),
            taker: Arc::clone(&self.0.taker),
            requests: Arc::clone(&self.0.requests),
            ..self.0
        }
    }
}

fn threads(bits: u8) -> [Thread; 3] {
    let class = SampleClass::new(bits, 1, 0).unwrap();
    // A port that nobody uses.
    let plan = Plan { class, ..Plan::whole(PortSet::new(&[1]).unwrap()) };
    let options = Options {
        plan,
        max_flows: 64,
        seed: 1,
        counting: Counting::default(),
        multiplier: Multiplier::Measured,
        census: true,
    };
    let parts = parts(&options.plan, options.multiplier, SampleSettings::default(), 3).unwrap();
    let now = Instant::now();
    let threads = parts.into_iter().map(|part| Thread(part, Pipeline::new(options.clone()), now));
    threads.collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("three"))
}

#[test]
fn a_request_is_answered_once_every_thread_has_ended_its_slice() {
    let mut threads = threads(1);
    let request = threads[1].0.requests().ask();
    let at = threads.each_mut().map(Thread::turn);
    assert!(at[0].is_some() && at.iter().all(|each| *each == at[0]), "{at:?}");
    for last in [false, false, true] {
        assert_eq!(threads[1].answers(), 0);
        threads.rotate_left(1);
        threads[0].end_slice();
        assert_eq!(threads.iter().any(|thread| thread.0.progress == Progress::Idle), last);
    }
    threads.iter_mut().for_each(Thread::end_slice);
    assert_eq!(threads[1].answers(), request);
    assert_eq!(threads[0].0.state().censuses, [1, 0]);
    assert_eq!(threads[0].turn(), None, "nobody asks, and it is not yet time");
}

/// Another census than the kernel's.
fn list_by(threads: &[Thread; 3], open: impl FnMut() -> io::Result<Box<dyn Transport>> + Send + 'static) {
    *lock(&threads[0].0.taker) = CensusTaker::new(PortSet::new(&[1]).unwrap(), Dumper::new(Box::new(open)));
}

#[test]
fn who_asks_within_a_second_of_a_census_is_answered_by_it() {
    let mut threads = threads(1);
    let round = |threads: &mut [Thread; 3], after: Duration| {
        let requests = threads.each_ref().map(|thread| thread.0.requests().ask());
        threads.iter_mut().for_each(|thread| {
            thread.turn_after(after);
        });
        (0..2).for_each(|_| threads.iter_mut().for_each(Thread::end_slice));
        assert_eq!(threads.each_ref().map(Thread::answers), requests);
        threads[0].0.state().censuses[0]
    };
    let censuses = [0, 1, 999, 1000, 1001, 1999, 2000, 9000];
    let censuses = censuses.map(|after| round(&mut threads, Duration::from_millis(after)));
    assert_eq!(censuses, [1, 1, 1, 2, 2, 2, 3, 4]);
}

#[test]
fn a_slice_with_enough_to_weigh_ends_early_whichever_threads_have_it() {
    let mut threads = threads(1);
    let round = |threads: &mut [Thread; 3], sampled: [u64; 3], seconds: u64| {
        // The last of them may begin it.
        for (thread, sampled) in threads.iter_mut().zip(sampled) {
            thread.turn_having(sampled, Duration::from_secs(seconds));
        }
        for thread in threads.iter_mut() {
            thread.turn_after(Duration::from_secs(seconds));
        }
        (0..2).for_each(|_| threads.iter_mut().for_each(Thread::end_slice));
        threads[0].0.state().censuses[0]
    };
    assert_eq!(round(&mut threads, [0; 3], 0), 1);
    assert_eq!(round(&mut threads, [300, 300, ENOUGH - 601], 2), 1);
    assert_eq!(round(&mut threads, [300, 300, ENOUGH - 600], 2), 2);
    assert_eq!(round(&mut threads, [0, 0, 0], 4), 2, "those were weighed");
}

#[test]
fn while_the_kernel_is_asked_nobody_else_asks_it_and_nobody_waits_for_the_lock() {
    let mut threads = threads(1);
    let request = threads[1].0.requests().ask();
    let mut other = threads[1].part();
    let turned = Arc::new(Mutex::new(None));
    let told = Arc::clone(&turned);
    list_by(&threads, move || {
        let orders = other.turn(Instant::now(), 0, None);
        *lock(&told) = Some((orders.cut_at, other.answerable(), other.is_wanted()));
        Err(io::ErrorKind::Unsupported.into())
    });
    assert_eq!(threads[0].turn(), None);
    assert_eq!(*lock(&turned), Some((None, 0, false)), "it goes on, and waits to be told");
    threads[1].turn();
    assert_eq!((threads[1].answers(), threads[0].0.state().censuses), (request, [0, 1]));
    // What lists connections here holds the part that holds it.
    list_by(&threads, || Err(io::ErrorKind::Unsupported.into()));
}

#[test]
fn a_thread_that_panics_while_it_asks_the_kernel_leaves_that_to_others() {
    let mut threads = threads(1);
    list_by(&threads, || panic!("a fault that is meant"));
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| threads[0].turn()));
    assert!(panicked.is_err());
    assert_eq!(threads[1].turn(), None, "somebody is at it");
    threads[0].0.leave();
    list_by(&threads, || Err(io::ErrorKind::Unsupported.into()));
    threads[1].turn();
    assert_eq!(threads[1].0.state().censuses, [0, 1]);
}

#[test]
fn of_too_many_connections_there_is_no_estimate_until_there_are_fewer() {
    let mut threads = threads(1);
    let request = threads[0].0.requests().ask();
    let mut listing = Listing::default();
    let socket = Socket { cookie: 1, client_port: 2, segments_in: 0, segments_out: 0, client_bytes: 0 };
    let end = |address| Endpoint { address, port: 2 };
    for number in 0..=MOST_SOCKETS as u128 {
        listing.add(Ends::of(&FlowKey { client: end(number), server: end(0) }), socket, true);
    }
    let census = listing.census().map_err(CensusError::from);
    lock(&threads[0].0.measurement).begin(census, Instant::now(), Duration::ZERO, vec![request; 3]);
    assert_eq!(threads[0].turn(), None);
    assert_eq!((threads[0].answers(), threads[0].0.state().censuses), (request, [0, 1]));
}

#[test]
fn nobody_waits_for_a_thread_that_has_left_and_it_misses_the_round_that_it_finds() {
    let mut threads = threads(1);
    threads[1].turn();
    threads[0].turn();
    threads[0].end_slice();
    threads[2].0.leave();
    threads[1].end_slice();
    threads[0].end_slice();
    assert_eq!(threads[0].0.state().censuses, [1, 0]);
    // When a census may be made again.
    let second = Duration::from_secs(1);
    let request = threads[0].0.requests().ask();
    assert!(threads[0].turn_after(second).is_some());
    threads[2].0.join();
    assert_eq!(threads[2].turn_after(second), None);
    assert!(threads[1].turn_after(second).is_some());
    for thread in [0, 1, 0] {
        threads[thread].end_slice();
    }
    assert_eq!(threads[0].answers(), request);
    threads[2].0.requests().ask();
    assert!(threads.iter_mut().all(|thread| thread.turn_after(2 * second).is_some()));
}

#[test]
fn without_a_class_each_thread_answers_for_itself() {
    let [mut thread, ..] = threads(0);
    let request = thread.0.requests().ask();
    assert_eq!((thread.turn(), thread.answers()), (None, request));
}
