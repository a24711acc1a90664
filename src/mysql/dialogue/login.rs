//! From the greeting to the first command: what both ends agree on, who logs in, and whether that is refused.

use super::{Dialogue, Phase, escapes};
use crate::{
    limits::Bounds,
    mysql::{
        asked::Asked,
        capabilities::Capabilities,
        command::Command,
        compress::Algorithm,
        event::{Event, Login, Observer, ServerError},
        handshake::{Greeting, LoginRequest},
        packet::Message,
        response::{parse_error, parse_ok},
        schema::SchemaId,
    },
    stream::Direction,
};

/// Lowest number of an error that a server sends (ER_HASHCHK).
const FIRST_ERROR: u16 = 1000;
/// Errors that say that the server refused the user, not the connection:
/// ER_DBACCESS_DENIED_ERROR, ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR,
/// ER_MUST_CHANGE_PASSWORD_LOGIN, ER_ACCOUNT_HAS_BEEN_LOCKED, ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK,
/// and MariaDB's ER_ACCOUNT_HAS_BEEN_LOCKED.
const DENIED: [u16; 7] = [1044, 1045, 1698, 1862, 3118, 3955, 4151];

impl Dialogue {
    /// A message of a connection that is not, or not yet, one of commands and replies.
    #[cold]
    pub(super) fn before_commands(
        &mut self,
        direction: Direction,
        message: &Message<'_>,
        bounds: &Bounds,
        observer: &mut impl Observer,
    ) {
        match (self.phase, direction) {
            (Phase::Command, _) => {}
            (Phase::Greeting, Direction::ToClient) => self.greeting(message, observer),
            (Phase::Login, Direction::ToServer) => self.login(message, observer),
            (Phase::Login | Phase::Authentication, Direction::ToClient) => {
                self.authentication(message, observer);
            }
            (Phase::Authentication, Direction::ToServer) => self.proof(message, bounds, observer),
            // What comes before the greeting waits for it.
            (Phase::Greeting, Direction::ToServer) => {}
            (Phase::Tls | Phase::Ignored, _) => {}
        }
    }

    fn greeting(&mut self, message: &Message<'_>, observer: &mut impl Observer) {
        if let Some(greeting) = Greeting::parse(message.head) {
            self.capabilities = Some(greeting.capabilities);
            self.phase = Phase::Login;
        } else if let Some(error) = parse_error(message.head).filter(|error| error.code >= FIRST_ERROR) {
            // Too many connections, host blocked: in place of the greeting.
            self.refuse(error, observer);
        } else {
            self.phase = Phase::Ignored;
        }
    }

    fn login(&mut self, message: &Message<'_>, observer: &mut impl Observer) {
        let greeting = self.capabilities.take().map(|capabilities| Greeting { capabilities });
        let Some((request, greeting)) =
            greeting.and_then(|greeting| Some((LoginRequest::parse(message.head, &greeting)?, greeting)))
        else {
            self.phase = Phase::Ignored;
            return;
        };
        if request.tls {
            self.phase = Phase::Tls;
            observer.event(&Event::Login(Login::Tls));
        } else {
            let agreed = request.capabilities & greeting.capabilities;
            self.capabilities = Some(agreed);
            // Where the end of the request is missing a name that cannot be read is one nevertheless.
            let named = agreed.has(Capabilities::CONNECT_WITH_DB) && !message.is_whole();
            self.asked = Some(Asked::new(request.user, request.schema.or((!named).then_some(b""))));
            self.phase = Phase::Authentication;
        }
    }

    /// A client's message before the login is answered: a proof, which is numbered on from the login, or a request of a
    /// client that is certain to be let in and does not wait (a health check that leaves at once).
    #[cold]
    #[inline(never)]
    fn proof(&mut self, message: &Message<'_>, bounds: &Bounds, observer: &mut impl Observer) {
        // Blocks of compression would be told apart from packets by nothing.
        let compresses = self.capabilities.is_some_and(|flags| Algorithm::agreed(flags).is_some());
        let room = self.asked.as_ref().is_none_or(Asked::leaves_room);
        if message.sequence != 0 || compresses || !room {
            return;
        }
        let command = message.head.first().and_then(|code| Command::from_code(*code));
        // Another login would be taken for the one under way.
        let command = command.filter(|command| *command != Command::ChangeUser);
        if command.is_some_and(|command| command.is_plausible(message.head, message.length)) {
            self.request(message, bounds, observer);
        }
    }

    fn authentication(&mut self, message: &Message<'_>, observer: &mut impl Observer) {
        match message.head.first() {
            Some(0x00) => {
                observer.event(&Event::Login(Login::Ok));
                let asked = self.asked.take();
                observer.user(asked.as_ref().and_then(Asked::user));
                self.schema = match asked.as_ref().map(Asked::schema) {
                    Some(Some(name)) => observer.schema(name),
                    Some(None) => SchemaId::UNKNOWN,
                    None => SchemaId::NONE,
                };
                if let Some((_, status)) = parse_ok(message.head)
                    && self.capabilities.is_some_and(|flags| flags.has(Capabilities::PROTOCOL_41))
                {
                    self.escapes = escapes(status);
                }
                self.pipelines = !self.pending.is_empty();
                self.phase = Phase::Command;
            }
            Some(0xff) => match parse_error(message.head) {
                Some(error) => self.refuse(error, observer),
                None => self.phase = Phase::Ignored,
            },
            // A request to switch the method, or more of the exchange.
            _ => {}
        }
    }

    /// The server has refused the connection, and closes it.
    fn refuse(&mut self, error: ServerError, observer: &mut impl Observer) {
        let denied = DENIED.contains(&error.code);
        observer.event(&Event::Login(if denied { Login::Denied } else { Login::Error }));
        observer.event(&Event::Error(error));
        self.phase = Phase::Ignored;
    }
}
