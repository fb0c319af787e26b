//! Who runs when: a guest that spins never starves another guest, a timer or a socket.
//!
//! Guests yield at every epoch tick (10 ms). That alone is not enough: with 64 spinners on two cores a newcomer would wait
//! for 32 ticks in line. So there are two classes. An invocation starts in the **foreground**. Once its own code has used
//! the processor for a few milliseconds without pause it is in the **background**, where only some of the workers (all but
//! one) take turns, first come, first served. Waiting earns the foreground back. So a newcomer always finds a worker.
//!
//! What a tool has used before tells where its next call begins: one that is heavy by habit begins in the background.
//!
//! A guest that is **light** stays with its caller: most calls end within a fraction of a millisecond, many others only wait,
//! and each hop to another thread and back would cost more than the guest does. Only some of the callers' workers may be
//! inside of a guest at once, so one is always left for sockets and timers. A guest that finds no such place, or has used
//! more than a little of the processor, goes on on workers of the guests' own, and comes back when it mostly waits.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

use super::habit::Habit;
use super::shares::{Share, nanos};
use crate::broker::AbortOnDrop;

/// Processor time after which an invocation is in the background.
const FOREGROUND: Duration = Duration::from_millis(8);
/// Processor time after which it leaves its caller's worker.
const LIGHT: Duration = Duration::from_millis(2);
/// Processor time below which it comes back, after a wait of at least this long.
const RESTED: Duration = Duration::from_micros(500);

pub(crate) struct Scheduler {
    /// None only while it is being dropped.
    runtime: Option<Runtime>,
    background: Arc<Semaphore>,
    beside_callers: Arc<Semaphore>,
}

impl Scheduler {
    pub(crate) fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let workers = cores.max(2);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("ringfence-guest")
            .enable_time()
            // A yielding spinner must not keep the timers of its worker waiting (the default is 61 polls).
            .event_interval(1)
            .global_queue_interval(1)
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            background: Arc::new(Semaphore::new(workers - 1)),
            beside_callers: Arc::new(Semaphore::new((cores - 1).max(1))),
        })
    }

    /// Runs a guest's future to its end. Dropping the returned future ends the guest at its next yield.
    ///
    /// `cpu` is what its processor time is taken from, in nanoseconds; `habit` is that of the tool which is called.
    pub(crate) fn run<F>(
        &self,
        cpu: Share,
        habit: Arc<Habit>,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Stopped>>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        // Boxed here and not below: an argument stays in the caller's future for as long as the guest runs.
        self.run_boxed(cpu, habit, Box::pin(future))
    }

    async fn run_boxed<F>(&self, cpu: Share, habit: Arc<Habit>, guest: Pin<Box<F>>) -> Result<F::Output, Stopped>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let mut guest = Scheduled {
            guest,
            recent: if habit.usual() >= FOREGROUND { FOREGROUND } else { Duration::ZERO },
            used: Duration::ZERO,
            has_ended: false,
            habit,
            cpu,
            paused_at: None,
            turn: PollSemaphore::new(Arc::clone(&self.background)),
        };
        loop {
            let light = poll_fn(|cx| {
                guest.rest();
                if guest.recent > LIGHT {
                    return Poll::Ready(None);
                }
                let Ok(_place) = self.beside_callers.try_acquire() else { return Poll::Ready(None) };
                match Pin::new(&mut guest).poll(cx) {
                    Poll::Ready(done) => Poll::Ready(Some(done)),
                    Poll::Pending if guest.recent > LIGHT => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            });
            if let Some(done) = light.await {
                return done;
            }
            let Some(runtime) = &self.runtime else { return Err(Stopped::Panicked) };
            let away = Away { guest: Some(guest), places: Arc::clone(&self.beside_callers), has_begun: false };
            let mut task = AbortOnDrop(runtime.spawn(away));
            match (&mut task.0).await {
                Ok(Left::Ended(done)) => return done,
                Ok(Left::Rested(rested)) => guest = rested,
                Err(error) => {
                    tracing::error!(%error, "a guest's task failed");
                    return Err(Stopped::Panicked);
                }
            }
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Blocking here would panic inside of another runtime; guests end at their next yield.
            runtime.shutdown_background();
        }
    }
}

/// Why a guest's future ended without its own result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It used more processor time than it may.
    CpuLimit,
    /// The host failed inside of it.
    Panicked,
}

