//! The kind of a statement, from its first keyword.

use super::{
    classes::is_space,
    lexer::{Escapes, Kind, Lexer},
};

macro_rules! statements {
    ($($(#[$attr:meta])* $variant:ident $label:literal,)*) => {
        /// The kind of a statement, by its first keyword once comments and parentheses are skipped: the closed
        /// value set of the `statement` label.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Statement {
            $($(#[$attr])* #[doc = concat!("`", $label, "`")] $variant,)*
        }

        impl Statement {
            /// Every kind, in the order of the enum (its discriminants index counters).
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),*];
            /// How many kinds there are.
            pub const COUNT: usize = [$(Self::$variant),*].len();

            /// Value of the `statement` label.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    };
}

statements! {
    /// Also `TABLE t` and `VALUES ROW(…)`, which the server counts as `Com_select`:
    Select "select",
    Insert "insert",
    Update "update",
    Delete "delete",
    Replace "replace",
    /// A common table expression, whatever it feeds:
    With "with",
    /// Also `START TRANSACTION`:
    Begin "begin",
    Commit "commit",
    Rollback "rollback",
    Set "set",
    Show "show",
    Call "call",
    Use "use",
    /// Also `DESC` and `DESCRIBE`:
    Explain "explain",
    Load "load",
    Create "create",
    Alter "alter",
    Drop "drop",
    Truncate "truncate",
    Grant "grant",
    Lock "lock",
    Prepare "prepare",
    Execute "execute",
    Do "do",
    Analyze "analyze",
    /// A statement whose first keyword is none of the above:
    Other "other",
    /// Text that could not be classified (empty, cut before the first keyword ended, or not SQL):
    Unparsed "unparsed",
    /// A prepared statement executed whose text was never seen:
    Unknown "unknown",
    /// A request inside TLS:
    Encrypted "encrypted",
}

/// The kind of the statement in `sql`, which may be cut short at its end (`complete` says whether it is whole).
///
/// Skips white space, comments (`-- `, `#`, `/* */`) and opening parentheses; looks into `/*! … */` and
/// `/*M! … */`, whose text the server executes ([MySQL manual, 11.7 Comments]). Anything that leaves the first
/// keyword in doubt is [`Statement::Unparsed`]. Reads no further than the first keyword (the second after
/// `START`), and each byte once.
///
/// [MySQL manual, 11.7 Comments]: https://dev.mysql.com/doc/refman/8.4/en/comments.html
pub fn statement_kind(sql: &[u8], complete: bool) -> Statement {
    let mut lexer = Lexer::new(sql, complete, Escapes::Backslash);
    let Some(word) = first_keyword(&mut lexer) else { return Statement::Unparsed };
    if word.eq_ignore_ascii_case(b"start") {
        return match first_keyword(&mut lexer) {
            Some(second) if second.eq_ignore_ascii_case(b"transaction") => Statement::Begin,
            Some(_) => Statement::Other,
            None => Statement::Unparsed,
        };
    }
    of_keyword(word)
}

/// The next word behind what may precede it; `None` if it is not certain where, or that, it ends.
fn first_keyword<'a>(lexer: &mut Lexer<'a>) -> Option<&'a [u8]> {
    loop {
        let token = lexer.next()?;
        match token.kind {
            Kind::Space | Kind::Comment => {}
            Kind::Symbol if token.is_symbol(b'(') => {}
            Kind::Word if token.bytes.is_ascii() => {
                let garbage =
                    lexer.following().is_some_and(|next| next.is_ascii_control() && !is_space(next));
                return (!garbage).then_some(token.bytes);
            }
            _ => return None,
        }
    }
}

/// The longest keyword that decides a kind.
const LONGEST_KEYWORD: usize = 8;

fn of_keyword(word: &[u8]) -> Statement {
    let mut lower = [0; LONGEST_KEYWORD];
    let Some(lower) = lower.get_mut(..word.len()) else { return Statement::Other };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    match &*lower {
        b"select" | b"table" | b"values" => Statement::Select,
        b"insert" => Statement::Insert,
        b"update" => Statement::Update,
        b"delete" => Statement::Delete,
        b"replace" => Statement::Replace,
        b"with" => Statement::With,
        b"begin" => Statement::Begin,
        b"commit" => Statement::Commit,
        b"rollback" => Statement::Rollback,
        b"set" => Statement::Set,
        b"show" => Statement::Show,
        b"call" => Statement::Call,
        b"use" => Statement::Use,
        b"explain" | b"desc" | b"describe" => Statement::Explain,
        b"load" => Statement::Load,
        b"create" => Statement::Create,
        b"alter" => Statement::Alter,
        b"drop" => Statement::Drop,
        b"truncate" => Statement::Truncate,
        b"grant" => Statement::Grant,
        b"lock" => Statement::Lock,
        b"prepare" => Statement::Prepare,
        b"execute" => Statement::Execute,
        b"do" => Statement::Do,
        b"analyze" => Statement::Analyze,
        _ => Statement::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(sql: &[u8]) -> Statement {
        statement_kind(sql, true)
    }

    #[test]
    fn labels_are_distinct_and_all_is_in_the_order_of_the_discriminants() {
        for (index, statement) in Statement::ALL.into_iter().enumerate() {
            assert_eq!(statement as usize, index);
            assert_eq!(Statement::ALL.iter().filter(|other| other.label() == statement.label()).count(), 1);
        }
    }

    #[test]
    fn every_keyword_of_the_label_set_is_its_own_kind_in_any_case() {
        let not_keywords = ["other", "unparsed", "unknown", "encrypted"];
        for statement in Statement::ALL {
            if not_keywords.contains(&statement.label()) {
                continue;
            }
            assert_eq!(kind(statement.label().as_bytes()), statement);
            assert_eq!(kind(format!("{} x", statement.label().to_uppercase()).as_bytes()), statement);
        }
    }

    #[test]
    fn statements_of_real_clients_have_the_kind_a_dba_expects() {
        let table: &[(&[u8], Statement)] = &[
            (b"SELECT c FROM sbtest1 WHERE id=5", Statement::Select),
            (b"select@@version", Statement::Select),
            (b"select'a'", Statement::Select),
            (b"select`a`from t", Statement::Select),
            (b"SELECT/*x*/1", Statement::Select),
            (b"SELECT(1)", Statement::Select),
            (b"(SELECT 1) UNION (SELECT 2)", Statement::Select),
            (b"( (\n(select 1)))", Statement::Select),
            (b"table t order by a", Statement::Select),
            (b"VALUES ROW(1,2)", Statement::Select),
            (b"WITH q AS (SELECT 1 a) SELECT * FROM q", Statement::With),
            (b"INSERT INTO scratch(v,n) VALUES('j1',1)", Statement::Insert),
            (b"UPDATE kv SET v='one' WHERE id=1", Statement::Update),
            (b"DELETE FROM scratch", Statement::Delete),
            (b"REPLACE INTO kv(id,v) VALUES(5,'five')", Statement::Replace),
            (b"BEGIN", Statement::Begin),
            (b"begin work", Statement::Begin),
            (b"begin;", Statement::Begin),
            (b"start transaction", Statement::Begin),
            (b"START /* x */ TRANSACTION WITH CONSISTENT SNAPSHOT", Statement::Begin),
            (b"start transaction;", Statement::Begin),
            (b"start slave", Statement::Other),
            (b"START REPLICA", Statement::Other),
            (b"COMMIT", Statement::Commit),
            (b"ROLLBACK TO SAVEPOINT a", Statement::Rollback),
            (b"SET NAMES utf8mb4", Statement::Set),
            (b"set autocommit=0, sql_mode = concat(@@sql_mode,',STRICT_TRANS_TABLES')", Statement::Set),
            (b"SHOW TABLES", Statement::Show),
            (b"call t.p1()", Statement::Call),
            (b"USE t2", Statement::Use),
            (b"explain select * from t.kv", Statement::Explain),
            (b"desc kv", Statement::Explain),
            (b"DESCRIBE kv", Statement::Explain),
            (b"LOAD DATA LOCAL INFILE '/x.csv' INTO TABLE ld", Statement::Load),
            (b"create temporary table tt(a int)", Statement::Create),
            (b"drop table tt", Statement::Drop),
            (b"ANALYZE FORMAT=JSON SELECT 1", Statement::Analyze),
            (b"EXECUTE IMMEDIATE 'select 1'", Statement::Execute),
            (b"SELEC 1", Statement::Other),
            (b"selects", Statement::Other),
            (b"select_1", Statement::Other),
            (b"SAVEPOINT a", Statement::Other),
            (b"XA START 'a'", Statement::Other),
            (b"averyveryverylongword", Statement::Other),
        ];
        for &(sql, expected) in table {
            assert_eq!(kind(sql), expected, "{}", sql.escape_ascii());
        }
    }

    #[test]
    fn comments_and_white_space_before_the_keyword_are_skipped() {
        let table: &[(&[u8], Statement)] = &[
            (b"  \n-- c\nselect 1", Statement::Select),
            (b"\t\x0b\x0c\r\nselect 1", Statement::Select),
            (b"--\nselect 1", Statement::Select),
            (b"--\tdelete\nselect 1", Statement::Select),
            (b"--\x01delete\nselect 1", Statement::Select),
            (b"-- a\n-- b\n# c\nselect 1", Statement::Select),
            (b"#delete\nselect 1", Statement::Select),
            (b"/* hint */ select count(*) from scratch", Statement::Select),
            (b"/**/select 1", Statement::Select),
            (b"/***/ select 1", Statement::Select),
            (b"/*/ delete */ select 1", Statement::Select),
            (b"/*+ delete */select 1", Statement::Select),
            (b"/* ' */ select 1", Statement::Select),
            (b"/* a */ /* b */ ( /* c */ select 1)", Statement::Select),
        ];
        for &(sql, expected) in table {
            assert_eq!(kind(sql), expected, "{}", sql.escape_ascii());
        }
    }

    #[test]
    fn comments_that_the_server_executes_are_looked_into() {
        let table: &[(&[u8], Statement)] = &[
            (b"/*!40101 SET NAMES utf8 */", Statement::Set),
            (b"/*!80000SET x=1*/", Statement::Set),
            (b"/*!080000 SET x=1*/", Statement::Set),
            (b"/*! SET x=1*/", Statement::Set),
            (b"/*!SET x=1*/", Statement::Set),
            (b"/*M!100100 SET x=1*/", Statement::Set),
            (b"/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`l`*/ /*!50003 TRIGGER */", Statement::Create),
            (b"/*!50000 */ select 1", Statement::Select),
            (b"/*!50000 /* x */ select */ 1", Statement::Select),
            (b"/*!50000(select 1)*/", Statement::Select),
            (b"/*!99999 delete */ select 1", Statement::Select),
            (b"/*!999999\\- enable the sandbox mode */ select 1", Statement::Select),
        ];
        for &(sql, expected) in table {
            assert_eq!(kind(sql), expected, "{}", sql.escape_ascii());
        }
    }

    #[test]
    fn what_leaves_the_first_keyword_in_doubt_is_unparsed() {
        let table: &[&[u8]] = &[
            b"",
            b" \n",
            b";",
            b"()",
            b"-- only a comment",
            b"#",
            b"--",
            b"--select 1",
            b"/* unterminated",
            b"/*",
            b"/*/",
            b"/*! */",
            b"/*!999999 select 1",
            b"*/ select 1",
            b"/* */ */ select 1",
            b"start",
            b"start /* transaction",
            b"1",
            b"'select'",
            b"`select`",
            b"@a",
            b"?",
            b"\0\x01select 1",
            b"\xef\xbb\xbfselect 1",
            b"s\xc3\xa9lect",
            b"select\xa0",
            b"a\x01\x02",
            b"\x16\x03\x01",
        ];
        for &sql in table {
            assert_eq!(kind(sql), Statement::Unparsed, "{}", sql.escape_ascii());
        }
    }

    #[test]
    fn a_statement_cut_anywhere_keeps_its_kind_or_is_unparsed() {
        let statements: [&[u8]; 5] = [
            b"/* a */ -- b\n(select 1)",
            b"/*!40101 SET NAMES utf8 */",
            b"start transaction read only",
            b"desc kv",
            b"selects",
        ];
        for sql in statements {
            let whole = kind(sql);
            for end in 0..=sql.len() {
                let cut = statement_kind(&sql[..end], false);
                assert!(cut == whole || cut == Statement::Unparsed, "{}", sql[..end].escape_ascii());
            }
        }
        assert_eq!(statement_kind(b"select", false), Statement::Unparsed);
        assert_eq!(statement_kind(b"select ", false), Statement::Select);
    }
}
