//! The database works as if the exporter were not there, whatever becomes of it.

use std::{env, fmt::Write as _, thread, time::Duration};

use crate::{
    lab::PATIENCE,
    support::{
        children::{command, output},
        clients::prepare_sysbench,
        exporter::Exporter,
        mariadb::{MariaDb, Options, PASSWORD, USER},
        wait,
    },
};

/// What becomes of it while the database is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Absent,
    /// Absent once more: what a comparison is worth on this machine.
    Again,
    Running,
    /// By SIGSTOP.
    Stopped,
    /// Run only when nobody else wants to.
    Starved,
    /// By SIGKILL, in the midst.
    Killed,
}

const STATES: [State; 6] =
    [State::Absent, State::Again, State::Running, State::Stopped, State::Starved, State::Killed];
/// Few tell a database that comes to a halt from one that works on; a figure takes many short ones, for a machine is as
/// fast as it was a moment ago, not as a minute ago.
const ROUNDS: usize = 3;

/// Of the database.
#[derive(Debug, Clone, Copy)]
struct Measured {
    transactions: f64,
    /// The 95th percentile.
    milliseconds: f64,
}

/// Each state in turn, again and again; each compared with the turn without an exporter of the same round.
pub(crate) fn run() -> String {
    let rounds = env::var("DBWIRE_BYSTANDER_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(ROUNDS);
    let server = MariaDb::start(&Options::default());
    prepare_sysbench(&server);
    sysbench(&server);
    let mut ratios = STATES.map(|_| Vec::new());
    for round in 0..rounds {
        // Another one begins each round.
        let order = (0..STATES.len()).map(|place| (place + round) % STATES.len());
        let mut measured = STATES.map(|_| Measured { transactions: 0.0, milliseconds: 0.0 });
        order.for_each(|at| measured[at] = measure(&server, STATES[at]));
        let absent = measured[0];
        for (ratios, with) in ratios.iter_mut().zip(measured) {
            ratios.push((with.transactions / absent.transactions, with.milliseconds / absent.milliseconds));
        }
    }
    let mut line = format!("{rounds} rounds; ");
    for (state, ratios) in STATES.iter().zip(ratios).skip(1) {
        let throughput = median(ratios.iter().map(|(throughput, _)| *throughput));
        let latency = median(ratios.iter().map(|(_, latency)| *latency));
        let _ = write!(line, "{state:?}: throughput × {throughput:.2}, p95 × {latency:.2}; ");
        // Coarse, as other tests run beside this one: a database that waits for the exporter would come to a halt.
        assert!(throughput > 0.5, "{line}");
    }
    line
}

fn measure(server: &MariaDb, state: State) -> Measured {
    if matches!(state, State::Absent | State::Again) {
        return sysbench(server);
    }
    let port = server.port().to_string();
    let exporter = Exporter::start(&["--mysql.interface", "lo", "--mysql.port", &port]);
    wait::until(PATIENCE, "the capture to be up", || {
        exporter.page().value("dbwire_capture_up", &[]).filter(|up| *up == 1.0)
    });
    match state {
        State::Absent | State::Again | State::Running => sysbench(server),
        State::Stopped => {
            exporter.signal(libc::SIGSTOP);
            sysbench(server)
        }
        State::Starved => {
            let process = exporter.id().to_string();
            output(command("chrt").args(["--all-tasks", "--idle", "--pid", "0", &process]));
            sysbench(server)
        }
        State::Killed => thread::scope(|scope| {
            let measured = scope.spawn(|| sysbench(server));
            thread::sleep(Duration::from_millis(500));
            exporter.signal(libc::SIGKILL);
            measured.join().unwrap()
        }),
    }
}

/// A second of it.
fn sysbench(server: &MariaDb) -> Measured {
    let mut program = command("sysbench");
    program.args(["oltp_point_select", "--tables=1", "--table-size=10000", "--mysql-db=sbtest"]);
    program.args([format!("--mysql-user={USER}"), format!("--mysql-password={PASSWORD}")]);
    program.args(["--mysql-host=127.0.0.1".to_owned(), format!("--mysql-port={}", server.port())]);
    program.args(["--threads=4", "--percentile=95", "--time=1", "run"]);
    let printed = output(&mut program);
    let after = |label: &str| {
        let line = printed.lines().find_map(|line| line.trim().strip_prefix(label)).expect("its summary");
        line.trim_start_matches([' ', '(']).to_owned()
    };
    let transactions = after("transactions:");
    let (_, rate) = transactions.split_once('(').expect("a rate");
    Measured {
        transactions: rate.split(' ').next().unwrap().parse().unwrap(),
        milliseconds: after("95th percentile:").trim().parse().unwrap(),
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
