//! Who may ask: passwords, and how often; and the headers that every response gets.

use std::{
    collections::HashSet,
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use hyper::HeaderMap;
use prometheus::proto::MetricFamily;
use ring::{hmac, rand::SystemRandom};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::watched::{WebConfig, WebConfigFile};
use crate::{
    metrics::scrape,
    web::{
        auth::{self, Credentials},
        response::{self, Page},
        settings::PasswordHash,
        throttle::{Bucket, Rate, Source, Throttle},
    },
};

/// Passwords that a source may have compared: hashing is dear on purpose. Those found right are remembered.
const EACH: Rate = Rate { burst: 5, interval: Duration::from_secs(1) };
/// Of all sources together: a quarter of a CPU with hashes of the usual cost.
const TOGETHER: Rate = Rate { burst: 20, interval: Duration::from_millis(250) };
/// Comparisons that may wait for the one that is made.
const QUEUE: usize = 16;
/// Passwords remembered for each user: while they are changed there may be an old and a new one.
const REMEMBERED: usize = 64;

/// Stands between the connections and the pages.
#[derive(Debug)]
pub struct Guard {
    file: WebConfigFile,
    /// The comparisons' thread.
    passwords: SyncSender<Comparison>,
    /// Keyed digests of users, hashes and passwords that were found right.
    right: Mutex<HashSet<[u8; 32]>>,
    key: hmac::Key,
    throttle: Mutex<Throttle>,
    requests: Mutex<Option<Bucket>>,
}

struct Comparison {
    password: Vec<u8>,
    hash: PasswordHash,
    answer: oneshot::Sender<bool>,
}

impl Guard {
    /// By what `file` says now and later.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(file: WebConfigFile) -> io::Result<Self> {
        let (passwords, comparisons) = sync_channel(QUEUE);
        thread::Builder::new().name("passwords".into()).spawn(move || compare(&comparisons))?;
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self {
            file,
            passwords,
            right: Mutex::default(),
            key: key.map_err(|_| io::Error::other("the system has no random numbers"))?,
            throttle: Mutex::new(Throttle::new(EACH, TOGETHER, Instant::now())),
            requests: Mutex::default(),
        })
    }

    /// How to take a new connection's TLS; `None` where there is none.
    pub(super) fn tls(&self) -> Option<TlsAcceptor> {
        self.file.current().tls.clone().map(TlsAcceptor::from)
    }

    /// How reading the file again went.
    pub(super) fn families(&self) -> Vec<MetricFamily> {
        scrape::reloads(&self.file.reloads()).into()
    }

    /// Lets a request of `source` pass, or says why not.
    pub(super) async fn admit(&self, headers: &HeaderMap, source: Source) -> Result<(), Page> {
        let config = self.file.current();
        if !self.within_limit(&config) {
            return Err(response::too_many_requests());
        }
        if config.settings.users.is_empty() {
            return Ok(());
        }
        let Some(credentials) = auth::credentials(headers) else { return Err(response::unauthorized()) };
        self.check(&config, credentials, source).await
    }

    /// Gives a response the headers that were asked for; they go before its own.
    pub(super) fn dress(&self, page: &mut Page) {
        for (name, value) in &self.file.current().settings.headers {
            page.headers_mut().insert(name, value.clone());
        }
    }

    fn within_limit(&self, config: &WebConfig) -> bool {
        let Some(limit) = config.settings.rate_limit else { return true };
        let (rate, now) = (Rate { burst: limit.burst, interval: limit.interval }, Instant::now());
        let mut bucket = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.get_or_insert_with(|| Bucket::full(rate, now)).take(rate, now)
    }

    /// A user that does not exist costs as much time as one that does.
    async fn check(&self, config: &WebConfig, credentials: Credentials, source: Source) -> Result<(), Page> {
        let known = config.settings.users.get(&credentials.user);
        let hash = known.unwrap_or(&config.decoy).clone();
        let digest = self.digest(&credentials, &hash);
        if known.is_some() && self.right().contains(&digest) {
            return Ok(());
        }
        if !self.throttle.lock().unwrap_or_else(PoisonError::into_inner).take(source, Instant::now()) {
            return Err(response::too_many_requests());
        }
        let (answer, compared) = oneshot::channel();
        let comparison = Comparison { password: credentials.password, hash, answer };
        if self.passwords.try_send(comparison).is_err() {
            return Err(response::too_many_requests());
        }
        if !compared.await.unwrap_or(false) || known.is_none() {
            return Err(response::unauthorized());
        }
        let mut right = self.right();
        if right.len() >= REMEMBERED.max(2 * config.settings.users.len()) {
            right.clear();
        }
        right.insert(digest);
        Ok(())
    }

    fn right(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passwords are not kept; nor can somebody who reads the memory try them at their leisure without the key.
    fn digest(&self, credentials: &Credentials, hash: &PasswordHash) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [credentials.user.as_bytes(), hash.as_str().as_bytes(), &credentials.password] {
            context.update(&(part.len() as u64).to_ne_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}

/// One at a time, on a thread of their own, so that pages are made meanwhile.
fn compare(comparisons: &Receiver<Comparison>) {
    while let Ok(Comparison { password, hash, answer }) = comparisons.recv() {
        // Who asked may have gone.
        if !answer.is_closed() {
            let _ = answer.send(bcrypt::verify(password, hash.as_str()).unwrap_or(false));
        }
    }
}