struct Scheduled<F> {
    guest: Pin<Box<F>>,
    /// Processor time used lately: falls while the guest waits.
    recent: Duration,
    /// Processor time used in all.
    used: Duration,
    has_ended: bool,
    habit: Arc<Habit>,
    cpu: Share,
    paused_at: Option<Instant>,
    turn: PollSemaphore,
}

impl<F> Scheduled<F> {
    /// Credits the time since it last stopped: a yield at a tick comes straight back and earns nothing; a wait for a model earns
    /// the foreground. Gives how long that was.
    fn rest(&mut self) -> Duration {
        let waited = self.paused_at.take().map(|paused_at| paused_at.elapsed()).unwrap_or_default();
        self.recent = self.recent.saturating_sub(waited / 8);
        waited
    }
}

impl<F: Future> Future for Scheduled<F> {
    type Output = Result<F::Output, Stopped>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.rest();
        let _turn = if this.recent >= FOREGROUND { ready!(this.turn.poll_acquire(cx)) } else { None };
        let start = Instant::now();
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| this.guest.as_mut().poll(cx)));
        let end = Instant::now();
        let used = end.duration_since(start);
        this.recent = (this.recent + used).min(FOREGROUND * 4);
        this.used += used;
        let passed = this.cpu.count(nanos(used));
        match polled {
            Ok(Poll::Ready(output)) => {
                this.has_ended = true;
                Poll::Ready(Ok(output))
            }
            Ok(Poll::Pending) if passed.is_some() => Poll::Ready(Err(Stopped::CpuLimit)),
            Ok(Poll::Pending) => {
                this.paused_at = Some(end);
                Poll::Pending
            }
            Err(_) => Poll::Ready(Err(Stopped::Panicked)),
        }
    }
}

/// A guest on the guests' own workers.
struct Away<F> {
    /// None after its end.
    guest: Option<Scheduled<F>>,
    places: Arc<Semaphore>,
    has_begun: bool,
}

/// Why a guest leaves the guests' own workers.
enum Left<F: Future> {
    Ended(Result<F::Output, Stopped>),
    /// It mostly waits: where it is woken by a socket, it can go on there and then.
    Rested(Scheduled<F>),
}

impl<F: Future> Future for Away<F> {
    type Output = Left<F>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(mut guest) = this.guest.take() else { return Poll::Pending };
        let waited = guest.rest();
        if this.has_begun && waited >= RESTED && guest.recent < RESTED && this.places.available_permits() > 0 {
            return Poll::Ready(Left::Rested(guest));
        }
        this.has_begun = true;
        match Pin::new(&mut guest).poll(cx) {
            Poll::Ready(done) => Poll::Ready(Left::Ended(done)),
            Poll::Pending => {
                this.guest = Some(guest);
                Poll::Pending
            }
        }
    }
}

