//! A real server that goes away, and a clock that does.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use crate::{
    Fault, fault,
    lab::{INTERFACE, Lab, PATIENCE, conversation, make_interface},
    support::{
        children::{command, output},
        exporter::{self, Exporter},
        mariadb::{DATABASE, MariaDb, Options, PASSWORD, USER},
        skip, wait,
    },
};

pub(crate) const FAULTS: &[Fault] = &[
    fault("MariaDB restarts, and crashes, under its clients", "what both servers ran is counted", restarts),
    fault(
        "the clock is set a day ahead, then two days back",
        "counts go on, no time is made up",
        clock_jumps,
    ),
];

/// The status of a client that runs this; it may fail.
fn client(server: &MariaDb, sql: &str) -> Command {
    let mut client = command("mariadb");
    client.args(["--no-defaults", "--skip-ssl", "--host=127.0.0.1", "--batch", DATABASE, "-e", sql]);
    client.args([format!("--port={}", server.port()), format!("--user={USER}")]);
    client.arg(format!("--password={PASSWORD}")).stderr(std::process::Stdio::null());
    client
}

fn restarts() -> String {
    if !skip::programs("MariaDB restarts, and crashes, under its clients", MariaDb::PROGRAMS) {
        return "not tried: no MariaDB here".to_owned();
    }
    let mut server = MariaDb::start(&Options::default());
    let port = server.port().to_string();
    let exporter = Exporter::start(&["--mysql.interface", "lo", "--mysql.port", &port]);
    let value = |name: &str, labels: &[(&str, &str)]| exporter.page().value(name, labels).unwrap();
    wait::until(PATIENCE, "the capture to be up", || (value("dbwire_capture_up", &[]) == 1.0).then_some(()));
    let insert = "INSERT INTO items (id, amount) VALUES (1, 1) ON DUPLICATE KEY UPDATE amount = 2;";
    let mut inserts = 0.0;
    for fault in [MariaDb::restart, MariaDb::crash, MariaDb::restart] {
        output(&mut client(&server, &insert.repeat(50)));
        inserts += 50.0;
        // One more that the server's end cuts short.
        let opened = value("dbwire_mysql_statements_total", &[("statement", "do")]);
        let mut waiting = client(&server, "DO SLEEP(60)").spawn().unwrap();
        wait::until(PATIENCE, "the statement to be seen", || {
            (value("dbwire_mysql_statements_total", &[("statement", "do")]) > opened).then_some(())
        });
        fault(&mut server);
        waiting.wait().unwrap();
    }
    output(&mut client(&server, &insert.repeat(50)));
    inserts += 50.0;
    wait::until(PATIENCE, "all to be counted", || {
        (value("dbwire_mysql_statements_total", &[("statement", "insert")]) == inserts).then_some(())
    });
    assert_eq!(value("dbwire_mysql_statements_total", &[("statement", "do")]), 3.0);
    assert_eq!(value("dbwire_mysql_gaps_total", &[]), 0.0);
    format!("two restarts and a crash; {inserts} of {inserts} counted, and 3 that were never answered")
}

/// For LD_PRELOAD: the time of day is off by as many seconds as the file `$CLOCK` says, from one moment to the next. The
/// file is mapped before the program gives up the right to open any.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long *offset;

__attribute__((constructor)) static void map(void) {
    int file = open(getenv("CLOCK"), O_RDONLY);
    offset = mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = syscall(SYS_clock_gettime, clock, time);
    if (!failed && clock == CLOCK_REALTIME && offset)
        time->tv_sec += *offset;
    return failed;
}
"#;

fn clock_jumps() -> String {
    const DAY: i64 = 86_400;
    if !skip::programs("the clock is set a day ahead, then two days back", &["cc"]) {
        return "not tried: no C compiler here".to_owned();
    }
    let folder = tempfile::tempdir().unwrap();
    let (library, clock) = (build_clock(folder.path()), folder.path().join("clock"));
    let set = |seconds: i64| {
        use std::os::unix::fs::FileExt as _;
        let file = fs::File::options().write(true).create(true).truncate(false).open(&clock).unwrap();
        file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    };
    set(0);
    make_interface();
    let mut command = exporter::command();
    command.env("LD_PRELOAD", &library).env("CLOCK", &clock);
    command.args(["--web.listen-address", "127.0.0.1:0", "--mysql.interface", INTERFACE]);
    let lab = Lab::of(&mut command);
    for (port, offset) in [(40_000, 0), (40_002, DAY), (40_004, -DAY), (40_006, 0)] {
        // Half of it before the clock is set, and half after the next ticks.
        let frames = conversation(port, 50);
        let (before, after) = frames.split_at(frames.len() / 2);
        lab.pour(before.iter().map(Vec::as_slice));
        set(offset);
        thread::sleep(Duration::from_millis(1500));
        lab.pour(after.iter().map(Vec::as_slice));
    }
    lab.ask(40_008, 50);
    lab.settle();
    let selects = lab.selects();
    // A connection that seems to have idled for a day is forgotten, and taken up again in its midst.
    assert!((100.0..=250.0).contains(&selects), "{selects} of 250");
    let seconds = lab.value("dbwire_mysql_query_duration_seconds_sum", &[]);
    assert!(seconds < 60.0, "{seconds} s");
    assert_eq!(lab.value("dbwire_capture_up", &[]), 1.0);
    format!("{selects} of 250 counted, {seconds:.1} s of latency in all")
}

fn build_clock(folder: &Path) -> std::path::PathBuf {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, CLOCK).unwrap();
    output(command("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source));
    library
}
