//! Locks and channels.

use std::future::Future;
use std::sync::Arc;

pub use shuttle::future::batch_semaphore::{AcquireError, TryAcquireError};
use shuttle::future::batch_semaphore::{BatchSemaphore, Fairness};

/// Only a type here: no check sends events.
pub use real::sync::mpsc;

/// As fair as tokio's.
#[derive(Debug)]
pub struct Semaphore(BatchSemaphore);

#[derive(Debug)]
pub struct SemaphorePermit<'a>(&'a Semaphore);

#[derive(Debug)]
pub struct OwnedSemaphorePermit(Arc<Semaphore>);

impl Semaphore {
    pub fn new(permits: usize) -> Self {
        Self(BatchSemaphore::new(permits, Fairness::StrictlyFair))
    }

    pub fn available_permits(&self) -> usize {
        self.0.available_permits()
    }

    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.0.try_acquire(1).map(|()| SemaphorePermit(self))
    }

    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.0.try_acquire(1)?;
        Ok(OwnedSemaphorePermit(self))
    }

    pub async fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.0.acquire(1).await.map(|()| SemaphorePermit(self))
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        self.0.0.release(1);
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.0.0.release(1);
    }
}

/// A value that is made once, by whoever comes first.
#[derive(Debug)]
pub struct OnceCell<T> {
    value: std::sync::OnceLock<T>,
    gate: Semaphore,
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self { value: std::sync::OnceLock::new(), gate: Semaphore::new(1) }
    }
}

impl<T> OnceCell<T> {
    pub async fn get_or_try_init<E, F: Future<Output = Result<T, E>>>(
        &self,
        make: impl FnOnce() -> F,
    ) -> Result<&T, E> {
        let _turn = self.gate.acquire().await.expect("it is never closed");
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = make().await?;
        Ok(self.value.get_or_init(|| value))
    }
}

/// See tokio's.
pub mod oneshot {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use shuttle::sync::Mutex;

    #[derive(Debug)]
    struct State<T> {
        value: Option<T>,
        waker: Option<Waker>,
        /// Either end is gone.
        closed: bool,
    }

    #[derive(Debug)]
    pub struct Sender<T>(Arc<Mutex<State<T>>>);

    #[derive(Debug)]
    pub struct Receiver<T>(Arc<Mutex<State<T>>>);

    /// The sender went without a word.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RecvError;

    pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let state = Arc::new(Mutex::new(State { value: None, waker: None, closed: false }));
        (Sender(Arc::clone(&state)), Receiver(state))
    }

    impl<T> Sender<T> {
        pub fn send(self, value: T) -> Result<(), T> {
            let mut state = self.0.lock().expect("nothing panics in here");
            if state.closed {
                return Err(value);
            }
            state.value = Some(value);
            drop(state);
            Ok(())
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            let Ok(mut state) = self.0.lock() else { return };
            state.closed = true;
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            let Ok(mut state) = self.0.lock() else { return };
            state.closed = true;
            let value = state.value.take();
            drop(state);
            drop(value);
        }
    }

    impl<T> Future for Receiver<T> {
        type Output = Result<T, RecvError>;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            let mut state = self.0.lock().expect("nothing panics in here");
            if let Some(value) = state.value.take() {
                return Poll::Ready(Ok(value));
            }
            if state.closed {
                return Poll::Ready(Err(RecvError));
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        }
    }
}
