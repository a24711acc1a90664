//! Logging to stderr.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

use crate::cli::{LogArgs, LogFormat, LogLevel};

/// Sends the messages of this process to stderr from now on. To be called once, before anything is logged.
pub fn start(log: LogArgs) {
    let level = match log.level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    match log.format {
        LogFormat::Logfmt => {
            let builder = tracing_logfmt::builder().with_target(false).subscriber_builder();
            builder.with_max_level(level).with_writer(std::io::stderr).init();
        }
        LogFormat::Json => {
            let builder = SubscriberBuilder::default().json().flatten_event(true).with_target(false);
            builder.with_max_level(level).with_writer(std::io::stderr).init();
        }
    }
}
