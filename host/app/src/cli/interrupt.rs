//! Ctrl-C: the first asks everything to settle, the second ends the process at once.

use tokio_util::sync::CancellationToken;

/// A token that Ctrl-C, or a polite request of the system to end, cancels. Both are caught from when this returns: none can
/// come between two looks.
pub(super) fn watch() -> CancellationToken {
    let token = CancellationToken::new();
    match Signals::listen() {
        Ok(mut signals) => {
            let held = token.clone();
            tokio::spawn(async move {
                signals.next().await;
                held.cancel();
                signals.next().await;
                std::process::exit(130);
            });
        }
        // Then the system ends the process as it does others.
        Err(error) => tracing::warn!(%error, "Ctrl-C cannot be caught"),
    }
    token
}

#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}
