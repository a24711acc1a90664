//! `dbwire_exporter check`: what this host allows, and what to do about it.
//!
//! [`crate::io::check`] gathers facts, one plain struct for each section; a section's `findings` judges them. Nothing
//! here looks at the host. A further section is a file with its facts and its `findings`, a field of what is gathered,
//! and a line where they are put together.

#![forbid(unsafe_code)]

#[cfg(feature = "capture")]
pub mod capture;
pub mod kernel;
#[cfg(feature = "capture")]
pub mod ports;
pub mod privileges;
mod report;
#[cfg(feature = "capture")]
pub mod sampling;
pub mod settings;

pub use report::{json, text};

/// How good what was found is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// As it should be.
    Ok,
    /// The exporter works, but less well, or not in every case.
    Warn,
    /// A part of the exporter that was asked for will not work.
    Bad,
}

impl Status {
    /// As it is written.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it belongs to.
    pub section: &'static str,
    /// How good it is.
    pub status: Status,
    /// What was found, in one line.
    pub what: String,
    /// What to do about it; `None` where there is nothing to do.
    pub advice: Option<String>,
}

impl Finding {
    /// Something that is as it should be.
    pub fn ok(section: &'static str, what: impl Into<String>) -> Self {
        Self { section, status: Status::Ok, what: what.into(), advice: None }
    }

    /// Something that makes the exporter work less well.
    pub fn warn(section: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { section, status: Status::Warn, what: what.into(), advice: Some(advice.into()) }
    }

    /// Something that keeps a part from working.
    pub fn bad(section: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { section, status: Status::Bad, what: what.into(), advice: Some(advice.into()) }
    }
}

/// The worst status there is; [`Status::Ok`] of nothing.
pub fn worst(findings: &[Finding]) -> Status {
    findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
}
