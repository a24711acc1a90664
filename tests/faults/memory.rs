//! What the process' memory holds, and what it does to it.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{self, Command},
};

use crate::{
    Fault, fault,
    lab::{INTERFACE, Lab, PATIENCE, make_interface},
    soak::{ACCEPTS, scrape},
    support::{
        children::{command, output},
        dialogue::{Conversation, OK, error},
        skip, wait,
    },
};

pub(crate) const FAULTS: &[Fault] = &[
    fault("root takes an image of its memory (gcore)", "no literal outside the ring of packets", image),
    fault(
        "its cgroup's memory is at its limit, which a neighbour in it pushes against",
        "serves and counts, from what the kernel takes back",
        pressure,
    ),
    fault(
        "every access to memory is watched (valgrind)",
        "no error, and nothing is lost at the end",
        watched,
    ),
];

/// Stands in every literal, and in the error that echoes it.
const CANARY: &str = "canary7f3a9e";

fn image() -> String {
    if !skip::programs("root takes an image of its memory (gcore)", &["gcore"]) {
        return "not tried: no gcore here".to_owned();
    }
    let lab = Lab::new();
    let mut frames = Vec::new();
    let mut conversation =
        Conversation::open(40_000, "shop", 0, |_, frame: &[u8]| frames.push(frame.to_vec()));
    let echo = error(1064, "42000", &format!("You have an error near '{CANARY}' at line 1"));
    for number in 0..50 {
        let sql = format!("SELECT a FROM t_{number} WHERE b = '{CANARY}' AND c IN (1, \"{CANARY}\")");
        conversation.query(sql.as_bytes(), if number % 2 == 0 { OK } else { &echo });
        conversation.execute(number + 1, b"DELETE FROM t WHERE a = ?", CANARY.as_bytes(), &echo);
    }
    conversation.close();
    lab.pour(frames.iter().map(Vec::as_slice));
    lab.settle();
    let page = lab.exporter.request("GET", "/metrics").body;
    let status = lab.exporter.request("GET", "/api/v1/status").body;
    assert!(
        !page.contains(CANARY) && !status.contains(CANARY) && !lab.exporter.log().concat().contains(CANARY)
    );
    let folder = tempfile::tempdir().unwrap();
    let (name, process) = (folder.path().join("core"), lab.exporter.id().to_string());
    output(command("gcore").arg("-o").arg(&name).arg(&process));
    let image = fs::read(name.with_extension(&process)).unwrap();
    assert!(count(&image, b"dbwire_mysql_statements_total") > 0, "an image of this program");
    let (ring, others) = regions_with(&process);
    assert!(others.is_empty(), "in {others:?}");
    let imaged = count(&image, CANARY.as_bytes());
    // What the kernel shares with a process is not in every image.
    assert!(imaged == 0 || imaged == ring, "{imaged} in the image, {ring} in the ring");
    format!(
        "{ring} literals in the ring, {imaged} of them in an image of {} MB, none elsewhere",
        image.len() >> 20
    )
}

/// How often the canary is in the ring, and the other regions of the process' memory that it is in.
fn regions_with(process: &str) -> (usize, Vec<String>) {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let (mut ring, mut others) = (0, Vec::new());
    for line in maps.lines().filter(|line| line.contains(" r")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; (end - start) as usize];
        // Some of the kernel's own regions cannot be read.
        if memory.read_exact_at(&mut bytes, start).is_err() {
            continue;
        }
        match count(&bytes, CANARY.as_bytes()) {
            0 => {}
            found if line.contains("socket:") => ring += found,
            found => others.push(format!("{line}: {found}")),
        }
    }
    (ring, others)
}

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}

/// What the exporter and its neighbour may take: little more than the exporter alone.
const ALLOWED: u64 = 24 << 20;

/// A memory cgroup (version 1) of the row's own.
struct Group(PathBuf);

impl Group {
    /// `None` where there are none, or only those of version 2.
    fn new() -> Option<Self> {
        let group = Path::new("/sys/fs/cgroup/memory").join(format!("dbwire-faults-{}", process::id()));
        fs::create_dir(&group).ok()?;
        fs::write(group.join("memory.limit_in_bytes"), ALLOWED.to_string()).unwrap();
        Some(Self(group))
    }

    /// Runs a program in it.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(self.0.join("cgroup.procs")).arg(program);
        command
    }

    /// A figure of the group: `memory.failcnt` is how often it was at its limit and something had to be taken back.
    fn figure(&self, name: &str) -> u64 {
        fs::read_to_string(self.0.join(name)).unwrap().trim().parse().unwrap()
    }
}

/// The neighbour writes a file many times as large as what is allowed, whose pages the kernel keeps as long as it can.
fn pressure() -> String {
    let Some(group) = Group::new() else {
        return "not tried: no memory cgroups of version 1 here".to_owned();
    };
    let folder = tempfile::tempdir().unwrap();
    make_interface();
    let mut exporter = group.command(env!("CARGO_BIN_EXE_dbwire_exporter"));
    let lab = Lab::of(exporter.args(["--web.listen-address", "127.0.0.1:0", "--mysql.interface", INTERFACE]));
    let before = group.figure("memory.failcnt");
    let mut neighbour = group.command("dd");
    neighbour.args(["if=/dev/zero", "bs=1M", "count=256", "status=none"]);
    neighbour.arg(format!("of={}", folder.path().join("pages").display()));
    let mut neighbour = neighbour.spawn().unwrap();
    let mut asked = 0;
    while asked < 2_500 || neighbour.try_wait().unwrap().is_none() {
        lab.ask(20_000 + 2 * (asked / 50 % 20_000) as u16, 50);
        asked += 50;
    }
    assert!(neighbour.wait().unwrap().success());
    lab.assert_selects(asked);
    let (pushed, most) = (group.figure("memory.failcnt") - before, group.figure("memory.max_usage_in_bytes"));
    assert!(pushed > 0 && most <= ALLOWED, "{pushed} times at the limit, {most} bytes at most");
    drop(lab);
    wait::until(PATIENCE, "the group to be empty", || fs::remove_dir(&group.0).ok());
    format!("{} MB allowed and taken, {pushed} times at the limit, {asked} of {asked} counted", most >> 20)
}

fn watched() -> String {
    if !skip::programs("every access to memory is watched (valgrind)", &["valgrind"]) {
        return "not tried: no valgrind here".to_owned();
    }
    make_interface();
    let mut command = command("valgrind");
    command.args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    // valgrind makes code as it goes, which the sandbox forbids.
    command.arg(env!("CARGO_BIN_EXE_dbwire_exporter")).args(["--no-sandbox", "--sockets.detail=full"]);
    command.args(["--web.listen-address", "127.0.0.1:0", "--mysql.interface", INTERFACE]);
    let lab = Lab::of(&mut command);
    lab.ask(40_000, 50);
    for accept in ACCEPTS {
        scrape(&lab.exporter, accept);
    }
    lab.settle();
    assert_eq!(lab.selects(), 50.0);
    let (status, log) = lab.exporter.stop_with(libc::SIGTERM);
    assert_eq!(status.code(), Some(0), "{log:#?}");
    "50 of 50 counted, every format, no error".to_owned()
}
