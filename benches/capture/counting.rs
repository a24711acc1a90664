//! What no decoder can be cheaper than: the exporter's own capture, and a loop that counts.

use std::{
    os::fd::{AsFd as _, AsRawFd as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use dbwire_exporter::{
    config::PortSet,
    io::{
        capture::live::{Live, Settings},
        clock::thread_cpu_time,
    },
    packet::filter::Plan,
};

/// What a loop has seen, and what it took.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) cpu_seconds: f64,
    pub(crate) packets: f64,
    pub(crate) ring_bytes: f64,
    pub(crate) dropped: f64,
}

/// A thread that counts packets of loopback.
pub(crate) struct Counting {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Counted>,
}

impl Counting {
    /// Captures from when it returns on.
    pub(crate) fn start(port: u16, reply_bytes: Option<u16>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, wait_until_ready) = mpsc::channel();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let plan = Plan { reply_bytes, ..Plan::whole(PortSet::new(&[port]).expect("a port")) };
            let settings = Settings { interface: "lo".to_owned(), plan, buffer_bytes: 8 << 20, fanout: None };
            let mut live = Live::open(&settings).expect("root may capture");
            live.follow().expect("loopback is there");
            ready.send(()).expect("it is waited for");
            count(&mut live, &stopped)
        });
        wait_until_ready.recv().expect("the capture opens");
        Self { stop, thread }
    }

    /// What was counted since.
    pub(crate) fn finish(self) -> Counted {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("counting does not panic")
    }
}

fn count(live: &mut Live, stop: &AtomicBool) -> Counted {
    let (mut counted, mut touched) = (Counted::default(), 0_u64);
    let before = thread_cpu_time();
    while !stop.load(Ordering::Relaxed) {
        let mut ring = libc::pollfd { fd: live.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, of a descriptor that is open.
        unsafe { libc::poll(&raw mut ring, 1, 100) };
        while live
            .dispatch(1024, |frame| {
                counted.packets += 1.0;
                counted.ring_bytes += frame.bytes.len() as f64;
                // A byte of the TCP header: what does not look at the packet need not wait for it.
                touched += u64::from(frame.bytes.get(40).copied().unwrap_or_default());
            })
            .expect("the capture goes on")
            > 0
        {}
    }
    std::hint::black_box(touched);
    counted.cpu_seconds = (thread_cpu_time() - before).as_secs_f64();
    counted.dropped = live.drops().map_or(0.0, |drops| f64::from(drops.kernel));
    counted
}
