//! Processes that hold sockets: one may not hold as many files as a busy host has sockets.

use std::{
    io::{self, BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use crate::{
    unshare::raise_descriptor_limit,
    zoo::{Plan, Zoo},
};

/// Sockets one process holds.
const EACH: usize = 16_000;

/// The word that makes this program a holder.
pub(crate) const HOLD: &str = "--hold";

/// Children that hold sockets until it is dropped.
#[derive(Debug)]
pub(crate) struct Holders(Vec<Child>);

impl Holders {
    /// Sockets of which a tenth are IPv6, a twentieth v4-mapped, a tenth of port 3306, with a few hundred in other
    /// states.
    pub(crate) fn start(sockets: usize) -> io::Result<Self> {
        let mut holders = Self(Vec::new());
        let program = std::env::current_exe()?;
        let mut starting = Vec::new();
        for (number, held) in (0..sockets).step_by(EACH).enumerate() {
            let here = EACH.min(sockets - held).to_string();
            let mut child = Command::new(&program)
                .args([HOLD, &here, &number.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            starting.extend(child.stdout.take());
            holders.0.push(child);
        }
        for ready in starting {
            let mut line = String::new();
            BufReader::new(ready).read_line(&mut line)?;
            if line != "ready\n" {
                return Err(io::Error::other("a holder failed"));
            }
        }
        Ok(holders)
    }
}

impl Drop for Holders {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It ends when its input does.
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// A holder's whole life: `sockets` is how many it holds, `number` tells it from the others.
pub(crate) fn hold(sockets: usize, number: u8) -> io::Result<()> {
    raise_descriptor_limit()?;
    let pairs = sockets / 2;
    let plan = Plan {
        established_v6: pairs / 10,
        established_mapped: pairs / 20,
        half_closed: pairs / 100,
        established_v4: pairs - pairs / 10 - pairs / 20 - pairs / 100 - pairs / 10,
        ..Plan::default()
    };
    let _zoo = Zoo::build(&plan)?;
    let server = TcpListener::bind(SocketAddr::from(([127, 0, 3, number + 1], 3306)))?;
    let mut streams = Vec::new();
    for _ in 0..pairs / 10 {
        streams.push(TcpStream::connect(server.local_addr()?)?);
        streams.push(server.accept()?.0);
    }
    #[allow(clippy::print_stdout, reason = "the parent waits for it")]
    {
        println!("ready");
    }
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
