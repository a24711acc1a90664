//! No literal leaves the host: a canary in every literal position, as text and as arguments, in error replies that
//! echo it, is in nothing that the program prints, nor if it panics or crashes.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests read files and start programs

#[path = "support/conversation.rs"]
mod conversation;
#[path = "digest/forms.rs"]
mod forms;
#[path = "support/logins.rs"]
mod logins;
mod support;

use std::{
    os::unix::process::ExitStatusExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::Command,
};

use dbwire_exporter::{
    cli::{LogArgs, LogFormat, LogLevel},
    io::{log, supervisor},
    limits::Bounds,
    mysql::{
        compress::Codecs,
        event::{Context, Event, Observer, StatementRef},
        schema::SchemaId,
        session::{Session, Shared},
    },
    packet::Timestamp,
    stream::{Direction, flows::Start},
};
use forms::{FORMS, literals};
use logins::{MYSQL_8, connect};
use support::{
    dialogue::{Conversation, OK, error, write_pcap},
    exporter::{Exporter, run},
    exposition::Exposition,
};

const CANARY: &str = "canary";

/// Writes a capture of all forms, and tells how many statements and errors it has.
fn write_capture(path: &Path) -> (u64, u64) {
    let mut frames = Vec::new();
    let (mut statements, mut errors) = (0, 0);
    let mut conversation =
        Conversation::open(40_000, "shop", 1_700_000_000_000_000_000, |at, frame: &[u8]| {
            frames.push((at, frame.to_vec()));
        });
    for canary in [CANARY.to_owned(), CANARY.to_uppercase()] {
        let echo = error(1064, "42000", &format!("You have an error near '{canary}' at line 1"));
        for (number, form) in FORMS.iter().enumerate() {
            for literal in literals(&canary) {
                let failed = number % 2 == 0;
                let response = if failed { &echo[..] } else { OK };
                conversation.query(form.replace("{}", &literal).as_bytes(), response);
                conversation.query(form.to_uppercase().replace("{}", &literal).as_bytes(), response);
                statements += 2;
                errors += 2 * u64::from(failed);
            }
            let unterminated = form.replacen("{}", &format!("'{canary}"), 1).replace("{}", "1");
            conversation.query(unterminated.as_bytes(), &echo);
            let prepared = form.replace("{}", "?");
            conversation.execute(number as u32 + 1, prepared.as_bytes(), canary.as_bytes(), &echo);
            statements += 2;
            errors += 2;
        }
    }
    conversation.close();
    write_pcap(path, &frames);
    (statements, errors)
}

#[test]
fn a_canary_in_every_literal_is_in_no_metric_report_or_log_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("canary.pcap");
    let (statements, errors) = write_capture(&path);
    let path = path.to_str().unwrap();
    for options in [&[][..], &["--mysql.max-digests=10000"], &["--report"], &["--report=json"]] {
        let output = run(&[&["replay", path, "--log.level=debug"], options].concat());
        assert!(output.status.success(), "{output:?}");
        for printed in [&output.stdout, &output.stderr] {
            let printed = String::from_utf8_lossy(printed).to_lowercase();
            let at = printed.find(CANARY);
            assert_eq!(at, None, "{options:?}: {}", at.map_or("", |at| &printed[at.saturating_sub(200)..]));
        }
        if options.first().is_none_or(|option| !option.starts_with("--report")) {
            let page = Exposition::parse(&String::from_utf8_lossy(&output.stdout));
            assert_eq!(page.value("dbwire_mysql_statements_total", &[]), Some(statements as f64));
            assert_eq!(page.value("dbwire_mysql_digest_queries_total", &[]), Some(statements as f64));
            assert_eq!(page.value("dbwire_mysql_digest_errors_total", &[]), Some(errors as f64));
            assert_eq!(page.value("dbwire_mysql_errors_total", &[]), Some(errors as f64));
            let unparsed = page.value("dbwire_mysql_digest_queries_total", &[("digest", "other")]);
            assert!(unparsed > Some(0.0), "an unterminated literal has no digest");
        }
    }
}

