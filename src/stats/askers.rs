//! What is counted for each user and for each client's host, where that was asked for.
//!
//! The first names that come are counted apart, up to a bound that the user sets; further ones are *other*. A user is
//! known once a server has let it in, in clear text; inside TLS, and where the login was not seen, it is *unknown*.

use std::{net::Ipv6Addr, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    digests::{Counters, DigestStats},
    tally::{Stratum, Weights},
};
use crate::{
    config::Counting,
    limits::{Limit, USER_NAME},
    mysql::event::Event,
};

/// Who sends a connection's statements, by number: all that is kept of it for each connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asker {
    user: u16,
    client: u16,
}

/// A name and what it is estimated to have done.
pub type Row = (Arc<str>, DigestStats<f64>);

/// Names with their counters; see the module.
#[derive(Debug)]
struct Names {
    most: usize,
    limit: Limit,
    numbers: HashMap<Arc<str>, u16, RandomState>,
    rows: Vec<(Arc<str>, Counters)>,
}

impl Names {
    const UNKNOWN: u16 = 0;
    const OTHER: u16 = 1;

    fn new(most: usize, limit: Limit) -> Self {
        let rows = ["unknown", "other"].map(|name| (Arc::from(name), Counters::default()));
        Self { most, limit, numbers: HashMap::default(), rows: rows.to_vec() }
    }

    /// The number of `name`; `None` if there are too many.
    fn number(&mut self, name: &str) -> Option<u16> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        if self.numbers.len() >= self.most {
            return None;
        }
        let number = u16::try_from(self.rows.len()).ok()?;
        let name: Arc<str> = Arc::from(name);
        self.numbers.insert(Arc::clone(&name), number);
        self.rows.push((name, Counters::default()));
        Some(number)
    }

    fn rows(&self) -> Vec<Row> {
        self.rows.iter().map(|(name, counters)| (Arc::clone(name), counters.estimated)).collect()
    }

    fn count(&mut self, stratum: Stratum, number: u16, event: &Event) {
        let Some((_, counters)) = self.rows.get_mut(usize::from(number)) else { return };
        let stats = &mut counters.seen[stratum as usize];
        match event {
            Event::Statement(_) => stats.queries += 1,
            Event::Reply(reply) if reply.statement.is_some() => stats.answered(reply),
            _ => {}
        }
    }
}

/// Counters by user and by client, of those that were asked for.
#[derive(Debug)]
pub struct Askers {
    users: Option<Names>,
    clients: Option<Names>,
}

impl Askers {
    /// `None` if neither was asked for.
    pub fn new(counting: &Counting) -> Option<Self> {
        let names = |most, limit| (most > 0).then(|| Names::new(most, limit));
        let (users, clients) =
            (names(counting.max_users, Limit::Users), names(counting.max_clients, Limit::Clients));
        (users.is_some() || clients.is_some()).then_some(Self { users, clients })
    }

    /// The connection of this client, an IPv4 address as [`crate::packet::Endpoint`] holds it, sends its first
    /// statement. The limit that was hit, if one was.
    #[must_use]
    pub fn ask(&mut self, asker: &mut Asker, address: u128) -> Option<Limit> {
        let clients = self.clients.as_mut().filter(|_| asker.client == Names::UNKNOWN)?;
        let address = Ipv6Addr::from_bits(address).to_canonical().to_string();
        let number = clients.number(&address);
        asker.client = number.unwrap_or(Names::OTHER);
        number.is_none().then_some(clients.limit)
    }

    /// A server has let `user` in; `None` if its name was not seen. The limit that was hit, if one was.
    #[must_use]
    pub fn log_in(&mut self, asker: &mut Asker, user: Option<&[u8]>) -> Option<Limit> {
        let users = self.users.as_mut()?;
        let Some(user) = user else {
            asker.user = Names::UNKNOWN;
            return None;
        };
        let Some(name) = str::from_utf8(user).ok().filter(|name| is_valid(name)) else {
            asker.user = Names::OTHER;
            return None;
        };
        let number = users.number(name);
        asker.user = number.unwrap_or(Names::OTHER);
        number.is_none().then_some(users.limit)
    }

