//! The default schema, as commands ask for it and the server tells of it.

use super::{Dialogue, escapes};
use crate::{
    digest::{Escapes, SchemaUse, Statement, may_be_several, schema_use},
    mysql::{
        asked::Asked,
        capabilities::Capabilities,
        command::{self, Command},
        event::{Context, Observer, StatementRef},
        packet::Message,
        schema::{self, SchemaChange, SchemaId},
    },
};

impl Dialogue {
    /// What is known of a text besides itself. While responses are awaited, one of them may change what a backslash
    /// means, or the schema.
    pub(super) fn context(&self, message: &Message<'_>) -> Context {
        let settled = self.pending.is_empty();
        Context {
            complete: message.is_whole(),
            escapes: if settled { self.escapes } else { Escapes::Unknown },
            schema: self.pending.schema().unwrap_or(self.schema),
        }
    }

    /// What a command will do to the default schema if the server does what it asks for.
    #[inline]
    pub(super) fn asks_for_schema(
        &mut self,
        command: Command,
        statement: Option<StatementRef>,
        message: &Message<'_>,
        observer: &mut impl Observer,
    ) -> SchemaChange {
        let name = match (command, statement) {
            (Command::Query, Some(statement)) => return self.of_query(statement, message, observer),
            (Command::StmtExecute | Command::StmtBulkExecute, Some(statement)) => {
                // Its text is not at hand any more. A server that tracks the schema will tell.
                let may_use = matches!(statement.kind(), Statement::Use | Statement::Drop);
                let silent = may_use && !self.agreed(Capabilities::SESSION_TRACK).unwrap_or_default();
                return if silent { SchemaChange::To(SchemaId::UNKNOWN) } else { SchemaChange::None };
            }
            (Command::InitDb, _) => message.head.get(1..),
            (Command::DropDb, _) => None,
            (Command::ChangeUser, _) => {
                // Replies that are held and a name together would take more than a connection may keep.
                let user = schema::user_of_change(message.head).filter(|_| !self.doubt.is_raised());
                self.asked = user.map(|user| Asked::new(Some(user), None));
                schema::of_change_user(message.head, self.capabilities)
            }
            (Command::SetOption, _) => {
                self.set_option(message);
                return SchemaChange::None;
            }
            _ => return SchemaChange::None,
        };
        SchemaChange::To(name.map_or(SchemaId::UNKNOWN, |name| observer.schema(name)))
    }

    /// What the text of a COM_QUERY does. Most are of a kind that does nothing, and a single statement.
    #[inline]
    fn of_query(
        &self,
        statement: StatementRef,
        message: &Message<'_>,
        observer: &mut impl Observer,
    ) -> SchemaChange {
        use Statement::{Drop, Execute, Unparsed, Use};
        let first_may = matches!(statement.kind(), Use | Drop | Execute | Unparsed);
        let single = self.agreed(Capabilities::MULTI_STATEMENTS) == Some(false);
        if !first_may && (single || message.is_whole() && !may_be_several(message.head)) {
            return SchemaChange::None;
        }
        if !first_may && !message.is_whole() {
            return SchemaChange::IfSeveral;
        }
        self.of_text(message, observer)
    }

    #[cold]
    fn of_text(&self, message: &Message<'_>, observer: &mut impl Observer) -> SchemaChange {
        let text = command::query_text(message.head, self.capabilities).unwrap_or_default();
        // MySQL prepares no USE; MariaDB does, and tells of it if it has agreed to.
        let (mysql, tracks) = (self.agreed(Capabilities::MYSQL), self.agreed(Capabilities::SESSION_TRACK));
        let prepares_use = mysql != Some(true) && tracks != Some(true);
        match schema_use(text, message.is_whole(), self.context(message).escapes, prepares_use) {
            SchemaUse::None => SchemaChange::None,
            SchemaUse::Named(name) => SchemaChange::To(observer.schema(name)),
            SchemaUse::Unclear => SchemaChange::To(SchemaId::UNKNOWN),
            SchemaUse::Unread => SchemaChange::IfSeveral,
        }
    }

    /// COM_SET_OPTION: `MYSQL_OPTION_MULTI_STATEMENTS_ON` is 0.
    /// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_set_option.html>
    #[cold]
    fn set_option(&mut self, message: &Message<'_>) {
        if message.head.get(1..) == Some(&[0, 0])
            && let Some(flags) = &mut self.capabilities
        {
            *flags = flags.with(Capabilities::MULTI_STATEMENTS);
        }
    }

    /// Whether both ends agreed on something; `None` if the login was not seen.
    fn agreed(&self, what: Capabilities) -> Option<bool> {
        self.capabilities.map(|flags| flags.has(what))
    }

    /// The response to the first of `pending` has told `status` with `message`, its last one so far.
    #[inline]
    pub(super) fn told(&mut self, status: u16, message: &Message<'_>, observer: &mut impl Observer) {
        self.escapes = escapes(status);
        if let Some(name) = schema::tracked(message.head, status, self.capabilities) {
            self.schema = observer.schema(name);
            self.pending.set_schema(SchemaChange::None);
        }
    }
}
