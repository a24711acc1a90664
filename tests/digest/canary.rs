//! A canary in every literal position of many statements must not be seen in their texts.

use crate::text;

const CANARY: &str = "canary";

/// `{}` is a value.
const FORMS: &[&str] = &[
    "select {}",
    "select a from t where b={}",
    "select a from t where b = {} and c={}",
    "select a from t where b in ({})",
    "select a from t where b in ({}, {}, {})",
    "select a from t where b in ({}, now())",
    "select a from t where (b,c) in (({},{}),({},{}))",
    "select a from t where b between {} and {}",
    "select a from t where b like {} escape {}",
    "select a from t where b regexp {}",
    "select a from t where b<>{}or c!={}",
    "select a from t where b=-{}",
    "select concat({},{},{}) from t",
    "select if(a={},{},{})",
    "select case a when {} then {} else {} end",
    "select {} as {}",
    "select {} union select {}",
    "select {} union all select {} union all select b",
    "select a from (select {}) t where b={}",
    "select a from t group by b having c={} order by {} asc",
    "select a from t limit 1, 2 -- {}\n",
    "select /* {} */ a from t",
    "select /*+ SET_VAR(x={}) */ a from t",
    "select /*!50000 {} , */ a from t",
    "# {}\nselect a",
    "select a->{} from t",
    "select a->>{} from t",
    "select json_extract(a,{})",
    "select match(a) against ({} in boolean mode)",
    "select convert({} using utf8mb4)",
    "select {} collate utf8mb4_bin",
    "select * into outfile {} fields terminated by {} from t",
    "select get_lock({},10)",
    "insert into t values ({})",
    "insert into t values ({},{}),({},{})",
    "insert into t (a,b) values ({},now()),({},now())",
    "insert into t set a={}, b={}",
    "insert into t values ({}) on duplicate key update a={}, b=values(b)",
    "insert low_priority into t values ({}),({}) on duplicate key update a={}",
    "insert into t select a,{} from u where b={}",
    "replace into t values ({}),({})",
    "update t set a={}, b={} where c={} limit 1",
    "update t set a=a+{}",
    "delete from t where a={}",
    "with q as (select {} a) select * from q where a={}",
    "call p({})",
    "call p ({}, {})",
    "set @a={}, @b:={}",
    "set global x={}",
    "set names {}",
    "set password={}",
    "set password for {}@{} = password({})",
    "create user {}@{} identified by {}",
    "create user u identified with p as {}",
    "alter user {} identified by {} replace {}",
    "grant all on *.* to {}@{} identified by {}",
    "revoke all on *.* from {}@{}",
    "change master to master_host={}, master_user={}, master_password={}",
    "change replication source to source_password={}",
    "start slave user={} password={}",
    "prepare s from {}",
    "execute immediate {}",
    "load data local infile {} into table t fields terminated by {}",
    "create table t (a varchar(9) default {} comment {}) comment={}",
    "create server s foreign data wrapper mysql options (user {}, password {})",
    "alter table t add column a enum({},{}) not null default {}",
    "show tables like {}",
    "show variables where variable_name={}",
    "kill {}",
    "do sleep({})",
    "xa start {},{}",
    "explain select a from t where b={}",
    "select 1; select {}",
    "begin not atomic set @a={}; end",
];

/// Literal forms that hold the canary, as words where the form has words and as digits where it has digits.
fn literals(canary: &str) -> Vec<String> {
    vec![
        format!("'{canary}'"),
        format!("\"{canary}\""),
        format!("'it''s {canary}'"),
        format!("'it\\'s {canary}'"),
        format!("'\\\\{canary}'"),
        format!("'{canary}\\\\'"),
        format!("'\"{canary}'"),
        format!("\"'{canary}\""),
        format!("'`{canary}'"),
        format!("'/* {canary} */'"),
        format!("'-- {canary}'"),
        format!("'# {canary}\n {canary}'"),
        format!("'),({canary}'"),
        format!("'é{canary}é'"),
        format!("N'{canary}'"),
        format!("n'{canary}'"),
        format!("_utf8mb4'{canary}'"),
        format!("_latin1 \"{canary}\""),
        format!("X'{canary}'"),
        format!("'a' '{canary}'"),
        format!("$${canary}$$"),
        format!("$x${canary}$x$"),
    ]
}

#[test]
fn a_string_in_any_position_is_never_seen() {
    assert!(FORMS.len() >= 60);
    let mut seen = 0;
    for form in FORMS {
        for canary in [CANARY.to_owned(), CANARY.to_uppercase()] {
            for literal in literals(&canary) {
                for sql in [form.replace("{}", &literal), form.to_uppercase().replace("{}", &literal)] {
                    let Some(text) = text(sql.as_bytes()) else { continue };
                    seen += 1;
                    assert!(!text.to_lowercase().contains(CANARY), "{sql}\n{text}");
                }
            }
        }
    }
    assert!(seen > FORMS.len() * 70, "only {seen} statements had a text");
}

#[test]
fn the_digits_of_a_number_in_any_form_and_position_are_never_seen() {
    let numbers = [
        "0xCAFEBABE",
        "0xcafebabe",
        "X'CAFEBABE'",
        "x'cafebabe'",
        "0b1011",
        "B'1011'",
        "98765",
        "9.8765E4",
        "9.8765e-4",
        "-98765",
        ".98765",
        "98765.",
        "_binary 0xCAFEBABE",
        "_utf8 X'CAFEBABE'",
        "9CAFEBABE",
    ];
    for form in FORMS {
        for number in numbers {
            let sql = form.replace("{}", number);
            let Some(text) = text(sql.as_bytes()) else { panic!("no text: {sql}") };
            assert!(!text.to_lowercase().contains("cafe"), "{sql}\n{text}");
            assert!(!text.contains(|c: char| c.is_ascii_digit()), "{sql}\n{text}");
        }
    }
}

#[test]
fn a_statement_cut_in_the_middle_of_a_literal_does_not_show_it() {
    let mut normalizer = dbwire_exporter::digest::Normalizer::new();
    for form in FORMS {
        let sql = form.replace("{}", &format!("'{CANARY}'"));
        for end in 0..sql.len() {
            let cut = &sql.as_bytes()[..end];
            let digest = normalizer.digest(cut, false, dbwire_exporter::digest::Escapes::Backslash);
            if let Some(shape) = digest.shape {
                assert!(!shape.text.contains("can"), "{}", cut.escape_ascii());
            }
        }
    }
}
