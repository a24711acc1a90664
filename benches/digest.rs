//! Time per statement, from its text to its digest: the kind alone, a shape never seen, the same text again, and a shape
//! met before whose literals are others each time; and of an event in the heavy hitters.

#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dbwire_exporter::{
    digest::{DigestCache, Escapes, Normalizer, statement_kind},
    stats::top::{Key, Top, Value},
};

/// sysbench's oltp_read_write, and two longer statements.
const STATEMENTS: &[(&str, &str)] = &[
    ("begin", "BEGIN"),
    ("point_select", "SELECT c FROM sbtest1 WHERE id=50143"),
    ("point_select_prepared", "SELECT c FROM sbtest1 WHERE id=?"),
    ("order_range", "SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 49981 AND 50080 ORDER BY c"),
    ("update_index", "UPDATE sbtest1 SET k=k+1 WHERE id=50143"),
    (
        "update_string",
        "UPDATE sbtest1 SET c='08566691963-88624912351-16662227201-46648573979-64646226163-77505759394-75470094713-\
         41097360717-15161106334-50535565977' WHERE id=50143",
    ),
    (
        "insert",
        "INSERT INTO sbtest1 (id, k, c, pad) VALUES (50143, 49929, '08566691963-88624912351-16662227201-46648573979-\
         64646226163-77505759394-75470094713-41097360717-15161106334-50535565977', '63188288836-92351140030-\
         06390587585-66802097351-49282961843')",
    ),
    (
        "report",
        "SELECT o.id, o.created_at, c.name, SUM(l.price * l.amount) AS total FROM orders o JOIN customers c ON \
         c.id = o.customer_id LEFT JOIN lines l ON l.order_id = o.id WHERE o.created_at >= '2026-01-01' AND o.state IN \
         ('paid', 'sent', 'done') AND c.country = 'DE' GROUP BY o.id, o.created_at, c.name ORDER BY total DESC LIMIT 20, 10",
    ),
];

/// Texts of one shape, so many that a branch predictor does not know them by heart.
const VARIANTS: usize = 512;

/// Each number and string has other digits, and one to nine of them where it has few: longer ones keep their length.
fn with_other_literals(sql: &str, number: usize) -> String {
    let mut random = number as u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize
    };
    let mut text = String::new();
    let mut rest = sql;
    while let Some(digit) = rest.find(|character: char| character.is_ascii_digit()) {
        let (before, behind) = rest.split_at(digit);
        let length = behind.find(|character: char| !character.is_ascii_digit()).unwrap_or(behind.len());
        text += before;
        // A name keeps its digits.
        if before.ends_with(|last: char| last.is_ascii_alphabetic()) {
            text += &behind[..length];
        } else {
            let digits = if length < 10 { 1 + next() % 9 } else { length };
            (0..digits).for_each(|_| text.push(char::from(b'1' + (next() % 9) as u8)));
        }
        rest = &behind[length..];
    }
    text + rest
}

fn digests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("digest");
    for &(name, text) in STATEMENTS {
        let sql = text.as_bytes();
        group.throughput(Throughput::Bytes(sql.len() as u64));
        group.bench_function(format!("kind/{name}"), |bencher| {
            bencher.iter(|| statement_kind(black_box(sql), true));
        });
        let mut normalizer = Normalizer::new();
        group.bench_function(format!("new/{name}"), |bencher| {
            bencher.iter(|| {
                normalizer.digest(black_box(sql), true, Escapes::Backslash).shape.map(|shape| shape.id)
            });
        });
        let mut cache = DigestCache::new();
        let variants: Vec<String> = (0..VARIANTS).map(|number| with_other_literals(text, number)).collect();
        let mut turn = 0;
        group.bench_function(format!("other_literals/{name}"), |bencher| {
            bencher.iter(|| {
                turn = (turn + 1) % VARIANTS;
                let sql = black_box(variants[turn].as_bytes());
                cache.digest(sql, true, Escapes::Backslash).shape.map(|shape| shape.id)
            });
        });
        group.bench_function(format!("repeated/{name}"), |bencher| {
            bencher
                .iter(|| cache.digest(black_box(sql), true, Escapes::Backslash).shape.map(|shape| shape.id));
        });
    }
    group.finish();
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Number(u64);

impl Key for Number {
    fn spread(&self) -> u64 {
        self.0
    }
}

#[derive(Default)]
struct Counter(u64);

impl Value for Counter {}

/// An event of a key that is shown, and of one that was never seen.
fn top(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("top");
    group.throughput(Throughput::Elements(1));
    let mut top: Top<Number, Counter, ()> = Top::new(100);
    (0..100).for_each(|key| top.add(Number(key), 1000, || ()).0 += 1);
    top.select();
    let mut key = 0;
    group.bench_function("add/shown", |bencher| {
        bencher.iter(|| {
            key = (key + 1) % 100;
            top.add(Number(black_box(key)), 1000, || ()).0 += 1;
        });
    });
    let mut key = 100;
    group.bench_function("add/new", |bencher| {
        bencher.iter(|| {
            key += 1;
            top.add(Number(black_box(key)), 1000, || ()).0 += 1;
        });
    });
    group.finish();
}

criterion_group!(benches, digests, top);
criterion_main!(benches);