#[test]
fn a_decoder_in_the_middle_of_a_statement_shows_none_of_it_when_it_is_printed() {
    let mut talk = connect(MYSQL_8, 0);
    let request = conversation::packet(0, format!("\x03select '{}'", CANARY.repeat(1000)).as_bytes());
    // One piece in its place, and one that came early: that between them is not there.
    for piece in request.chunks(1000).take(3) {
        talk.raw(Direction::ToServer, piece);
    }
    talk.sent.remove(talk.sent.len() - 2);
    let mut pipeline = conversation::pipeline();
    conversation::play(&mut pipeline, &talk.sent);
    assert!(pipeline.bounds().bytes() > 1000, "held");
    let shown = format!("{pipeline:?}");
    let as_numbers = format!("{:?}", CANARY.as_bytes());
    assert!(!shown.contains(CANARY) && !shown.contains(as_numbers.trim_matches(['[', ']'])), "{shown}");
}

/// A part of a decoder that panics in the ways that show what it has in hand.
struct Clumsy(usize);

impl Observer for Clumsy {
    fn statement(&mut self, sql: &[u8], _: Context) -> StatementRef {
        let text = str::from_utf8(sql).unwrap();
        match self.0 {
            0 => panic!("cannot read {text}"),
            1 => panic!("{}", &text[1..text.find('é').unwrap() + 1]),
            2 => panic!("{:?}", text.parse::<u64>().map_err(|error| (error, text)).unwrap()),
            _ => std::panic::panic_any(text.to_owned()),
        }
    }

    fn schema(&mut self, _: &[u8]) -> SchemaId {
        SchemaId::UNKNOWN
    }

    fn user(&mut self, _: Option<&[u8]>) {}

    fn event(&mut self, _: &Event) {}
}

/// Ways in which [`Clumsy`] panics.
const WAYS: usize = 4;

#[test]
#[ignore = "run by the next one, in a process of its own"]
fn a_decoder_that_panics() {
    log::start(LogArgs { level: LogLevel::Debug, format: LogFormat::Logfmt });
    supervisor::log_panics();
    let (bounds, codecs) = (Bounds::default(), Codecs::default());
    let request = conversation::packet(0, format!("\x03select é, '{CANARY}'").as_bytes());
    for way in 0..WAYS {
        let shared = Shared { bounds: &bounds, codecs: &codecs };
        let mut session = Session::new(Start::MidStream);
        let decode = AssertUnwindSafe(|| {
            session.data(Direction::ToServer, Timestamp(1), &request, shared, &mut Clumsy(way));
        });
        let panicked = catch_unwind(decode).unwrap_err();
        let held = panicked.downcast_ref::<String>().unwrap();
        assert!(held.contains(CANARY), "the panic of way {way} has it");
    }
}

#[test]
fn a_panic_with_a_statement_in_hand_tells_its_place_and_no_more() {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "--ignored", "--nocapture", "a_decoder_that_panics"]);
    let output = process.env("RUST_BACKTRACE", "full").output().unwrap();
    let printed = [output.stdout, output.stderr].map(|printed| String::from_utf8(printed).unwrap()).concat();
    assert!(output.status.success(), "{printed}");
    assert!(printed.matches("panicked").count() >= WAYS && printed.contains("literals.rs:"), "{printed}");
    assert!(!printed.to_lowercase().contains(CANARY), "{printed}");
}

#[test]
fn the_kernel_may_not_write_a_core() {
    let exporter = Exporter::start(&["--no-collector.mysql"]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", exporter.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<_> = core.split_whitespace().collect();
    assert_eq!(words, ["Max", "core", "file", "size", "1", "1", "bytes"]);
}

#[test]
fn a_crash_leaves_no_core() {
    // The runtime itself listens to SIGSEGV, and falls silent before it is fatal.
    for signal in [libc::SIGABRT, libc::SIGILL] {
        let folder = tempfile::tempdir().unwrap();
        let shell = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -c unlimited 2>/dev/null; {script}")]);
            shell.current_dir(folder.path());
            shell
        };
        // Another program, where the system is set up so, leaves one.
        let other = shell(&format!("kill -{signal} $$")).status().unwrap();
        assert_eq!(other.signal(), Some(signal));
        let cores = files(folder.path());
        let mut command = shell("exec \"$0\" --no-collector.mysql --web.listen-address=127.0.0.1:0");
        let exporter = Exporter::start_command(command.arg(env!("CARGO_BIN_EXE_dbwire_exporter")), 1);
        let (status, log) = exporter.stop_with(signal);
        assert_eq!((status.signal(), status.core_dumped()), (Some(signal), false), "{log:?}");
        assert_eq!(files(folder.path()), cores, "where another one left {cores}: {}", other.core_dumped());
    }
}

/// How many files there are.
fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
