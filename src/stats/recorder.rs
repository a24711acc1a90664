//! Takes the decoder's events, counts them, and knows the statements they are about.

use super::{
    Stats,
    askers::{Asker, Askers},
    digests::Digests,
    profile::Profile,
    tally::{Stratum, Tally, Weights},
    traces::Traces,
};
use crate::{
    config::Counting,
    limits::Limit,
    mysql::{
        event::{Context, Event, Observer, StatementRef},
        schema::SchemaId,
    },
    packet::Timestamp,
};

/// [`Stats`], and what it takes to keep them that no page shows.
#[derive(Debug)]
pub struct Recorder {
    /// The counters; but for what is counted where it is found, as of the last [`Self::publish`].
    pub stats: Stats,
    /// Of the connection whose events come next.
    pub stratum: Stratum,
    /// Whether single connections are measured.
    pub measuring: bool,
    /// Of that connection since the last [`Self::take_measured`]: queries, errors, seconds.
    measured: [f64; 3],
    /// In this slice.
    seen: [Tally; Stratum::COUNT],
    /// In those before it that are not folded yet.
    cut: [Tally; Stratum::COUNT],
    /// Before them.
    folded: Tally,
    digests: Digests,
    traces: Traces,
    /// Only for a report.
    profile: Option<Profile>,
    /// Only where users or clients are counted.
    askers: Option<Askers>,
    /// Whose events are told, and from where.
    asker: Asker,
    address: u128,
}

impl Recorder {
    /// Nothing counted yet.
    pub fn new(counting: &Counting) -> Self {
        Self {
            stats: Stats::new(counting),
            stratum: Stratum::default(),
            measuring: false,
            measured: [0.0; 3],
            seen: <[Tally; Stratum::COUNT]>::default(),
            cut: <[Tally; Stratum::COUNT]>::default(),
            folded: Tally::default(),
            digests: Digests::new(counting.max_digests, counting.digest_text),
            traces: Traces::default(),
            profile: counting.profile.then(Profile::default),
            askers: Askers::new(counting),
            asker: Asker::default(),
            address: 0,
        }
    }

    /// The events that follow are of this asker's connection from `address`.
    #[inline]
    pub fn turn_to(&mut self, asker: Asker, address: u128) {
        (self.asker, self.address) = (asker, address);
    }

    /// What is known of the asker by now.
    #[inline]
    pub fn asker(&self) -> Asker {
        self.asker
    }

    /// Packet time has reached `now`.
    pub fn tick(&mut self, now: Timestamp) {
        self.traces.tick(now);
    }

    /// Whether a fold would do more than bring the estimates up to date.
    #[inline]
    pub fn is_fold_due(&self, now: Timestamp) -> bool {
        self.digests.is_due(now)
    }

    /// A slice ends: what comes now is the next one's.
    pub fn cut(&mut self) {
        for (cut, seen) in self.cut.iter_mut().zip(&mut self.seen) {
            cut.add(seen);
            seen.clear();
        }
        self.digests.cut();
        if let Some(askers) = &mut self.askers {
            askers.cut();
        }
    }

    /// Statements since the last [`Self::cut`].
    pub fn seen(&self) -> u64 {
        self.seen.iter().flat_map(Tally::statements).map(|(_, statement)| statement.count).sum()
    }

    /// Packet time has reached `now`, and what was seen in the slices that ended is worth `weights`: adds it to the
    /// estimates. What has no weight yet waits.
    pub fn fold(&mut self, now: Timestamp, weights: Weights) {
        for (cut, weight) in self.cut.iter_mut().zip(weights) {
            let Some(weight) = weight else { continue };
            self.stats.estimated.fold(cut, weight);
            self.folded.add(cut);
            cut.clear();
        }
        self.digests.fold(now, weights);
        if let Some(askers) = &mut self.askers {
            askers.fold(weights);
        }
    }

    /// What was measured since the last time.
    #[inline]
    pub fn take_measured(&mut self) -> [f64; 3] {
        std::mem::take(&mut self.measured)
    }