impl<F> Drop for Scheduled<F> {
    fn drop(&mut self) {
        if self.has_ended {
            self.habit.ended(self.used);
        } else {
            self.habit.cut_off(self.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::task::yield_now;

    fn long() -> Share {
        Share::new(nanos(Duration::from_secs(60)))
    }

    fn short() -> Share {
        Share::new(nanos(Duration::from_millis(50)))
    }

    fn new() -> Arc<Habit> {
        Arc::default()
    }

    /// Uses the processor, as a guest does between two ticks.
    fn burn(time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    async fn once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }

    #[tokio::test]
    async fn what_burns_waits_for_a_turn_and_what_is_new_does_not() {
        let scheduler = Scheduler::start().unwrap();
        let all = scheduler.background.available_permits();
        let turns = scheduler.background.acquire_many(u32::try_from(all).unwrap()).await.unwrap();
        let went_on = Arc::new(AtomicBool::new(false));
        let spinner = scheduler.run(long(), new(), {
            let went_on = Arc::clone(&went_on);
            async move {
                burn(FOREGROUND * 2);
                yield_now().await;
                went_on.store(true, Ordering::SeqCst);
            }
        });
        tokio::pin!(spinner);
        assert!(once(spinner.as_mut()).await.is_pending());
        for _ in 0..100 {
            assert_eq!(
                scheduler.run(long(), new(), async { yield_now().await }).await,
                Ok(()),
                "a newcomer finds a worker"
            );
        }
        assert!(!went_on.load(Ordering::SeqCst), "no turn was free");
        drop(turns);
        assert_eq!(spinner.await, Ok(()));
        assert!(went_on.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_tool_that_burns_by_habit_begins_in_the_background() {
        let scheduler = Scheduler::start().unwrap();
        let habit = new();
        let here = std::thread::current().id();
        let burns = || async { burn(FOREGROUND * 8) };
        assert_eq!(scheduler.run(long(), Arc::clone(&habit), burns()).await, Ok(()));
        let all = u32::try_from(scheduler.background.available_permits()).unwrap();
        let turns = scheduler.background.acquire_many(all).await.unwrap();
        let again = scheduler.run(long(), Arc::clone(&habit), async { std::thread::current().id() });
        tokio::pin!(again);
        assert!(once(again.as_mut()).await.is_pending());
        assert_eq!(scheduler.run(long(), new(), async { std::thread::current().id() }).await, Ok(here), "another tool");
        assert!(once(again.as_mut()).await.is_pending(), "no turn was free");
        drop(turns);
        assert_ne!(again.await, Ok(here));
        for _ in 0..20 {
            scheduler.run(long(), Arc::clone(&habit), async {}).await.unwrap();
        }
        let light = scheduler.run(long(), habit, async { std::thread::current().id() });
        assert_eq!(light.await, Ok(here), "it has changed its ways");
    }

    #[tokio::test]
    async fn what_is_light_stays_with_its_caller_and_what_burns_leaves() {
        let scheduler = Scheduler::start().unwrap();
        let here = std::thread::current().id();
        let light = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            std::thread::current().id()
        };
        assert_eq!(scheduler.run(long(), new(), light).await, Ok(here));
        let heavy = async {
            burn(LIGHT * 2);
            yield_now().await;
            std::thread::current().id()
        };
        assert_ne!(scheduler.run(long(), new(), heavy).await, Ok(here));
        let places = scheduler.beside_callers.available_permits();
        let _taken = scheduler.beside_callers.acquire_many(u32::try_from(places).unwrap()).await.unwrap();
        let crowded = async { std::thread::current().id() };
        assert_ne!(scheduler.run(long(), new(), crowded).await, Ok(here));
    }

    #[tokio::test]
    async fn what_has_burned_comes_back_when_it_mostly_waits() {
        let scheduler = Scheduler::start().unwrap();
        let here = std::thread::current().id();
        let guest = async move {
            burn(LIGHT * 2);
            yield_now().await;
            assert_ne!(std::thread::current().id(), here);
            let begun = Instant::now();
            while std::thread::current().id() != here {
                assert!(begun.elapsed() < Duration::from_secs(60), "it never came back");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            burn(LIGHT * 2);
            yield_now().await;
            std::thread::current().id()
        };
        assert_ne!(scheduler.run(long(), new(), guest).await, Ok(here), "and it leaves again");
    }

    #[tokio::test]
    async fn processor_time_has_a_limit_and_waiting_costs_none() {
        let scheduler = Scheduler::start().unwrap();
        let spin = scheduler.run(short(), new(), async {
            loop {
                burn(Duration::from_millis(5));
                yield_now().await;
            }
        });
        assert_eq!(spin.await, Err::<(), _>(Stopped::CpuLimit));
        let waits = scheduler.run(short(), new(), tokio::time::sleep(Duration::from_millis(80)));
        assert_eq!(waits.await, Ok(()));
    }

    #[tokio::test]
    async fn a_panic_ends_one_guest_and_no_other() {
        let scheduler = Scheduler::start().unwrap();
        assert_eq!(
            scheduler.run(long(), new(), async { panic!("a bug of the host") }).await,
            Err::<(), _>(Stopped::Panicked)
        );
        let later = scheduler.run(long(), new(), async {
            yield_now().await;
            panic!("a bug of the host, on a guest's worker")
        });
        assert_eq!(later.await, Err::<(), _>(Stopped::Panicked));
        assert_eq!(scheduler.run(long(), new(), async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn dropping_the_call_ends_the_guest() {
        struct Gone(tokio::sync::mpsc::UnboundedSender<()>);
        impl Drop for Gone {
            fn drop(&mut self) {
                self.0.send(()).ok();
            }
        }
        let scheduler = Scheduler::start().unwrap();
        let (sender, mut gone) = tokio::sync::mpsc::unbounded_channel();
        let mut call = Box::pin(scheduler.run(long(), new(), async move {
            let _gone = Gone(sender);
            std::future::pending::<()>().await;
        }));
        assert!(once(call.as_mut()).await.is_pending());
        drop(call);
        assert_eq!(gone.recv().await, Some(()));
    }
}
