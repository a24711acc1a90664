//! `--web.config.file`: TLS, passwords, headers and a rate limit, as the exporter toolkit reads them
//! (<https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>).
//!
//! Strict: an unknown key, a key given twice or a value that makes no sense is an error. Files that it names are not
//! read here.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::header::{HeaderName, HeaderValue};
use thiserror::Error;

mod file;
mod password;

pub use password::PasswordHash;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Serve HTTPS, and how.
    pub tls: Option<Tls>,
    /// Headers that every response has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Who may ask; everybody if empty.
    pub users: BTreeMap<String, PasswordHash>,
    /// How many requests are answered.
    pub rate_limit: Option<RateLimit>,
}

/// How to serve HTTPS.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// The certificate and those that vouch for it.
    pub certificates: Pem,
    /// Its private key.
    pub key: Pem,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Who vouches for clients.
    pub client_ca: Option<Pem>,
    /// If there are any, a client's certificate must have one of these names.
    pub client_allowed_sans: Vec<String>,
    /// Cipher suites of TLS 1.2 by their standard names; all if empty. Those of TLS 1.3 cannot be chosen, as in Go.
    pub cipher_suites: Vec<String>,
    /// Groups for the key exchange, those preferred first; all if empty.
    pub curves: Vec<Curve>,
    /// Oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Newest version that is spoken.
    pub max_version: TlsVersion,
    /// Whether the server's order of cipher suites counts, not the client's.
    pub prefer_server_cipher_suites: bool,
}

/// Where something in PEM's form is.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// In a file.
    File(PathBuf),
    /// Here.
    Inline(String),
}

/// Keys are not for logs.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Inline(_) => f.write_str("Inline(…)"),
        }
    }
}

/// What is asked of a client that connects, by the names of Go's `crypto/tls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    None,
    /// A certificate, should it have one; whose does not matter.
    Request,
    /// A certificate; whose does not matter.
    RequireAny,
    /// A certificate that the CA vouches for, should it have one.
    VerifyIfGiven,
    /// A certificate that the CA vouches for.
    RequireAndVerify,
}

/// Versions of TLS that are spoken at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each variant is the version it is named for")]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

/// Groups for the key exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the group it is named for")]
pub enum Curve {
    X25519,
    P256,
    P384,
    /// Known to Go, not spoken here.
    P521,
}

/// A token bucket for all requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Requests at once.
    pub burst: u32,
    /// Time in which another one comes free.
    pub interval: Duration,
}

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// Not YAML, or not of the toolkit's form.
    #[error("{0}")]
    Form(String),
    /// A value makes no sense.
    #[error("{key}: {problem}")]
    Value {
        /// Where.
        key: &'static str,
        /// What.
        problem: String,
    },
}

impl Settings {
    /// Reads the text of a file; relative paths in it are relative to `folder`.
    ///
    /// # Errors
    /// The first fault. None of them repeats a password or a key.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, SettingsError> {
        file::read(text)?.validated(folder)
    }

    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let pems =
            self.tls.iter().flat_map(|tls| [Some(&tls.certificates), Some(&tls.key), tls.client_ca.as_ref()]);
        pems.flatten().filter_map(|pem| match pem {
            Pem::File(path) => Some(path.as_path()),
            Pem::Inline(_) => None,
        })
    }
}

#[cfg(test)]
mod tests;