    #[inline(never)]
    fn measure(&mut self, event: Event) {
        let [queries, errors, seconds] = &mut self.measured;
        match event {
            Event::Statement(_) => *queries += 1.0,
            Event::Reply(reply) if reply.command.runs_statement() && reply.statement.is_some() => {
                *seconds += reply.duration as f64 / 1e9;
            }
            _ => {}
        }
        *errors += f64::from(u8::from(event.error().is_some()));
    }

    /// What a report is made of, if [`Counting::profile`] asked for it.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    /// The same, for good.
    pub fn into_profile(self) -> Option<Profile> {
        self.profile
    }

    #[cold]
    fn add_to_asker(&mut self, event: Event) {
        let Some(askers) = &mut self.askers else { return };
        if matches!(event, Event::Statement(_))
            && let Some(limit) = askers.ask(&mut self.asker, self.address)
        {
            self.stats.limit_hits[limit as usize] += 1;
        }
        askers.event(self.stratum, self.asker, &event);
    }

    #[cold]
    fn add_to_profile(&mut self, event: Event) {
        let Some(profile) = &mut self.profile else { return };
        match event {
            Event::Statement(statement) => {
                profile.sent(statement, || self.digests.text(statement.digest()?));
            }
            Event::Reply(reply) => {
                if let Some(statement) = reply.statement {
                    profile.answered(statement, &reply);
                }
            }
            _ => {}
        }
    }

    /// Since the last fold, in the stratum of the connection whose bytes come next.
    #[inline]
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.seen[self.stratum as usize]
    }

    /// Brings [`Self::stats`] up to date, but for what is not folded yet of the estimates.
    pub fn publish(&mut self) -> &mut Stats {
        self.stats.observed.clone_from(&self.folded);
        self.cut.iter().chain(&self.seen).for_each(|seen| self.stats.observed.add(seen));
        self.stats.digests = self.digests.shown();
        (self.stats.other_digests, self.stats.other_durations) = self.digests.other();
        self.stats.traced = self.traces.latest();
        if let Some(askers) = &self.askers {
            self.stats.users = askers.users();
            self.stats.clients = askers.clients();
        }
        &mut self.stats
    }
}

impl Observer for Recorder {
    #[inline]
    fn statement(&mut self, sql: &[u8], context: Context) -> StatementRef {
        self.digests.identify(sql, context).with_trace(self.traces.note(sql))
    }

    fn schema(&mut self, name: &[u8]) -> SchemaId {
        self.digests.schema(name).unwrap_or_else(|_| {
            self.stats.limit_hits[Limit::Schemas as usize] += 1;
            SchemaId::OTHER
        })
    }

    fn user(&mut self, name: Option<&[u8]>) {
        if let Some(askers) = &mut self.askers
            && let Some(limit) = askers.log_in(&mut self.asker, name)
        {
            self.stats.limit_hits[limit as usize] += 1;
        }
    }

    // Where an event is told its kind is known: what there is to do for another is left out. What is seldom done takes a
    // copy, so that an event need not be written to memory for the rest.
    #[inline(always)]
    fn event(&mut self, event: &Event) {
        let error = event.error().map(|error| self.stats.error_slot(error));
        self.seen[self.stratum as usize].event(event, error, &self.stats.scale);
        if self.measuring {
            self.measure(*event);
        }
        if self.profile.is_some() {
            self.add_to_profile(*event);
        }
        if self.askers.is_some() {
            self.add_to_asker(*event);
        }
        match event {
            Event::Statement(statement) => self.digests.sent(self.stratum, *statement),
            Event::Reply(reply) => {
                if let Some(statement) = reply.statement {
                    self.digests.answered(self.stratum, statement, reply, &self.stats.scale);
                    self.traces.answered(statement, reply, &self.stats.scale);
                }
            }
            Event::CutReply => self.stats.cut_replies += 1,
            Event::Desync => self.stats.desyncs += 1,
            Event::Resync => self.stats.resyncs += 1,
            _ => {}
        }
    }
}
