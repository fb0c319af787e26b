//! Timers on the made-up [`clock`](crate::clock).

use std::future::Future;
use std::ops::{Add, Sub};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock;

/// A moment. Both tokio's and the standard library's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    pub fn now() -> Self {
        Self(clock::now())
    }

    pub fn elapsed(&self) -> Duration {
        clock::now().saturating_sub(self.0)
    }

    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, more: Duration) -> Self {
        Self(self.0 + more)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// See tokio's.
#[derive(Debug)]
pub struct Sleep {
    deadline: Instant,
    set: Option<clock::Set>,
}

pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, set: None }
}

pub fn sleep(time: Duration) -> Sleep {
    sleep_until(Instant::now() + time)
}

impl Sleep {
    pub fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.off();
        self.deadline = deadline;
    }

    fn off(&mut self) {
        if let Some(set) = self.set.take() {
            clock::clear(set);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.off();
        if clock::now() >= self.deadline.0 {
            return Poll::Ready(());
        }
        self.set = Some(clock::set(self.deadline.0, cx.waker().clone(), false));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.off();
    }
}

/// The time was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

pub async fn timeout_at<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    let (mut future, mut sleep) = (pin!(future), pin!(sleep_until(deadline)));
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Ok(done)),
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| Err(Elapsed)),
    })
    .await
}
