//! dbwire_exporter: parse, validate, open, serve, drain. See the library for everything else.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use dbwire_exporter::{
    check::{self, Status},
    cli::{self, Stop},
    config::{Action, Check, Config, Serve, Web},
    io::{
        check as host, clock,
        collect::Collector,
        core_dumps, log,
        notify::Manager,
        process::Process,
        sandbox::Policy,
        server::{
            self, App, Guard, WebConfigFile,
            listen::{self, Listener},
        },
        signals::StopSignals,
        sockets, supervisor, watchdog,
    },
    metrics::{build, format::Created},
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
            let arguments: Vec<_> = std::env::args_os().collect();
            let is_set = |name: &str| std::env::var_os(name).is_some();
            complain(&cli::with_origin(&message, &arguments, is_set));
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
    for variable in host::unknown_variables() {
        tracing::warn!(variable, "no setting of this program, which goes on without it; see --help");
    }
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
    let replayed = mysql::replay(config)?;
    let mut page = Vec::new();
    match config.report {
        Some(format) => page.extend(replayed.report(format).into_bytes()),
        None => text::encode(replayed.families(), &mut page)?,
    }
    print(&page)?;
    replayed.damage.map_or(Ok(()), |damage| Err(damage.into()))
}

fn run_daemon(config: &Serve) -> anyhow::Result<()> {
    // First what may fail, so that a start that fails says one thing only.
    let web_config = config.web.config_file.as_deref().map(WebConfigFile::open).transpose();
    let web_config = web_config.context("cannot use --web.config.file")?;
    let listeners = listeners(&config.web)?;
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
    let collector = start_collectors(config, web_config.as_ref())?;
    let pulse = collector.pulse();
    let scheme = if web_config.as_ref().is_some_and(WebConfigFile::serves_tls) { "https" } else { "http" };
    let guard = web_config.map(Guard::start).transpose();
    let guard = guard.context("cannot start the thread that compares passwords (see ulimit -u)")?;
    let routes = Routes::new(&config.web.telemetry_path);
    for listener in &listeners {
        tracing::info!(url = listener.url(scheme, routes.telemetry_path())?, "serving");
    }
    let created = Created { at: clock::unix_time(), samples: config.web.created_samples };
    let app = App::new(routes, collector, config.web.max_requests, guard, created);
    runtime.block_on(async {
        tokio::select! {
            served = serve(listeners, app, stop) => served,
            () = watchdog::watch(manager.as_ref(), &pulse) => Ok(()),
        }
    })
}

fn listeners(config: &Web) -> anyhow::Result<Vec<Listener>> {
    Ok(if config.systemd_socket { listen::from_systemd()? } else { listen::bind(&config.listen)? })
}

/// Opens what takes a right, gives up all rights, and only then starts threads.
///
/// What cannot be read or captured is no reason not to start: the page tells, and the log says what to do.
fn start_collectors(config: &Serve, web_config: Option<&WebConfigFile>) -> anyhow::Result<Collector> {
    let advice = |collector| format!("cannot start the {collector} collector (see ulimit -n and -u)");
    let policy = policy(config, web_config);
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
fn policy(config: &Serve, web_config: Option<&WebConfigFile>) -> Policy {
    let procfs = config.sockets.as_ref().map(|sockets| sockets.procfs.clone());
    let mut readable = ["/proc", "/sys/class/net", "/sys/devices", "/dev/null"].map(PathBuf::from).to_vec();
    readable.extend(procfs);
    readable.extend(web_config.iter().flat_map(|file| file.read_later()));
    Policy { readable, confine: config.sandbox }
}

async fn serve(listeners: Vec<Listener>, app: App, stop: StopSignals) -> anyhow::Result<()> {
    let stop = async {
        let signal = stop.wait().await;
        tracing::info!(signal, "stopping");
    };
    server::serve(listeners, app, stop).await.context("cannot wait for connections")
}
