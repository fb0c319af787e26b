//! Runtimes, as far as code asks on which one it runs. All tasks are the scheduler's.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;

use crate::task::JoinHandle;

shuttle::thread_local! {
    static CURRENT: Cell<Option<Id>> = Cell::new(None);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(u32);

/// A runtime of a check's own.
#[derive(Clone, Debug)]
pub struct Handle(Id);

/// No runtime is here.
#[derive(Clone, Copy, Debug)]
pub struct TryCurrentError;

/// While it lives its runtime is here.
#[derive(Debug)]
pub struct EnterGuard(Option<Id>);

impl Drop for EnterGuard {
    fn drop(&mut self) {
        // A task's own storage is gone before the last of what it held.
        let _ = CURRENT.try_with(|current| current.set(self.0));
    }
}

impl Handle {
    pub fn of(number: u32) -> Self {
        Self(Id(number))
    }

    pub fn id(&self) -> Id {
        self.0
    }

    pub fn try_current() -> Result<Self, TryCurrentError> {
        CURRENT.with(Cell::get).map(Self).ok_or(TryCurrentError)
    }

    pub fn enter(&self) -> EnterGuard {
        EnterGuard(CURRENT.try_with(|current| current.replace(Some(self.0))).unwrap_or_default())
    }

    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let here = self.clone();
        JoinHandle::new(shuttle::future::spawn(async move {
            let mut future = pin!(future);
            std::future::poll_fn(|cx| {
                let _here = here.enter();
                future.as_mut().poll(cx)
            })
            .await
        }))
    }

    /// Waits on the thread that calls it, which is one of this runtime meanwhile.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _here = self.enter();
        shuttle::future::block_on(future)
    }
}
