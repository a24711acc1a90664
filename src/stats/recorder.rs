//! Takes the decoder's events, counts them, and knows the statements they are about.

use super::{
    Stats,
    askers::{Asker, Askers},
    digests::Digests,
    profile::Profile,
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
    /// The counters; those of digests as of the last [`Self::publish`].
    pub stats: Stats,
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
        let digests = Digests::new(counting.max_digests, counting.digest_text);
        Self {
            stats: Stats::new(counting),
            digests,
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
        self.digests.tick(now);
        self.traces.tick(now);
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
        askers.event(self.asker, &event);
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

    /// Brings [`Self::stats`] up to date.
    pub fn publish(&mut self) -> &mut Stats {
        self.stats.digests = self.digests.shown();
        self.stats.other_digests = self.digests.other();
        self.stats.traced = self.traces.latest();
        if let Some(askers) = &self.askers {
            self.stats.users = askers.users().to_vec();
            self.stats.clients = askers.clients().to_vec();
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
        self.stats.event(event);
        if self.profile.is_some() {
            self.add_to_profile(*event);
        }
        if self.askers.is_some() {
            self.add_to_asker(*event);
        }
        match event {
            Event::Statement(statement) => self.digests.sent(*statement),
            Event::Reply(reply) => {
                if let Some(statement) = reply.statement {
                    self.digests.answered(statement, reply);
                    self.traces.answered(statement, reply, &self.stats.scale);
                }
            }
            _ => {}
        }
    }
}
