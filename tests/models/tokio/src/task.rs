//! Tasks.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::runtime::Handle;

/// See tokio's.
#[derive(Debug)]
pub struct JoinHandle<T>(shuttle::future::JoinHandle<T>);

/// The task was aborted. One that panics fails the whole run.
#[derive(Clone, Copy, Debug)]
pub struct JoinError;

impl std::fmt::Display for JoinError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the task was aborted")
    }
}

impl std::error::Error for JoinError {}

impl<T> JoinHandle<T> {
    pub(crate) fn new(task: shuttle::future::JoinHandle<T>) -> Self {
        Self(task)
    }

    pub fn abort(&self) {
        self.0.abort();
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|_| JoinError)
    }
}

/// On the runtime that is here, if one is.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Handle::try_current() {
        Ok(here) => here.spawn(future),
        Err(_) => JoinHandle::new(shuttle::future::spawn(future)),
    }
}

/// A task like any other: all that blocks here is the scheduler's.
pub fn spawn_blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    spawn(async move { act() })
}
