//! Random valid statements, the same in every run.

/// xorshift64*
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const NAMES: &[&str] = &[
    "a", "b", "id", "user_id", "c1", "t2", "col_b", "`a`", "`order`", "x", "tbx", "f1a", "Upper", "utf8col",
    "is_null", "nullable", "limit_a", "`in`", "`values`", "descr",
];
const TABLES: &[&str] = &["t", "users", "sbtest1", "db.t", "`db`.`t`", "db1.t2", "orders_2024", "T"];
/// Literals that pt-query-digest reads as the server does.
const LITERALS: &[&str] = &[
    "1",
    "42",
    "-7",
    "+3",
    "3.14",
    ".5",
    "1e5",
    "0xab",
    "b'01'",
    "x'4d'",
    "''",
    "'abc'",
    "'a b'",
    "'x,y'",
    "\"dq\"",
    "'a\\'b'",
    "'in (1)'",
    "null",
    "NULL",
    "true",
    "?",
    "date '2024-01-02'",
    "now()",
    "concat('a',?)",
];

/// A statement.
pub(crate) fn statement(random: &mut Random) -> String {
    let r = random;
    match r.below(9) {
        0..=2 => select(r, 0),
        3 => insert(r),
        4 => format!("replace into {} values{}", r.one(TABLES), list(r)),
        5 => {
            let (table, one, other) = (r.one(TABLES), r.one(NAMES), r.one(NAMES));
            format!(
                "update {table} set {one}={}, {other} = {} where {}",
                value(r, 0),
                value(r, 0),
                condition(r, 0)
            )
        }
        6 => format!("delete from {} where {} limit 10", r.one(TABLES), condition(r, 0)),
        7 => format!("insert into {} {}", r.one(TABLES), select(r, 1)),
        _ => format!("set {}={}", r.one(&["@a", "session x", "global y"]), r.one(LITERALS)),
    }
}

fn insert(r: &mut Random) -> String {
    let (how, table, values) =
        (r.one(&["", " ignore", " low_priority"]), r.one(TABLES), r.one(&["values", "VALUES", "value"]));
    let rows: Vec<String> = (0..=r.below(3)).map(|_| list(r)).collect();
    let rows = rows.join(r.one(&[",", ", "]));
    let tail = match r.below(3) {
        0 => format!(" on duplicate key update a={}", value(r, 2)),
        1 => " on duplicate key update a=values(a)".to_owned(),
        _ => String::new(),
    };
    format!("insert{how} into {table} ({}, {}) {values} {rows}{tail}", r.one(NAMES), r.one(NAMES))
}

fn select(r: &mut Random, depth: usize) -> String {
    let mut sql = format!("{} {}", r.one(&["select", "SELECT", "select distinct"]), value(r, depth + 1));
    for _ in 0..r.below(3) {
        sql += &format!(", {}", value(r, depth + 1));
    }
    sql += &format!(" {} {}{}", r.one(&["from", "FROM"]), r.one(TABLES), r.one(&["", "", " x", " as x"]));
    if r.below(3) == 0 {
        sql += &format!(" join {} on {}", r.one(TABLES), condition(r, depth + 1));
    }
    if r.below(4) > 0 {
        sql += &format!(" where {}", condition(r, depth));
        sql += r.one(&["", " and a=1", "\n  or b = 'x'"]);
    }
    if r.below(5) == 0 {
        sql += &format!(" group by {} having {}", column(r), condition(r, depth + 1));
    }
    if r.below(2) == 0 {
        let direction = r.one(&["", " asc", " desc", " ASC"]);
        sql += &format!(" {} {}{direction}, {}", r.one(&["order by", "ORDER BY"]), column(r), column(r));
    }
    sql +=
        r.one(&["", "", "", " limit 10", " limit 5, 10", " LIMIT 5,10", " limit 10 offset 5", " limit ?, ?"]);
    if depth == 0 {
        match r.below(8) {
            0 => sql = format!("{sql} {} {sql}", r.one(&["union", "union all", "UNION ALL"])),
            1 => sql = format!("{sql} union {}", select(r, 1)),
            2 => sql += " for update",
            _ => {}
        }
    }
    sql
}

fn column(r: &mut Random) -> String {
    match r.below(3) {
        0 => format!("{}.{}", r.one(&["t", "users", "x", "`t`"]), r.one(NAMES)),
        _ => r.one(NAMES).to_owned(),
    }
}

fn value(r: &mut Random, depth: usize) -> String {
    match r.below(if depth < 3 { 10 } else { 6 }) {
        0..=2 => r.one(LITERALS).to_owned(),
        3..=5 => column(r),
        6 => format!("({})", value(r, depth + 1)),
        7 => format!("{}({})", r.one(&["count", "max", "lower", "abs"]), value(r, depth + 1)),
        8 => format!("case when {} then {} else {} end", condition(r, 2), value(r, 3), value(r, 3)),
        _ => format!(
            "{} {} {}",
            value(r, depth + 1),
            r.one(&["+", "-", "*", "/", "%", "||"]),
            value(r, depth + 1)
        ),
    }
}

fn condition(r: &mut Random, depth: usize) -> String {
    let column = column(r);
    match r.below(if depth < 2 { 8 } else { 6 }) {
        0 | 1 => format!("{column}{}{}", r.one(&["=", " = ", ">", "<=", "<>", " != "]), value(r, depth + 1)),
        2 => format!("{column} {}{}", r.one(&["in ", "in", "IN ", "not in "]), list(r)),
        3 => format!("{column} is {}null", r.one(&["", "not "])),
        4 => format!("{column} between {} and {}", r.one(LITERALS), r.one(LITERALS)),
        5 => format!("{column} like {}", r.one(LITERALS)),
        6 => format!("{column} in ({})", select(r, depth + 2)),
        _ => format!("exists ({})", select(r, depth + 2)),
    }
}

fn list(r: &mut Random) -> String {
    let items: Vec<&str> = (0..=r.below(4)).map(|_| r.one(LITERALS)).collect();
    format!("({})", items.join(r.one(&[",", ", "])))
}
