//! `packet → stream → mysql → stats` joined: one value, used alike by live capture, replay, tests and benches.
//!
//! Call order: [`Pipeline::frame`] for each frame, [`Pipeline::tick`] now and then while frames may be missing (at
//! least once a second while capturing), [`Pipeline::finish`] once at the end of a file. [`Pipeline::stats`] may be
//! read at any time.

#![forbid(unsafe_code)]

mod sink;

use sink::{Connection, Sink};

use crate::{
    config::Counting,
    limits::{Bounds, Limit},
    packet::{
        CLOCK_STEP_NANOS, Endpoint, Frame, Segment, TcpFlags, Timestamp, filter::Plan, link::LinkType,
        segment,
    },
    sample::{
        estimator::Slice,
        multiplier::Multiplier,
        openings::{Change, Control, Lives},
        state::Sampling,
    },
    stats::{
        Recorder, Stats,
        profile::Profile,
        tally::{Stratum, Weights},
    },
    stream::{
        Direction,
        flows::FlowTable,
        key::{Ends, FlowKey},
    },
};

/// Nanoseconds of packet time between two ticks.
const TICK: u64 = 100_000_000;

/// What a pipeline needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections to decode; segments of others are passed over.
    pub plan: Plan,
    /// Most connections tracked at once.
    pub max_flows: usize,
    /// Makes the connection table's hash unpredictable; any number will do for a replay.
    pub seed: u64,
    /// What to count, and how finely.
    pub counting: Counting,
    /// What an event of a sampled connection stands for.
    pub multiplier: Multiplier,
    /// Whether somebody calls [`Pipeline::fold`] while there is a class to choose from; else each event stands for the
    /// same, from first to last.
    pub census: bool,
}

/// Decodes frames into [`Stats`].
#[derive(Debug)]
pub struct Pipeline {
    plan: Plan,
    /// The plan to come, and from when on.
    next_plan: Option<(Timestamp, Plan)>,
    flows: FlowTable<Connection>,
    bounds: Bounds,
    sink: Sink,
    lives: Lives<Ends>,
    multiplier: Multiplier,
    census: bool,
    /// Where the slice is to end.
    cut_at: Option<Timestamp>,
    /// The one that has ended.
    slice: Option<Slice<Ends>>,
    /// Packet time.
    now: Timestamp,
    next_tick: Timestamp,
    /// A frame from before that tells that the clock was set back.
    set_back: Timestamp,
}

impl Pipeline {
    /// An empty pipeline.
    pub fn new(options: Options) -> Self {
        let class = options.plan.class;
        let mut recorder = Recorder::new(&options.counting);
        recorder.measuring = options.census && class.bits() > 0;
        recorder.stats.sampling = Sampling::fixed(class, options.multiplier.nominal(class));
        Self {
            plan: options.plan,
            next_plan: None,
            flows: FlowTable::new(options.max_flows, options.seed),
            bounds: Bounds::new(options.max_flows),
            sink: Sink::new(recorder),
            lives: Lives::new(options.seed),
            multiplier: options.multiplier,
            census: options.census,
            cut_at: None,
            slice: None,
            now: Timestamp(0),
            next_tick: Timestamp(0),
            set_back: Timestamp(0),
        }
    }

    /// Decodes one frame.
    #[inline]
    pub fn frame(&mut self, link: LinkType, frame: &Frame<'_>) {
        self.sink.recorder.stats.packets += 1;
        self.sink.recorder.stats.bytes += u64::from(frame.wire_length);
        self.sink.recorder.stats.ring_bytes += frame.bytes.len() as u64;
        if frame.timestamp >= self.next_tick || frame.timestamp < self.set_back {
            self.tick(frame.timestamp);
        }
        match segment::decode(link, frame) {
            Ok(segment) => self.segment(frame.timestamp, &segment),
            Err(layer) => self.sink.recorder.stats.undecoded(layer),
        }
    }

    /// Frames from `from` on are decoded by another plan. Connections that are not in it stay in the table until they are
    /// idle for too long, and go on where they come back into a later plan.
    pub fn set_plan(&mut self, plan: Plan, from: Timestamp) {
        if let Some((due, plan)) = self.next_plan.take()
            && due <= from
        {
            self.change_plan(plan);
        }
        self.next_plan = Some((from, plan));
        self.next_tick = self.next_tick.min(from);
    }

    /// Packet time has reached `now`: connections idle for too long are forgotten, holes that nothing will fill any
    /// more become gaps.
    pub fn tick(&mut self, now: Timestamp) {
        self.next_tick = Timestamp(now.0.saturating_add(TICK));
        self.set_back = Timestamp(now.0.saturating_sub(CLOCK_STEP_NANOS));
        self.now = now;
        self.cut_if_due(now);
        match self.next_plan.take() {
            Some((from, plan)) if from <= now => self.change_plan(plan),
            Some((from, plan)) => {
                self.next_tick = self.next_tick.min(from);
                self.next_plan = Some((from, plan));
            }
            None => {}
        }
        self.flows.tick(now, &self.bounds, &mut self.sink);
        self.sink.recorder.tick(now);
        if self.sink.recorder.is_fold_due(now) && self.may_settle() {
            self.settle();
        }
    }