    /// Counts an event of `asker`'s.
    pub fn event(&mut self, stratum: Stratum, asker: Asker, event: &Event) {
        for (names, number) in [(&mut self.users, asker.user), (&mut self.clients, asker.client)] {
            if let Some(names) = names {
                names.count(stratum, number, event);
            }
        }
    }

    /// A slice ends.
    pub fn cut(&mut self) {
        self.counters().for_each(Counters::cut);
    }

    /// What was seen in the slices that ended is worth `weights`.
    pub fn fold(&mut self, weights: Weights) {
        self.counters().for_each(|counters| counters.fold(weights));
    }

    fn counters(&mut self) -> impl Iterator<Item = &mut Counters> {
        let names = self.users.iter_mut().chain(&mut self.clients);
        names.flat_map(|names| names.rows.iter_mut().map(|(_, counters)| counters))
    }

    /// Users with what they did, if that was asked for.
    pub fn users(&self) -> Vec<Row> {
        self.users.as_ref().map(Names::rows).unwrap_or_default()
    }

    /// Clients with what they did, if that was asked for.
    pub fn clients(&self) -> Vec<Row> {
        self.clients.as_ref().map(Names::rows).unwrap_or_default()
    }
}

/// Whether a server may have a user of this name.
fn is_valid(name: &str) -> bool {
    name.len() <= USER_NAME && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest::Statement, mysql::event::StatementRef};

    const QUERY: Event = Event::Statement(StatementRef::unseen(Statement::Select));

    fn askers(max_users: usize, max_clients: usize) -> Option<Askers> {
        Askers::new(&Counting { max_users, max_clients, ..Counting::default() })
    }

    fn queries(askers: &mut Askers, rows: fn(&Askers) -> Vec<Row>) -> Vec<(String, u64)> {
        askers.cut();
        askers.fold([Some(1.0); Stratum::COUNT]);
        rows(askers).iter().map(|(name, stats)| (name.to_string(), stats.queries as u64)).collect()
    }

    fn named(rows: &[(&str, u64)]) -> Vec<(String, u64)> {
        rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn nobody_is_counted_apart_unless_asked_for() {
        assert!(askers(0, 0).is_none());
        let mut users_only = askers(1, 0).unwrap();
        let mut asker = Asker::default();
        assert_eq!(users_only.ask(&mut asker, 1), None);
        users_only.event(Stratum::Lasting, asker, &QUERY);
        assert_eq!(queries(&mut users_only, Askers::users), named(&[("unknown", 1), ("other", 0)]));
        assert!(users_only.clients().is_empty());
    }

    #[test]
    fn the_first_users_have_their_own_counters_and_the_rest_is_other() {
        let mut askers = askers(2, 0).unwrap();
        let long = [b'x'; USER_NAME + 1];
        for (user, limit) in [
            (Some(&b"app"[..]), None),
            (Some("jörg".as_bytes()), None),
            (Some(b"app"), None),
            (Some(b"root"), Some(Limit::Users)),
            // No name that a server can have.
            (Some(b"a\nb"), None),
            (Some(b"\xff"), None),
            (Some(&long), None),
            (None, None),
        ] {
            let mut asker = Asker::default();
            assert_eq!(askers.log_in(&mut asker, user), limit);
            askers.event(Stratum::Lasting, asker, &QUERY);
        }
        assert_eq!(
            queries(&mut askers, Askers::users),
            named(&[("unknown", 1), ("other", 4), ("app", 2), ("jörg", 1)])
        );
    }

    #[test]
    fn clients_are_addresses_as_people_write_them() {
        let mut askers = askers(0, 2).unwrap();
        let mapped = |last: u128| 0xffff_0a00_0000 + last;
        for (address, limit) in [
            (mapped(1), None),
            (0x2001_0db8 << 96 | 1, None),
            (mapped(1), None),
            (mapped(2), Some(Limit::Clients)),
        ] {
            let mut asker = Asker::default();
            assert_eq!(askers.ask(&mut asker, address), limit);
            // Once for a connection.
            assert_eq!(askers.ask(&mut asker, address), None);
            askers.event(Stratum::Lasting, asker, &QUERY);
        }
        let seen = [("unknown", 0), ("other", 1), ("10.0.0.1", 2), ("2001:db8::1", 1)];
        assert_eq!(queries(&mut askers, Askers::clients), named(&seen));
    }
}
