//! dbwire_exporter: parse, validate, open, serve, drain. See the library for everything else.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use dbwire_exporter::{
    check::{self, Status},
    cli::{self, Stop},
    config::{Action, Check, Config, Serve, Web},
    io::{
        check as host, collect::Collector, core_dumps, listen, log, notify::Manager, process::Process,
        sandbox::Policy, server, signals::StopSignals, sockets, supervisor, watchdog,
    },
    metrics::build,
    web::Routes,
};
#[cfg(feature = "capture")]
use dbwire_exporter::{
    config::Replay,
    io::mysql::{self, MysqlCollector, OpenMysql},
    metrics::text,
};

/// Bad usage; 0 is "asked to stop" and 1 "could not start".
const BAD_USAGE: u8 = 2;

fn main() -> ExitCode {
    let config = cli::parse(std::env::args_os(), build::VERSION_LINE)
        .and_then(|cli| Config::from_cli(cli).map_err(|invalid| Stop::Usage(invalid.to_string())));
    match config {
        Ok(config) => match run(config) {
            Ok(code) => code,
            Err(error) => {
                complain(&format!("{error:#}"));
                ExitCode::FAILURE
            }
        },
        Err(Stop::Print(text)) => {
            // Whoever closed the pipe has seen enough.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Stop::Usage(message)) => {
            complain(&message);
            ExitCode::from(BAD_USAGE)
        }
    }
}

/// One line on stderr, whatever the message.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "dbwire_exporter: {}", message.replace('\n', " "));
}

fn run(config: Config) -> anyhow::Result<ExitCode> {
    log::start(config.log);
    supervisor::log_panics();
    core_dumps::forbid().context("cannot set the limit of core dumps (see ulimit -c)")?;
    match config.action {
        Action::Serve(serve) => run_daemon(&serve).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "capture")]
        Action::Replay(replay) => print_replay(&replay).map(|()| ExitCode::SUCCESS),
        Action::Check(check) => print_check(&check),
    }
}

/// Fails if a part of the exporter would not work.
fn print_check(config: &Check) -> anyhow::Result<ExitCode> {
    let findings = host::look(config)?;
    let page = match config.json {
        true => format!("{:#}\n", check::json(&findings)),
        false => check::text(&findings),
    };
    print(page.as_bytes())?;
    Ok(match check::worst(&findings) {
        Status::Bad => ExitCode::FAILURE,
        Status::Ok | Status::Warn => ExitCode::SUCCESS,
    })
}

fn print(page: &[u8]) -> anyhow::Result<()> {
    match io::stdout().write_all(page) {
        // Whoever closed the pipe has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        _ => Ok(()),
    }
}

#[cfg(feature = "capture")]
fn print_replay(config: &Replay) -> anyhow::Result<()> {
    let mut page = Vec::new();
    match config.report {
        Some(format) => page.extend(mysql::replay_report(config, format)?.into_bytes()),
        None => text::encode(mysql::replay_families(config)?, &mut page)?,
    }
    print(&page)
}

fn run_daemon(config: &Serve) -> anyhow::Result<()> {
    // First what may fail, so that a start that fails says one thing only.
    let listeners = listen::bind(&config.web.listen)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop (out of file descriptors? see ulimit -n)")?;
    let stop = {
        let _inside = runtime.enter();
        StopSignals::install().context("cannot handle SIGTERM and SIGINT")?
    };
    let manager = Manager::from_environment().context("cannot reach the service manager (NOTIFY_SOCKET)")?;
    tracing::info!(version = build::VERSION, revision = build::REVISION, "starting dbwire_exporter");
    let collector = start_collectors(config)?;
    let pulse = collector.pulse();
    runtime.block_on(async {
        tokio::select! {
            served = serve(&config.web, listeners, collector, stop) => served,
            () = watchdog::watch(manager.as_ref(), &pulse) => Ok(()),
        }
    })
}

/// Opens what takes a right, gives up all rights, and only then starts threads.
///
/// What cannot be read or captured is no reason not to start: the page tells, and the log says what to do.
fn start_collectors(config: &Serve) -> anyhow::Result<Collector> {
    let advice = |collector| format!("cannot start the {collector} collector (see ulimit -n and -u)");
    let policy = policy(config);
    #[cfg(feature = "capture")]
    let mysql =
        config.mysql.as_ref().map(MysqlCollector::open).transpose().with_context(|| advice("MySQL"))?;
    let sockets = config.sockets.as_ref();
    let namespaces = sockets.map(|sockets| sockets::enter_namespaces(sockets, &policy)).transpose()?;
    let sandbox = policy.enforce()?;
    #[cfg(feature = "capture")]
    let mysql = mysql.map(OpenMysql::start).transpose().with_context(|| advice("MySQL"))?;
    let sockets =
        sockets.zip(namespaces).map(|(config, namespaces)| sockets::start_beside(config, namespaces));
    let sockets = sockets.transpose().with_context(|| advice("sockets"))?;
    Ok(Collector::new(
        Process::for_self().held_by(sandbox),
        sockets,
        #[cfg(feature = "capture")]
        mysql,
    ))
}

/// What the process goes on to read.
fn policy(config: &Serve) -> Policy {
    let procfs = config.sockets.as_ref().map(|sockets| sockets.procfs.clone());
    let readable = ["/proc", "/sys/class/net", "/sys/devices", "/dev/null"].map(PathBuf::from);
    Policy { readable: readable.into_iter().chain(procfs).collect(), confine: config.sandbox }
}

async fn serve(
    config: &Web,
    listeners: Vec<TcpListener>,
    collector: Collector,
    stop: StopSignals,
) -> anyhow::Result<()> {
    let routes = Routes::new(&config.telemetry_path);
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    let listeners =
        listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
    for address in addresses {
        tracing::info!(%address, url = url(address, &routes), "serving");
    }
    let app = server::App::new(routes, collector, config.max_requests, None);
    let stop = async {
        let signal = stop.wait().await;
        tracing::info!(signal, "stopping");
    };
    server::serve(listeners, Arc::new(app), stop).await;
    Ok(())
}

/// Where to look, as something to click on.
fn url(mut address: SocketAddr, routes: &Routes) -> String {
    let path = routes.telemetry_path();
    if address.ip().is_unspecified() {
        return format!("http://localhost:{}{path}", address.port());
    }
    if let SocketAddr::V6(v6) = &mut address {
        // A zone has no agreed form in a URL.
        v6.set_scope_id(0);
    }
    format!("http://{address}{path}")
}