    fn change_plan(&mut self, plan: Plan) {
        if plan.class != self.plan.class || plan.ports != self.plan.ports {
            self.flows.reselect();
        }
        self.plan = plan;
        if self.plan.class.bits() == 0 {
            self.lives.forget();
            self.sink.opening = None;
        }
        self.sink.recorder.measuring = self.awaits_census();
    }

    /// Whether weights come from outside.
    fn awaits_census(&self) -> bool {
        self.census && self.plan.class.bits() > 0
    }

    /// The slice ends at `at`, which frames later than that have not passed yet. A change of plans at the same time takes
    /// place in the next slice.
    pub fn cut_at(&mut self, at: Timestamp) {
        self.cut_at = Some(at);
        self.next_tick = self.next_tick.min(at);
    }

    fn cut_if_due(&mut self, now: Timestamp) {
        let Some(at) = self.cut_at else { return };
        if now < at {
            self.next_tick = self.next_tick.min(at);
            return;
        }
        self.cut_at = None;
        let left_out = self.lives.end_slice(now.0);
        self.slice.get_or_insert_default().extend(self.sink.cut(left_out));
    }

    /// Statements decoded in the slice so far.
    pub fn sampled(&self) -> u64 {
        self.sink.recorder.seen()
    }

    /// What was decoded in the slice that has ended, once it has.
    pub fn take_slice(&mut self) -> Option<Slice<Ends>> {
        self.slice.take()
    }

    /// What an event of the slice that has ended, and of those before it that had no weight, stands for.
    pub fn fold(&mut self, weights: Weights) {
        self.sink.recorder.fold(self.now, weights);
    }

    /// Whether nothing that was seen waits for a weight from outside.
    fn may_settle(&self) -> bool {
        !self.awaits_census() && self.slice.is_none() && self.cut_at.is_none()
    }

    /// How what was seen becomes an estimate.
    pub fn set_sampling(&mut self, sampling: Sampling) {
        self.sink.recorder.stats.sampling = sampling;
    }

    /// Whatever was seen stands for the same.
    fn settle(&mut self) {
        self.sink.recorder.cut();
        let weight = self.multiplier.nominal(self.plan.class);
        self.sink.recorder.fold(self.now, [Some(weight); Stratum::COUNT]);
    }

    /// The input has ended: everything still held back is delivered.
    pub fn finish(&mut self) {
        self.flows.finish(&self.bounds, &mut self.sink);
    }

    /// [`Self::finish`], and what was counted.
    pub fn finished(mut self) -> (Stats, Option<Profile>) {
        self.finish();
        (self.stats().clone(), self.sink.recorder.into_profile())
    }

    /// What has been counted so far.
    pub fn stats(&mut self) -> &Stats {
        if self.may_settle() {
            self.settle();
        }
        let hits = self.bounds.hits();
        let stats = self.sink.recorder.publish();
        // The others are the counters' own.
        let own = |limit: &Limit| {
            matches!(
                limit,
                Limit::ErrorCodes | Limit::Schemas | Limit::Users | Limit::Clients | Limit::SliceConnections
            )
        };
        for limit in Limit::ALL.into_iter().filter(|limit| !own(limit)) {
            stats.limit_hits[limit as usize] = hits[limit as usize];
        }
        stats.limit_hits[Limit::ConnectionLives as usize] = self.lives.forgotten();
        stats
    }

    /// What a report is made of, if [`Counting::profile`] asked for it.
    pub fn profile(&self) -> Option<&Profile> {
        self.sink.recorder.profile()
    }

    /// What is in use of the shared bounds.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Takes one segment, as [`Self::frame`] does once it has decoded it.
    #[inline]
    pub fn segment(&mut self, at: Timestamp, segment: &Segment<'_>) {
        let Some((key, direction)) = self.orient(segment) else { return };
        // The filter has done both for live capture, but for what was in the ring when the plan changed.
        let selected = self.plan.class.contains(key.client.port);
        let change = self.follow_life(key, direction, at, segment);
        if selected {
            let segment = match (self.plan.reply_bytes, direction) {
                (Some(most), Direction::ToClient) => cut(*segment, most),
                _ => *segment,
            };
            self.flows.segment(key, direction, at, segment, &self.bounds, &mut self.sink);
        } else if segment.flags.any(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST)
            && !self.flows.unselected_segment(&key, direction, at, segment, &self.bounds, &mut self.sink)
        {
            self.sink.unselected(change);
        }
    }

