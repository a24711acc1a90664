//! Gathers what [`crate::check`] judges. Nothing on the host is changed.

use std::{env, fs, io, path::Path};
#[cfg(feature = "capture")]
use std::{mem, time::Duration};

#[cfg(feature = "capture")]
use super::{
    capture::live::Live,
    mysql::{MysqlCollector, settings},
};
use super::{netlink::Dumper, procfs::ProcNet, server::listen};
use crate::{
    check::{Finding, kernel::Kernel, privileges::Privileges, settings as variables},
    cli,
    config::{Check, ListenAddress, Serve},
    sockets::{
        inet_diag::Query,
        state::{State, StateSet},
    },
};
#[cfg(feature = "capture")]
use crate::{
    check::{
        capture::{Capture, Interface, Look},
        ports::Ports,
        sampling::Sampling,
    },
    config::Mysql,
    mysql::event::Visibility,
    sockets::counters::parse_port_range,
    stats::capture::Snapshot,
};

/// Looks at this host, and for as long as configured at its traffic.
///
/// # Errors
/// If there are no descriptors left to look with.
pub fn look(config: &Check) -> io::Result<Vec<Finding>> {
    let serve = &config.serve;
    let mut findings = variables::findings(&unknown_variables());
    findings.extend(privileges(serve).findings());
    findings.extend(kernel(procfs(serve)).findings());
    #[cfg(feature = "capture")]
    if let Some(mysql) = &serve.mysql {
        let (capture, ports) = (capture(mysql, config.look)?, ports(serve, mysql));
        findings.extend(capture.findings());
        findings.extend(ports.findings());
        findings.extend(sampling(mysql, &ports, capture.look).findings());
    }
    findings.push(web(&serve.web.listen));
    Ok(findings)
}

/// Variables of the environment that begin as settings do and are none.
pub fn unknown_variables() -> Vec<String> {
    cli::unknown_variables(env::vars_os().map(|(name, _)| name))
}

/// Where the daemon would read it.
fn procfs(serve: &Serve) -> &Path {
    serve.sockets.as_ref().map_or(Path::new("/proc"), |sockets| &sockets.procfs)
}

fn privileges(serve: &Serve) -> Privileges {
    let held = caps::read(None, caps::CapSet::Effective).unwrap_or_default();
    let mut capabilities: Vec<_> = held.iter().map(|held| held.to_string().to_lowercase()).collect();
    capabilities.sort_unstable();
    let binary = env::current_exe().map_or("dbwire_exporter".to_owned(), |file| file.display().to_string());
    Privileges {
        // SAFETY: geteuid has no preconditions and cannot fail.
        uid: unsafe { libc::geteuid() },
        capabilities,
        binary,
        enters_namespaces: serve.sockets.as_ref().is_some_and(|sockets| !sockets.netns.is_empty()),
        #[cfg(feature = "capture")]
        captures: serve.mysql.is_some(),
        #[cfg(not(feature = "capture"))]
        captures: false,
    }
}

fn kernel(procfs: &Path) -> Kernel {
    let listeners = Query::of(StateSet::NONE.with(State::Listen));
    let inet_diag = Dumper::of_kernel().dump(listeners, &(), |(), _, _| ());
    Kernel {
        release: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        inet_diag: inet_diag.map_err(|error| error.to_string()),
        counters: ProcNet::new(procfs).gauges().map(drop).map_err(|error| error.to_string()),
        jit: number(Path::new("/proc/sys/net/core/bpf_jit_enable")),
        landlock: landlock_version(),
        seccomp: fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").is_ok(),
    }
}

fn number(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// 0 where there is no Landlock.
fn landlock_version() -> u32 {
    const VERSION_FLAG: libc::c_long = 1;
    let nothing = std::ptr::null::<libc::c_void>();
    // SAFETY: asked for its version the call takes no attributes: a null pointer and size 0 (landlock_create_ruleset(2)).
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, VERSION_FLAG) };
    u32::try_from(version).unwrap_or(0)
}

/// Binds, and lets go at once.
fn web(addresses: &[ListenAddress]) -> Finding {
    match listen::bind(addresses) {
        Ok(listeners) => {
            let addresses: Vec<_> = listeners.iter().filter_map(|listener| listener.address().ok()).collect();
            Finding::ok("web", format!("{} can be served on", addresses.join(", ")))
        }
        Err(error) => Finding::bad("web", error.to_string(), "unless it is this exporter, already running"),
    }
}

