//! Looking at what the host allows.

#[cfg(feature = "capture")]
use std::time::Duration;

use super::{Invalid, Serve};
use crate::cli::{self, LogArgs, LogLevel};

/// What to check, and how to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// JSON in place of text.
    pub json: bool,
    /// How long to look at the traffic; zero is not at all.
    #[cfg(feature = "capture")]
    pub look: Duration,
    /// The daemon that is to be.
    pub serve: Serve,
}

impl Check {
    /// Most that `--look` may be.
    #[cfg(feature = "capture")]
    pub const MAX_LOOK: Duration = Duration::from_secs(600);

    /// Its findings are what it has to tell, and hold what a log would.
    pub(super) fn log(args: &cli::CheckArgs) -> LogArgs {
        LogArgs { level: LogLevel::Error, ..args.serve.log }
    }

    pub(super) fn from_cli(args: cli::CheckArgs) -> Result<Self, Invalid> {
        #[cfg(feature = "capture")]
        if args.look > Self::MAX_LOOK {
            let value = humantime::format_duration(args.look);
            return Err(Invalid::new("--look", value, "must be 0s to 10m"));
        }
        Ok(Self {
            json: args.json,
            #[cfg(feature = "capture")]
            look: args.look,
            serve: Serve::from_cli(args.serve)?,
        })
    }
}