    /// Openings and ends are seen of every connection; with no class there is nothing to learn from them.
    #[inline]
    fn follow_life(
        &mut self,
        key: FlowKey,
        direction: Direction,
        at: Timestamp,
        segment: &Segment<'_>,
    ) -> Option<Change> {
        const CONTROL: u8 = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
        if self.plan.class.bits() == 0 || !segment.flags.any(CONTROL) {
            return None;
        }
        let control = Control {
            from_client: direction == Direction::ToServer,
            opens: segment.flags.any(TcpFlags::SYN),
            finishes: segment.flags.any(TcpFlags::FIN),
            resets: segment.flags.any(TcpFlags::RST),
            sequence: segment.sequence,
            length: (segment.payload.len() as u32).wrapping_add(segment.cut),
            acknowledged: segment.flags.any(TcpFlags::ACK).then_some(segment.acknowledgment),
            initial: if segment.flags.any(TcpFlags::FIN) { self.flows.initial(&key) } else { None },
        };
        let ends = Ends::of(&key);
        let change = self.lives.segment(ends, at.0, control, &mut self.sink.slice.turnover);
        if control.opens {
            self.sink.opening = self.lives.place(&ends);
        }
        change
    }

    /// Which end is the server; `None` if neither is.
    #[inline]
    fn orient(&self, segment: &Segment<'_>) -> Option<(FlowKey, Direction)> {
        let to_server = self.plan.ports.contains(segment.destination.port);
        let to_client = self.plan.ports.contains(segment.source.port);
        let direction = match (to_server, to_client) {
            (true, false) => Direction::ToServer,
            (false, true) => Direction::ToClient,
            (true, true) => self.orient_between_servers(segment),
            (false, false) => return None,
        };
        Some((key(segment, direction), direction))
    }

    /// Both ports are server ports: a SYN tells, or the connection is known one way, or the lower port is the server's.
    fn orient_between_servers(&self, segment: &Segment<'_>) -> Direction {
        if segment.flags.any(TcpFlags::SYN) {
            return if segment.flags.any(TcpFlags::ACK) { Direction::ToClient } else { Direction::ToServer };
        }
        if self.flows.contains(&key(segment, Direction::ToServer)) {
            Direction::ToServer
        } else if self.flows.contains(&key(segment, Direction::ToClient))
            || segment.source.port < segment.destination.port
        {
            Direction::ToClient
        } else {
            Direction::ToServer
        }
    }
}

/// A segment of which at most this many bytes of payload were captured.
#[inline]
fn cut(segment: Segment<'_>, most: u16) -> Segment<'_> {
    match segment.payload.split_at_checked(usize::from(most)) {
        Some((payload, rest)) => {
            Segment { payload, cut: segment.cut.saturating_add(rest.len() as u32), ..segment }
        }
        None => segment,
    }
}

#[inline]
fn key(segment: &Segment<'_>, direction: Direction) -> FlowKey {
    let (client, server): (Endpoint, Endpoint) = match direction {
        Direction::ToServer => (segment.source, segment.destination),
        Direction::ToClient => (segment.destination, segment.source),
    };
    FlowKey { client, server }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::PortSet, packet::filter::Plan};

    const HOUR: u64 = 3_600_000_000_000;
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn in_a_file_whose_clock_was_set_back_silent_connections_are_forgotten_as_otherwise() {
        let mut pipeline = Pipeline::new(Options {
            plan: Plan::whole(PortSet::new(&[3306]).unwrap()),
            max_flows: 16,
            multiplier: Multiplier::Auto,
            census: false,
            seed: 1,
            counting: Counting::default(),
        });
        let [client, server] = [40_000, 3306].map(|port| Endpoint { address: 1, port });
        let syn = Segment {
            source: client,
            destination: server,
            sequence: 7,
            acknowledgment: 0,
            flags: TcpFlags(TcpFlags::SYN),
            payload: &[],
            cut: 0,
        };
        let followed =
            |pipeline: &mut Pipeline| -> u64 { pipeline.stats().flows().map(|(_, count)| count).sum() };
        // Frames of others, by which time goes on.
        let other = |pipeline: &mut Pipeline, at: u64| {
            let frame = Frame { timestamp: Timestamp(at), wire_length: 60, bytes: &[] };
            pipeline.frame(LinkType::Ethernet, &frame);
        };
        other(&mut pipeline, 1000 * HOUR);
        pipeline.segment(Timestamp(1000 * HOUR), &syn);
        assert_eq!(followed(&mut pipeline), 1);
        for second in 0..9 * 3600 {
            other(&mut pipeline, 990 * HOUR + second * SECOND);
        }
        assert_eq!(followed(&mut pipeline), 0);
    }
}
