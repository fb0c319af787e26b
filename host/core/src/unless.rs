//! Work, and what ends it before its own end.
//!
//! A guest that waits for a token is polled for each of them. What may end it meanwhile (its deadline, its caller, a version that takes
//! its place) comes once or never, and has nothing to say until it is woken itself: to look at a timer's and a token's locks in each
//! poll costs more than all that there is to do for the token.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

use crate::sync::atomic::{AtomicBool, Ordering};

/// `work`, or what ended it. Where both are ready, `end` counts; only in the very first poll does `work` come first, so that what does
/// not wait at all needs no look at anything else.
pub(crate) async fn unless<W, E>(mut work: Pin<&mut W>, mut end: Pin<&mut E>) -> Result<W::Output, E::Output>
where
    W: Future + ?Sized,
    E: Future + ?Sized,
{
    let mut bell: Option<(Arc<Bell>, Waker)> = None;
    poll_fn(|cx| {
        if let Some((bell, waker)) = &bell
            && let Poll::Ready(ended) = bell.look(cx, waker, end.as_mut())
        {
            return Poll::Ready(Err(ended));
        }
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        if bell.is_none() {
            let (bell, waker) = bell.insert(Bell::new());
            return bell.look(cx, waker, end.as_mut()).map(Err);
        }
        Poll::Pending
    })
    .await
}

/// What is rung where something may have ended, and who is to look then.
struct Bell {
    rung: AtomicBool,
    looks: AtomicWaker,
}

impl Bell {
    fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self { rung: AtomicBool::new(true), looks: AtomicWaker::new() });
        let waker = Waker::from(Arc::clone(&bell));
        (bell, waker)
    }

    /// Polls `end` where the bell was rung since the last time.
    fn look<E: Future + ?Sized>(&self, cx: &mut Context<'_>, waker: &Waker, end: Pin<&mut E>) -> Poll<E::Output> {
        // Before the bell is looked at: who rings it after that wakes us.
        self.looks.register(cx.waker());
        if self.rung.swap(false, Ordering::AcqRel) {
            return end.poll(&mut Context::from_waker(waker));
        }
        Poll::Pending
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.looks.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};
    use std::pin::pin;

    use super::*;

    /// Counts its polls, and is over when it is told.
    fn counted<'a>(polls: &'a Cell<usize>, over: &'a tokio::sync::Notify) -> impl Future<Output = &'static str> + 'a {
        let mut told = Box::pin(over.notified());
        poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            told.as_mut().poll(cx).map(|()| "ended")
        })
    }

    #[tokio::test]
    async fn what_ends_it_is_asked_where_it_was_woken_and_never_for_what_does_not_wait() {
        let (polls, over) = (Cell::new(0), tokio::sync::Notify::new());
        assert_eq!(unless(pin!(ready(1)), pin!(counted(&polls, &over))).await, Ok(1));
        assert_eq!(polls.get(), 0);
        let work = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            2
        };
        assert_eq!(unless(pin!(work), pin!(counted(&polls, &over))).await, Ok(2));
        assert_eq!(polls.get(), 1);
        over.notify_one();
        assert_eq!(unless(pin!(pending::<()>()), pin!(counted(&polls, &over))).await, Err("ended"));
        assert_eq!(polls.get(), 2, "it was over already");
        let ends = async {
            tokio::task::yield_now().await;
            over.notify_one();
        };
        let waits = async {
            assert_eq!(unless(pin!(pending::<()>()), pin!(counted(&polls, &over))).await, Err("ended"));
        };
        tokio::join!(waits, ends);
        assert_eq!(polls.get(), 4);
    }

    #[tokio::test]
    async fn what_has_ended_does_not_go_on() {
        let turns = Cell::new(0);
        let over = tokio::sync::Notify::new();
        let spins = async {
            loop {
                turns.set(turns.get() + 1);
                if turns.get() == 3 {
                    over.notify_one();
                }
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(unless(pin!(spins), pin!(over.notified())).await, Err::<(), _>(()));
        assert_eq!(turns.get(), 3, "not one more turn");
    }

    #[tokio::test]
    async fn an_end_from_another_thread_is_heard_wherever_the_work_has_gone() {
        for _ in 0..200 {
            let over = Arc::new(tokio::sync::Notify::new());
            let waits = tokio::spawn({
                let over = Arc::clone(&over);
                async move { unless(pin!(pending::<()>()), pin!(over.notified())).await }
            });
            let other = std::thread::spawn(move || over.notify_one());
            assert_eq!(waits.await.unwrap(), Err(()));
            other.join().unwrap();
        }
    }
}
