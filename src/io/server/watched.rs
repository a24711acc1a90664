//! The web configuration's files: read at the start, and again when they change.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustls::ServerConfig;
use thiserror::Error;

use super::tls::{self, Pems};
use crate::{
    metrics::scrape::Reloads,
    web::settings::{PasswordHash, Pem, Settings, Tls},
};

/// Most often that the files are looked at. They are only when somebody asks for something.
const LOOK: Duration = Duration::from_secs(1);

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum WebConfigError {
    /// A file cannot be read.
    #[error("{}: {cause}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// What is in it cannot be used.
    #[error("{}: {problem}", path.display())]
    Content {
        /// Of the configuration.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// A configuration that can be served by.
#[derive(Debug)]
pub(super) struct WebConfig {
    pub(super) settings: Settings,
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// What passwords of unknown users are compared with.
    pub(super) decoy: PasswordHash,
}

/// The file, and what was last read of it.
#[derive(Debug)]
pub struct WebConfigFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    current: Arc<WebConfig>,
    /// Of the files as they were last read, whether they could be used or not.
    stamps: Vec<Stamp>,
    looked: Instant,
    reloads: Reloads,
}

/// What changes when a file does: device, inode, size and times; none if it is not there.
type Stamp = (PathBuf, Option<(u64, u64, u64, i64, i64, i64, i64)>);

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path)
        .ok()
        .map(|it| (it.dev(), it.ino(), it.size(), it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()));
    (path.to_owned(), found)
}

impl WebConfigFile {
    /// Reads it, and what it names.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn open(path: &Path) -> Result<Self, WebConfigError> {
        let (current, stamps) = read(path)?;
        let state =
            State { current: Arc::new(current), stamps, looked: Instant::now(), reloads: Reloads::default() };
        Ok(Self { path: path.to_owned(), state: Mutex::new(state) })
    }

    /// The folders that will be read from again when something in them changes: those of the file, of what it names,
    /// and of what those are links to. Whoever restricts the process must let it read these.
    pub fn read_later(&self) -> Vec<PathBuf> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let paths =
            state.stamps.iter().flat_map(|(path, _)| [Some(path.clone()), fs::canonicalize(path).ok()]);
        let folders: BTreeSet<_> = paths.flatten().map(|path| folder(&path).to_owned()).collect();
        folders.into_iter().collect()
    }

    /// Whether HTTPS is served.
    pub fn serves_tls(&self) -> bool {
        self.current().tls.is_some()
    }

    /// How reading it again went so far.
    pub(super) fn reloads(&self) -> Reloads {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).reloads
    }

    /// The configuration, read again if its files have changed. One that cannot be used leaves the last one that could.
    pub(super) fn current(&self) -> Arc<WebConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(state.looked) >= LOOK {
            state.looked = now;
            let stamps: Vec<_> = state.stamps.iter().map(|(path, _)| stamp(path)).collect();
            if stamps != state.stamps {
                state.reload(&self.path, stamps);
            }
        }
        Arc::clone(&state.current)
    }
}

impl State {
    fn reload(&mut self, path: &Path, seen: Vec<Stamp>) {
        match read(path).and_then(|read| self.check(path, read)) {
            Ok((current, stamps)) => {
                tracing::info!(file = %path.display(), "the web configuration was read again");
                self.current = Arc::new(current);
                self.stamps = stamps;
                self.reloads.succeeded();
            }
            Err(error) => {
                tracing::error!(%error, "the web configuration has changed but cannot be used; the old one stays");
                self.stamps = seen;
                self.reloads.failed();
            }
        }
    }

    /// A file that is being written is empty for a moment, which must not open what was closed.
    fn check(
        &self,
        path: &Path,
        new: (WebConfig, Vec<Stamp>),
    ) -> Result<(WebConfig, Vec<Stamp>), WebConfigError> {
        let problem = match (&self.current.tls, &new.0.tls) {
            (Some(_), None) => "would turn TLS off",
            (None, Some(_)) => "would turn TLS on",
            _ if new.0.settings.users.is_empty() && !self.current.settings.users.is_empty() => {
                "would let everybody in without a password"
            }
            _ => return Ok(new),
        };
        let problem = format!("{problem}, which takes a restart");
        Err(WebConfigError::Content { path: path.to_owned(), problem })
    }
}

fn read(path: &Path) -> Result<(WebConfig, Vec<Stamp>), WebConfigError> {
    let own = stamp(path);
    let unusable = |problem: String| WebConfigError::Content { path: path.to_owned(), problem };
    let text = String::from_utf8(read_file(path)?).map_err(|_| unusable("is not UTF-8".to_owned()))?;
    let settings = Settings::parse(&text, folder(path)).map_err(|error| unusable(error.to_string()))?;
    let stamps = std::iter::once(own).chain(settings.files().map(stamp)).collect();
    let tls = settings.tls.as_ref().map(|tls| {
        let config = tls::server_config(tls, &read_pems(tls)?).map_err(unusable)?;
        Ok(Arc::new(config))
    });
    let (tls, decoy) = (tls.transpose()?, PasswordHash::decoy(settings.users.values()));
    Ok((WebConfig { settings, tls, decoy }, stamps))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn read_pems(tls: &Tls) -> Result<Pems, WebConfigError> {
    Ok(Pems {
        certificates: read_pem(&tls.certificates)?,
        key: read_pem(&tls.key)?,
        client_ca: tls.client_ca.as_ref().map(read_pem).transpose()?,
    })
}

fn read_pem(pem: &Pem) -> Result<Vec<u8>, WebConfigError> {
    match pem {
        Pem::File(path) => read_file(path),
        Pem::Inline(text) => Ok(text.clone().into_bytes()),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, WebConfigError> {
    fs::read(path).map_err(|cause| WebConfigError::Read { path: path.to_owned(), cause })
}
