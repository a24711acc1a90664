//! Signs of life for the service manager, for as long as every collector gives one.

use std::{future, time::Duration};

use super::{collect::Pulse, notify::Manager};

/// Tells the manager, if there is one, that the process serves; then gives a sign of life twice in each of the manager's intervals, unless a collector is stuck: then the manager starts the
/// process anew. Never returns.
pub async fn watch(manager: Option<&Manager>, pulse: &Pulse) {
    let Some(manager) = manager else { return future::pending().await };
    manager.ready();
    let Some(interval) = manager.watchdog else { return future::pending().await };
    let pause = interval / 2;
    let mut told = None;
    loop {
        let stuck = pulse.stuck(pause).await;
        match stuck {
            None => manager.alive(),
            Some(collector) if told != stuck => {
                tracing::error!(
                    collector,
                    "a collector does not answer: the service manager gets no sign of life"
                );
            }
            Some(_) => {}
        }
        told = stuck;
        tokio::time::sleep(pause.min(Duration::from_secs(30))).await;
    }
}
