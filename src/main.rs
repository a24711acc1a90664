//! dbwire_exporter: parse, validate, open, serve, drain. See the library for everything else.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use dbwire_exporter::{
    cli::{self, Stop},
    config::{Action, Config, Serve},
    io::{collect::Collector, listen, log, process::Process, server, signals::StopSignals},
    metrics::build,
    web::Routes,
};

/// Bad usage; 0 is "asked to stop" and 1 "could not start".
const BAD_USAGE: u8 = 2;

fn main() -> ExitCode {
    let config = cli::parse(std::env::args_os(), build::VERSION_LINE)
        .and_then(|cli| Config::from_cli(cli).map_err(|invalid| Stop::Usage(invalid.to_string())));
    match config {
        Ok(config) => match run(config) {
            Ok(()) => ExitCode::SUCCESS,
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

fn run(config: Config) -> anyhow::Result<()> {
    log::start(config.log);
    match config.action {
        Action::Serve(serve) => run_daemon(serve),
    }
}

fn run_daemon(config: Serve) -> anyhow::Result<()> {
    // First what may fail, so that a start that fails says one thing only.
    let listeners = listen::bind(&config.web.listen)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop (out of file descriptors? see ulimit -n)")?;
    let served = runtime.block_on(serve(config, listeners));
    // Work that is still blocked (a dump of the socket table, say) must not hold up the exit.
    runtime.shutdown_background();
    served
}

async fn serve(config: Serve, listeners: Vec<TcpListener>) -> anyhow::Result<()> {
    let stop = StopSignals::install().context("cannot handle SIGTERM and SIGINT")?;
    let routes = Routes::new(&config.web.telemetry_path);
    tracing::info!(version = build::VERSION, revision = build::REVISION, "starting dbwire_exporter");
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    let listeners =
        listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
    for address in addresses {
        tracing::info!(%address, url = url(address, &routes), "serving");
    }
    let app = server::App::new(routes, Collector::new(Process::for_self()), config.web.max_requests);
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
