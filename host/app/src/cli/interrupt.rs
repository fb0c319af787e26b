//! Ctrl-C: the first asks everything to settle, the second ends the process at once. A verb that goes on after a part of its work can
//! have Ctrl-C interrupt that part first.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// What Ctrl-C interrupts before it ends the verb: the part of its work that is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<Option<CancellationToken>>>);

/// A part of a verb's work. While it lives, one Ctrl-C cancels its token and nothing else.
pub(crate) struct Turn {
    turns: Turns,
    token: CancellationToken,
}

impl Turns {
    /// A part begins. Whatever cancels `all` cancels it too.
    pub(crate) fn begin(&self, all: &CancellationToken) -> Turn {
        let token = all.child_token();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Turn { turns: self.clone(), token }
    }

    /// Interrupts the part that is under way. False where there is none, or where it was interrupted already.
    fn interrupt(&self) -> bool {
        let part = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        part.inspect(CancellationToken::cancel).is_some()
    }
}

impl Turn {
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.turns.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A token that Ctrl-C, or a polite request of the system to end, cancels, and what Ctrl-C interrupts before. Both are caught from when
/// this returns: none can come between two looks.
pub(super) fn watch() -> (CancellationToken, Turns) {
    let (token, turns) = (CancellationToken::new(), Turns::default());
    match Signals::listen() {
        Ok(mut signals) => {
            let (held, turns) = (token.clone(), turns.clone());
            tokio::spawn(async move {
                loop {
                    let by_key = signals.next().await;
                    if by_key && turns.interrupt() {
                        continue;
                    }
                    if held.is_cancelled() {
                        std::process::exit(130);
                    }
                    held.cancel();
                }
            });
        }
        // Then the system ends the process as it does others.
        Err(error) => tracing::warn!(%error, "Ctrl-C cannot be caught"),
    }
    (token, turns)
}

#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    /// Whether it was Ctrl-C.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.0.recv() => true,
            _ = self.1.recv() => false,
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

    async fn next(&mut self) -> bool {
        drop(tokio::signal::ctrl_c().await);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_interrupt_ends_a_part_and_the_next_does_not() {
        let (all, turns) = (CancellationToken::new(), Turns::default());
        assert!(!turns.interrupt(), "nothing is under way");
        let first = turns.begin(&all);
        assert!(turns.interrupt() && first.token().is_cancelled() && !all.is_cancelled());
        assert!(!turns.interrupt(), "it was interrupted already");
        drop(first);
        let second = turns.begin(&all);
        assert!(!second.token().is_cancelled());
        drop(second);
        assert!(!turns.interrupt(), "it is over");
        let third = turns.begin(&all);
        all.cancel();
        assert!(third.token().is_cancelled());
    }
}