#[cfg(feature = "capture")]
fn capture(config: &Mysql, time: Duration) -> io::Result<Capture> {
    let opened = open(config);
    let look = match (&opened, time.is_zero()) {
        (Ok(()), false) => look_at_traffic(config, time)?,
        _ => None,
    };
    Ok(Capture {
        wanted: config.interface.clone(),
        present: interfaces(),
        opened,
        block_ring: block_ring(),
        look,
    })
}

#[cfg(feature = "capture")]
fn open(config: &Mysql) -> Result<(), String> {
    let mut live = Live::open(&settings(config)).map_err(|error| error.to_string())?;
    live.follow().map_err(|error| error.to_string())
}

#[cfg(feature = "capture")]
fn interfaces() -> Vec<Interface> {
    let devices = pcap::Device::list().unwrap_or_default();
    // libpcap lists things that are not interfaces, too.
    let interfaces =
        devices.into_iter().filter(|device| Path::new("/sys/class/net").join(&device.name).exists());
    interfaces.map(|device| Interface { up: device.flags.is_up(), name: device.name }).collect()
}

/// `None` without the right to open a packet socket.
#[cfg(feature = "capture")]
fn block_ring() -> Option<bool> {
    use std::os::fd::AsRawFd as _;
    let socket =
        socket2::Socket::new(socket2::Domain::from(libc::AF_PACKET), socket2::Type::RAW, None).ok()?;
    let version: libc::c_int = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
    // SAFETY: the descriptor is open while `socket` lives; the option's value is a c_int that outlives the call.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_VERSION,
            (&raw const version).cast(),
            mem::size_of_val(&version) as libc::socklen_t,
        )
    };
    Some(outcome == 0)
}

#[cfg(feature = "capture")]
fn look_at_traffic(config: &Mysql, time: Duration) -> io::Result<Option<Look>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let collector = MysqlCollector::start(config)?;
    let snapshot = runtime.block_on(async {
        tokio::time::sleep(time).await;
        collector.snapshot(Duration::from_secs(5)).await
    });
    Ok(snapshot.map(|snapshot| told(&snapshot, time)))
}

#[cfg(feature = "capture")]
fn told(snapshot: &Snapshot, time: Duration) -> Look {
    let count = |wanted: &[Visibility]| {
        let flows = snapshot.stats.flows().filter(|(visibility, _)| wanted.contains(visibility));
        flows.map(|(_, count)| count).sum()
    };
    Look {
        seconds: time.as_secs().max(1),
        cpu_share: snapshot.capture.cpu.as_secs_f64() / time.as_secs_f64(),
        packets: snapshot.stats.packets,
        readable: count(&[Visibility::Decoded, Visibility::Compressed]),
        encrypted: count(&[Visibility::Tls]),
        untold: count(&[Visibility::Unknown]),
    }
}

#[cfg(feature = "capture")]
fn ports(serve: &Serve, mysql: &Mysql) -> Ports {
    let range = fs::read_to_string(procfs(serve).join("sys/net/ipv4/ip_local_port_range")).ok();
    let start = Ports {
        range: range.as_deref().and_then(parse_port_range),
        sample_bits: mysql.decode.class.bits(),
        first_bit: mysql.decode.class.mask().trailing_zeros(),
        ..Ports::default()
    };
    let servers = &mysql.decode.ports;
    let counted = Dumper::of_kernel().dump(Query::of(StateSet::ALL), &start, |ports, row, _| {
        let client = match (servers.contains(row.local.port), servers.contains(row.remote.port)) {
            (true, _) if row.remote.port == 0 => {
                ports.listening = true;
                return;
            }
            (true, false) => row.remote.port,
            // A connection of this host to itself is two sockets.
            (false, true) if row.local.address != row.remote.address => row.local.port,
            _ => return,
        };
        let count = if client % 2 == 0 { &mut ports.even } else { &mut ports.odd };
        *count += 1;
        ports.sampled += u64::from(mysql.decode.class.contains(client));
    });
    counted.unwrap_or(start)
}

#[cfg(feature = "capture")]
fn sampling(mysql: &Mysql, ports: &Ports, look: Option<Look>) -> Sampling {
    Sampling {
        class: mysql.decode.class,
        multiplier: mysql.decode.multiplier,
        connections: ports.even + ports.odd,
        sampled: ports.sampled,
        cpu_budget: mysql.cpu_budget,
        cpu_share: look.map(|look| look.cpu_share),
    }
}
