//! Who runs when: a guest that spins never starves another guest, a timer or a socket.
//!
//! Guests yield at the epoch ticks (10 ms), except at one that comes when they have only just begun. That alone is not enough:
//! with 64 spinners on two cores a newcomer would wait for 32 ticks in line. So guests have three places, by what they have used
//! of the processor lately.
//!
//! One that is **light** stays with its caller: most calls end within a fraction of a millisecond, many others only wait, and
//! each hop to another thread and back would cost more than the guest does. Only some of the callers' workers may be inside
//! of a guest at once, so one is left for sockets and timers. A tool that has used next to nothing in all of its last calls needs
//! no such place: one that spins then holds its caller's worker until the ticks send it away, and is not trusted again for long,
//! nor is any other for a while. A guest that finds no place, or has used more than a little, goes on in the **foreground**, on workers
//! of the guests' own. Once it has used some milliseconds it is in the **background**, first come, first served, on other workers of
//! theirs. Waiting earns a better place back. Where the processor is short the system gives most of it to callers' workers and least
//! to the background: what is short comes before what is long.
//!
//! What a tool has used before tells where its next call begins: one that is heavy by habit begins in the background, and in a crowd one
//! that uses more than next to nothing in the foreground: there those are among themselves, while callers' workers are for
//! calls that are shorter than the hop. What counts is how much it uses at a stretch: one that works a little on each token of a
//! long answer is light, however long the answer is.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::habit::{Habit, LITTLE};
use super::shares::{Share, nanos};
use crate::broker::AbortOnDrop;

/// Processor time after which an invocation is in the background.
const FOREGROUND: Duration = Duration::from_millis(8);
/// Below this it is there no longer. Not at the same mark: one that is near it would move with each of its turns.
const RECOVERED: Duration = Duration::from_millis(4);
/// Processor time that a tool has to use in the mean for its calls to begin there.
const HEAVY: Duration = Duration::from_millis(1);
/// Processor time after which it leaves its caller's worker.
const LIGHT: Duration = Duration::from_millis(2);
/// What a turn there counts for at most: the clock on the wall goes on while the system gives the processor to somebody else.
/// Enough to move a guest to where its processor time is measured; one or two echoes that were held up must not make all
/// echoes heavy by habit, and stand behind every spinner.
const DOUBTFUL: Duration = LIGHT.saturating_add(Duration::from_micros(100));
/// Turns that are measured as what they use of the processor after one that took long: two system calls each, which a long answer that
/// comes in pieces would pay for each piece. Twice as many after each further one: what the system holds up counts against the limit of
/// the processor's time as a whole, and must not do so time and again.
const WATCHED: u32 = 64;
/// Processor time below which it comes back, after a wait of at least this long.
const RESTED: Duration = Duration::from_micros(500);
/// How many times as long as one that went without a place has held its caller's worker every guest needs one then. Whoever has many
/// tools that are light until they are not would otherwise hold all workers, by one tool after the other.
const WARY: u32 = 64;
/// Guests for each core that make a crowd.
const CROWD: usize = 4;

thread_local! {
    /// Since when the guest runs that this thread is inside of.
    static TURN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Whether the guest that this thread is inside of has had little of its turn. One in a hundred short calls meets a tick; to
/// put it at the end of the line would make it wait for as long as all others together take.
pub(super) fn has_just_begun() -> bool {
    TURN.get().is_some_and(|begun| begun.elapsed() < LIGHT)
}

/// How much the guests' own workers give way to those of callers, which are to answer what is short before what is long: the weight
/// that the system gives them is a tenth of the others' for the foreground, and a thirtieth for the background.
const FOREGROUND_NICE: i32 = 10;
const BACKGROUND_NICE: i32 = 15;

pub(crate) struct Scheduler {
    /// None only while it is being dropped, like the next.
    foreground: Option<Runtime>,
    background: Option<Runtime>,
    beside_callers: Arc<Semaphore>,
    trust: Trust,
    /// Guests that have not ended, those that wait included.
    guests: AtomicUsize,
    /// More of them are a crowd.
    few: usize,
}

impl Scheduler {
    /// `gives_way` is run on each thread of the guests' own, which may stand still in the middle of anything.
    pub(crate) fn start(gives_way: fn()) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let workers = |name: &str, count: usize, nice: i32| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(count)
                .thread_name(name)
                .on_thread_start(move || give_way(nice, gives_way))
                .enable_time()
                // A yielding spinner must not keep the timers of its worker waiting (the default is 61 polls).
                .event_interval(1)
                .global_queue_interval(1)
                .build()
        };
        Ok(Self {
            // Half of the cores: guests are there for some milliseconds, and each of these threads is one more that the system can stop while
            // it holds what a caller's worker needs, the allocator or the map of the address space.
            foreground: Some(workers("ringfence-guest", (cores / 2).max(1), FOREGROUND_NICE)?),
            background: Some(workers("ringfence-heavy", cores.max(2), BACKGROUND_NICE)?),
            beside_callers: Arc::new(Semaphore::new((cores - 1).max(1))),
            trust: Trust::new(),
            guests: AtomicUsize::new(0),
            few: cores * CROWD,
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

    fn is_crowded(&self) -> bool {
        self.guests.load(Ordering::Relaxed) > self.few
    }

    async fn run_boxed<F>(&self, cpu: Share, habit: Arc<Habit>, guest: Pin<Box<F>>) -> Result<F::Output, Stopped>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let _one = One::of(&self.guests);
        let is_heavy = habit.usual() >= HEAVY;
        let is_among_others = self.is_crowded() && habit.usual() > LITTLE && !habit.is_light();
        let mut guest = Scheduled::new(guest, cpu, habit, is_heavy);
        loop {
            let light = poll_fn(|cx| {
                let now = Instant::now();
                guest.rest(|| now);
                if guest.recent > LIGHT || (is_among_others && guest.used.is_zero()) {
                    return Poll::Ready(None);
                }
                let place = self.beside_callers.try_acquire();
                if place.is_err() && !(guest.habit.is_light() && self.trust.holds()) {
                    return Poll::Ready(None);
                }
                // Without a place it has to be sure that it uses as little as was expected. Nor is one in many turns, that was held up,
                // to be taken for what a long call uses: that one turn is given to everybody now and then.
                let clock = if place.is_ok() && guest.watched == 0 { Clock::Wall } else { Clock::Thread };
                let polled = guest.poll(cx, clock, now);
                if place.is_err() && guest.turn > LIGHT {
                    self.trust.is_disappointed(guest.turn);
                }
                match polled {
                    Poll::Ready(done) => Poll::Ready(Some(done)),
                    Poll::Pending if guest.recent > LIGHT => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            });
            if let Some(done) = light.await {
                return done;
            }
            let is_heavy = guest.is_heavy();
            guest.was_heavy |= is_heavy;
            let runtime = if is_heavy { &self.background } else { &self.foreground };
            let Some(runtime) = runtime else { return Err(Stopped::Panicked) };
            let places = Arc::clone(&self.beside_callers);
            let mut task = AbortOnDrop(runtime.spawn(Away::new(guest, is_heavy, places)));
            match (&mut task.0).await {
                Ok(Left::Ended(done)) => return done,
                Ok(Left::Moves(moves)) => guest = moves,
                Err(error) => {
                    tracing::error!(%error, "a guest's task failed");
                    return Err(Stopped::Panicked);
                }
            }
        }
    }
}

/// A guest that has not ended.
struct One<'a>(&'a AtomicUsize);

impl<'a> One<'a> {
    fn of(guests: &'a AtomicUsize) -> Self {
        guests.fetch_add(1, Ordering::Relaxed);
        Self(guests)
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        for runtime in [self.foreground.take(), self.background.take()].into_iter().flatten() {
            // Blocking here would panic inside of another runtime; guests end at their next yield.
            runtime.shutdown_background();
        }
    }
}

/// Whether guests that are light by habit are let run without a place.
struct Trust {
    /// What the next is counted from.
    begun: Instant,
    /// When it holds again, in nanoseconds.
    again: AtomicU64,
}

impl Trust {
    fn new() -> Self {
        Self { begun: Instant::now(), again: AtomicU64::new(0) }
    }

    fn holds(&self) -> bool {
        let again = self.again.load(Ordering::Relaxed);
        again == 0 || nanos(self.begun.elapsed()) >= again
    }

    /// One held its caller's worker for as long.
    fn is_disappointed(&self, turn: Duration) {
        self.again.fetch_max(nanos(self.begun.elapsed() + turn * WARY), Ordering::Relaxed);
    }
}

/// Makes the thread that calls it one that gives way to others. Elsewhere than on Linux that is for whole processes only.
fn give_way(nice: i32, then: fn()) {
    #[cfg(target_os = "linux")]
    match rustix::process::nice(nice) {
        Ok(_) => then(),
        Err(error) => tracing::debug!(%error, "a worker of guests competes with the others"),
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (nice, then);
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
    /// Processor time used lately, which decides its place: falls while the guest waits. One that is heavy by habit begins with some.
    recent: Duration,
    /// Whether it has been in the background. What its tool does by habit counts once: where it has waited its way out, it goes by
    /// what it does itself.
    was_heavy: bool,
    /// As `recent`, from nothing.
    stretch: Duration,
    /// The most that it was.
    longest: Duration,
    /// Processor time used in all.
    used: Duration,
    /// The part of it that was measured as such, or is too short to be anything else.
    surely_used: Duration,
    /// Of its last turn alone.
    turn: Duration,
    /// How many of its next turns are measured as what they use of the processor, since one took long by whichever clock.
    watched: u32,
    /// How many they were after the last one that went by the wall's clock.
    watched_last: u32,
    has_ended: bool,
    habit: Arc<Habit>,
    cpu: Share,
    paused_at: Option<Instant>,
}

impl<F> Scheduled<F> {
    fn new(guest: Pin<Box<F>>, cpu: Share, habit: Arc<Habit>, is_heavy: bool) -> Self {
        Self {
            guest,
            recent: if is_heavy { FOREGROUND } else { Duration::ZERO },
            was_heavy: is_heavy,
            stretch: Duration::ZERO,
            longest: Duration::ZERO,
            used: Duration::ZERO,
            surely_used: Duration::ZERO,
            turn: Duration::ZERO,
            watched: 0,
            watched_last: 0,
            has_ended: false,
            habit,
            cpu,
            paused_at: None,
        }
    }

    /// Credits the time from when it last stopped until it was woken: a yield at a tick comes straight back and earns nothing; a
    /// wait for a model earns the foreground. Gives how long that was.
    fn rest(&mut self, woken: impl FnOnce() -> Instant) -> Duration {
        let Some(paused_at) = self.paused_at.take() else { return Duration::ZERO };
        let waited = woken().saturating_duration_since(paused_at);
        self.recent = self.recent.saturating_sub(waited / 8);
        self.stretch = self.stretch.saturating_sub(waited / 8);
        waited
    }

    fn is_heavy(&self) -> bool {
        self.recent >= FOREGROUND
    }
}

impl<F: Future> Scheduled<F> {
    /// One turn, which begins now.
    fn poll(&mut self, cx: &mut Context<'_>, clock: Clock, begun: Instant) -> Poll<Result<F::Output, Stopped>> {
        let watch = match clock {
            Clock::Wall => Stopwatch::Wall(begun),
            Clock::Thread => Stopwatch::Thread(thread_time()),
        };
        // A guest that calls another may be polled around this one.
        let outer = TURN.replace(Some(begun));
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| self.guest.as_mut().poll(cx)));
        TURN.set(outer);
        let took = watch.elapsed();
        // What is short on the wall is so for the processor.
        let is_sure = watch.is_sure() || took <= LITTLE;
        let used = if is_sure { took } else { took.min(DOUBTFUL) };
        self.watched = self.watched.saturating_sub(1);
        if took > LITTLE {
            if !is_sure {
                self.watched_last = self.watched_last.saturating_mul(2).max(WATCHED);
            }
            self.watched = self.watched.max(self.watched_last).max(WATCHED);
        }
        let was_heavy = self.is_heavy();
        self.recent = (self.recent + used).min(FOREGROUND * 4);
        self.stretch += used;
        self.longest = self.longest.max(self.stretch);
        self.used += used;
        self.turn = used;
        if is_sure {
            self.surely_used += used;
            if self.surely_used > LITTLE {
                // Before it ends: others of its kind may be about to begin.
                self.habit.uses_more(self.surely_used > LIGHT);
            }
        }
        if self.is_heavy() && !was_heavy {
            // Others of its kind may be in line already.
            self.habit.cut_off(self.longest);
        }
        let passed = self.cpu.count(nanos(took));
        match polled {
            Ok(Poll::Ready(output)) => {
                self.has_ended = true;
                Poll::Ready(Ok(output))
            }
            Ok(Poll::Pending) if passed.is_some() => Poll::Ready(Err(Stopped::CpuLimit)),
            Ok(Poll::Pending) => {
                self.paused_at = Some(match watch {
                    Stopwatch::Wall(begun) => begun + took,
                    Stopwatch::Thread(_) => Instant::now(),
                });
                Poll::Pending
            }
            Err(_) => Poll::Ready(Err(Stopped::Panicked)),
        }
    }
}

/// What a turn is timed by.
#[derive(Clone, Copy)]
enum Clock {
    /// Nearly free, and too much where the system gave the processor to somebody else meanwhile.
    Wall,
    /// A system call. A guest that gives way must not be charged for it.
    Thread,
}

/// How long one poll took.
enum Stopwatch {
    Wall(Instant),
    Thread(Duration),
}

impl Stopwatch {
    fn is_sure(&self) -> bool {
        matches!(self, Self::Thread(_))
    }

    fn elapsed(&self) -> Duration {
        match self {
            Self::Wall(begun) => begun.elapsed(),
            Self::Thread(begun) => thread_time().saturating_sub(*begun),
        }
    }
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// A guest on the guests' own workers.
struct Away<F> {
    /// None after its end.
    guest: Option<Scheduled<F>>,
    /// Whether these are the workers of the background.
    is_heavy: bool,
    places: Arc<Semaphore>,
    bell: Arc<Bell>,
    has_begun: bool,
}

/// Why a guest leaves these workers.
enum Left<F: Future> {
    Ended(Result<F::Output, Stopped>),
    /// Its place is another now.
    Moves(Scheduled<F>),
}

impl<F> Away<F> {
    fn new(mut guest: Scheduled<F>, is_heavy: bool, places: Arc<Semaphore>) -> Self {
        // From here on it stands in line, which is no rest.
        guest.paused_at = None;
        Self { guest: Some(guest), is_heavy, places, bell: Arc::default(), has_begun: false }
    }
}

impl<F: Future> Future for Away<F> {
    type Output = Left<F>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(mut guest) = this.guest.take() else { return Poll::Pending };
        let waited = guest.rest(|| this.bell.rung());
        // Where a socket wakes it, it could go on there and then.
        let is_rested = waited >= RESTED && guest.recent < RESTED && this.places.available_permits() > 0;
        let is_placed = if this.is_heavy { guest.recent >= RECOVERED } else { !guest.is_heavy() };
        if this.has_begun && (is_rested || !is_placed) {
            return Poll::Ready(Left::Moves(guest));
        }
        if !this.has_begun && !this.is_heavy && !guest.was_heavy && guest.habit.usual() >= HEAVY {
            // What its tool does has turned out while it stood in line.
            guest.recent = FOREGROUND;
            return Poll::Ready(Left::Moves(guest));
        }
        this.has_begun = true;
        this.bell.waker.register(cx.waker());
        let waker = Waker::from(Arc::clone(&this.bell));
        match guest.poll(&mut Context::from_waker(&waker), Clock::Thread, Instant::now()) {
            Poll::Ready(done) => Poll::Ready(Left::Ended(done)),
            Poll::Pending if guest.is_heavy() && !this.is_heavy => Poll::Ready(Left::Moves(guest)),
            Poll::Pending => {
                this.guest = Some(guest);
                Poll::Pending
            }
        }
    }
}

/// Remembers when a guest was woken: what it waits in line after that is no rest.
#[derive(Default)]
struct Bell {
    waker: AtomicWaker,
    rung: Mutex<Option<Instant>>,
}

impl Bell {
    /// When it was rung for the first time since this was last asked; now, where it was not.
    fn rung(&self) -> Instant {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(Instant::now)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        self.waker.wake();
    }
}

impl<F> Drop for Scheduled<F> {
    fn drop(&mut self) {
        if self.has_ended {
            self.habit.ended(self.longest, self.used);
        } else {
            self.habit.cut_off(self.longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    fn long() -> Share {
        Share::new(nanos(Duration::from_secs(60)))
    }

    fn short() -> Share {
        Share::new(nanos(Duration::from_millis(50)))
    }

    fn new() -> Arc<Habit> {
        Arc::default()
    }

    /// As a guest yields at a tick: woken at once. The runtime's own way wakes it when its worker comes to it, and what the system gives to
    /// others meanwhile would be taken for rest.
    async fn yield_now() {
        let mut has_yielded = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut has_yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Uses the processor, as a guest does between two ticks.
    fn burn(time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    /// Burns until that has been noticed. Its first turn may be beside its caller, and counts for less than it takes.
    async fn until_heavy() {
        for _ in 0..100 {
            burn(FOREGROUND);
            yield_now().await;
            if thread() == "ringfence-heavy" {
                return;
            }
        }
        panic!("nobody notices that it burns");
    }

    async fn once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }

    fn thread() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn what_burns_goes_to_the_background_and_what_is_new_does_not_wait_for_it() {
        let scheduler = Arc::new(Scheduler::start(|| {}).unwrap());
        let (stop, began) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let spinners: Vec<_> = (0..16)
            .map(|_| {
                let (scheduler, stop, began) = (Arc::clone(&scheduler), Arc::clone(&stop), Arc::clone(&began));
                tokio::spawn(async move {
                    let spin = async move {
                        until_heavy().await;
                        began.fetch_add(1, Ordering::SeqCst);
                        while !stop.load(Ordering::SeqCst) {
                            assert_eq!(thread(), "ringfence-heavy", "waiting in line is no rest");
                            burn(Duration::from_millis(1));
                            yield_now().await;
                        }
                    };
                    scheduler.run(long(), new(), spin).await
                })
            })
            .collect();
        while began.load(Ordering::SeqCst) < 16 {
            yield_now().await;
        }
        for _ in 0..100 {
            let newcomer = scheduler.run(long(), new(), async {
                yield_now().await;
                thread()
            });
            assert_ne!(newcomer.await.unwrap(), "ringfence-heavy");
        }
        stop.store(true, Ordering::SeqCst);
        for spinner in spinners {
            assert_eq!(spinner.await.unwrap(), Ok(()));
        }
    }

    #[tokio::test]
    async fn a_guest_is_new_at_the_beginning_of_each_turn_and_a_guest_inside_of_it_is_another() {
        let scheduler = Arc::new(Scheduler::start(|| {}).unwrap());
        assert!(!has_just_begun());
        let inner = Arc::clone(&scheduler);
        let guest = async move {
            assert!(has_just_begun());
            burn(LIGHT);
            assert!(!has_just_begun());
            let called = std::pin::pin!(inner.run(long(), new(), async { has_just_begun() }));
            let polled = once(called).await;
            assert!(matches!(polled, Poll::Pending | Poll::Ready(Ok(true))));
            assert!(!has_just_begun());
            yield_now().await;
            has_just_begun()
        };
        assert_eq!(scheduler.run(long(), new(), guest).await, Ok(true));
        assert!(!has_just_begun());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_guests_own_workers_give_way_and_the_background_most() {
        let scheduler = Scheduler::start(|| {}).unwrap();
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            fields[16].parse::<i32>().unwrap()
        };
        let here = nice();
        let guest = async move {
            until_heavy().await;
            (thread(), nice())
        };
        let (name, there) = scheduler.run(long(), new(), guest).await.unwrap();
        assert_eq!((&*name, there), ("ringfence-heavy", (here + BACKGROUND_NICE).min(19)));
        let places = scheduler.beside_callers.available_permits();
        let _taken = scheduler.beside_callers.acquire_many(u32::try_from(places).unwrap()).await.unwrap();
        let (name, there) = scheduler.run(long(), new(), async move { (thread(), nice()) }).await.unwrap();
        assert_eq!((&*name, there), ("ringfence-guest", (here + FOREGROUND_NICE).min(19)));
        assert_eq!(nice(), here, "nobody else does");
    }

    #[tokio::test]
    async fn a_tool_that_burns_by_habit_begins_in_the_background() {
        let scheduler = Scheduler::start(|| {}).unwrap();
        let habit = new();
        let here = std::thread::current().id();
        // By the clock on the wall alone it takes more than one of them to know.
        for _ in 0..5 {
            assert_eq!(scheduler.run(long(), Arc::clone(&habit), async { burn(FOREGROUND) }).await, Ok(()));
        }
        let again = scheduler.run(long(), Arc::clone(&habit), async { thread() });
        assert_eq!(again.await.unwrap(), "ringfence-heavy");
        assert_eq!(scheduler.run(long(), new(), async { std::thread::current().id() }).await, Ok(here), "another tool");
        for _ in 0..20 {
            scheduler.run(long(), Arc::clone(&habit), async {}).await.unwrap();
        }
        let light = scheduler.run(long(), habit, async { std::thread::current().id() });
        assert_eq!(light.await, Ok(here), "it has changed its ways");
    }

    #[tokio::test]
    async fn one_call_that_was_held_up_does_not_make_its_tool_heavy() {
        let scheduler = Scheduler::start(|| {}).unwrap();
        let habit = new();
        let here = std::thread::current().id();
        for _ in 0..3 {
            scheduler.run(long(), Arc::clone(&habit), async {}).await.unwrap();
        }
        // The system gives the processor to others in the middle of it.
        let held_up = async { std::thread::sleep(FOREGROUND * 8) };
        scheduler.run(long(), Arc::clone(&habit), held_up).await.unwrap();
        assert_eq!(scheduler.run(long(), habit, async { std::thread::current().id() }).await, Ok(here));
    }

    #[tokio::test]
    async fn a_turn_that_took_long_has_the_next_ones_watched_and_a_second_one_twice_as_many() {
        let is_held_up = AtomicBool::new(true);
        let guest = async {
            loop {
                if is_held_up.swap(false, Ordering::SeqCst) {
                    burn(LITTLE * 2);
                }
                yield_now().await;
            }
        };
        let mut guest = Scheduled::<_>::new(Box::pin(guest), long(), new(), false);
        let mut watched = async || {
            let polled = poll_fn(|cx| Poll::Ready(guest.poll(cx, Clock::Wall, Instant::now()))).await;
            assert!(polled.is_pending());
            guest.watched
        };
        assert_eq!(watched().await, WATCHED);
        // The system may hold up others, and has them watched for longer.
        let mut turns = 0;
        while watched().await > 0 {
            turns += 1;
            assert!(turns < 1_000_000, "its turns are watched for ever");
        }
        assert!(turns >= WATCHED - 1);
        is_held_up.store(true, Ordering::SeqCst);
        assert!(watched().await >= WATCHED * 2);
    }

    #[tokio::test]
    async fn what_a_tool_does_is_known_before_its_first_call_has_ended() {
        let scheduler = Arc::new(Scheduler::start(|| {}).unwrap());
        let habit = new();
        let (burned, mut has_burned) = tokio::sync::mpsc::unbounded_channel();
        let first = tokio::spawn({
            let (scheduler, habit) = (Arc::clone(&scheduler), Arc::clone(&habit));
            async move {
                let burns = async move {
                    until_heavy().await;
                    burned.send(()).unwrap();
                    std::future::pending::<()>().await;
                };
                scheduler.run(long(), habit, burns).await
            }
        });
        has_burned.recv().await.unwrap();
        assert_eq!(scheduler.run(long(), habit, async { thread() }).await.unwrap(), "ringfence-heavy");
        first.abort();
    }

    #[tokio::test]
    async fn what_is_light_stays_with_its_caller_and_what_burns_leaves() {
        let scheduler = Scheduler::start(|| {}).unwrap();
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
        let crowded = || async { std::thread::current().id() };
        assert_ne!(scheduler.run(long(), new(), crowded()).await, Ok(here));
        // What has always used next to nothing needs no place, until it does.
        let habit = new();
        for _ in 0..100 {
            habit.ended(Duration::from_micros(20), Duration::from_micros(20));
        }
        assert_eq!(scheduler.run(long(), Arc::clone(&habit), crowded()).await, Ok(here));
        let burns = async {
            burn(LIGHT * 2);
            yield_now().await;
            std::thread::current().id()
        };
        assert_ne!(scheduler.run(long(), Arc::clone(&habit), burns).await, Ok(here));
        assert_ne!(scheduler.run(long(), habit, crowded()).await, Ok(here));
        // Nor does any other, for a while: there may be more of its kind.
        assert_ne!(scheduler.trust.again.load(Ordering::Relaxed), 0);
        scheduler.trust.is_disappointed(Duration::from_secs(60));
        let habit = new();
        for _ in 0..100 {
            habit.ended(Duration::from_micros(20), Duration::from_micros(20));
        }
        assert_ne!(scheduler.run(long(), Arc::clone(&habit), crowded()).await, Ok(here));
        scheduler.trust.again.store(1, Ordering::Relaxed);
        assert_eq!(scheduler.run(long(), habit, crowded()).await, Ok(here));
    }

    #[tokio::test]
    async fn in_a_crowd_what_uses_more_than_next_to_nothing_leaves_callers_to_those_that_do_not() {
        let scheduler = Scheduler::start(|| {}).unwrap();
        let here = std::thread::current().name().unwrap_or_default().to_owned();
        let of = |used: Duration| {
            let habit = new();
            for _ in 0..100 {
                habit.ended(used, used);
            }
            habit
        };
        let place = async |used| scheduler.run(long(), of(used), async { thread() }).await.unwrap();
        let (little, more) = (Duration::from_micros(20), LITTLE * 2);
        assert_eq!((place(little).await, place(more).await), (here.clone(), here.clone()));
        let mut crowd: Vec<_> =
            (0..=scheduler.few).map(|_| Box::pin(scheduler.run(long(), new(), std::future::pending::<()>()))).collect();
        for guest in &mut crowd {
            assert!(once(guest.as_mut()).await.is_pending());
        }
        assert_eq!((place(little).await, place(more).await), (here.clone(), "ringfence-guest".to_owned()));
        // One that nobody knows may be as short as any.
        assert_eq!(scheduler.run(long(), new(), async { thread() }).await.unwrap(), here);
        drop(crowd);
        assert_eq!(place(more).await, here);
    }

    #[test]
    fn trust_is_lost_for_many_times_as_long_as_somebody_was_held_up() {
        let trust = Trust::new();
        assert!(trust.holds());
        trust.is_disappointed(Duration::from_secs(60));
        assert!(!trust.holds());
        let again = trust.again.load(Ordering::Relaxed);
        assert!(again >= nanos(Duration::from_secs(60) * WARY));
        // A shorter one does not end the time of a longer one.
        trust.is_disappointed(Duration::from_millis(1));
        assert_eq!(trust.again.load(Ordering::Relaxed), again);
        // What is over is over.
        trust.again.store(1, Ordering::Relaxed);
        assert!(trust.holds());
    }

    #[tokio::test]
    async fn what_has_burned_comes_back_when_it_mostly_waits() {
        let scheduler = Scheduler::start(|| {}).unwrap();
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
            // By its own time: the system may give the processor to others meanwhile.
            let before = thread_time();
            while thread_time() - before < LIGHT * 2 {
                burn(Duration::from_micros(100));
            }
            yield_now().await;
            std::thread::current().id()
        };
        assert_ne!(scheduler.run(long(), new(), guest).await, Ok(here), "and it leaves again");
    }

    #[tokio::test]
    async fn what_is_heavy_by_habit_comes_back_when_it_mostly_waits_and_is_no_longer_heavy_by_habit() {
        let scheduler = Scheduler::start(|| {}).unwrap();
        let (here, habit) = (std::thread::current().id(), new());
        habit.ended(FOREGROUND, FOREGROUND);
        for _ in 0..20 {
            let guest = async move {
                let first = thread();
                // As on each of the tokens of a long answer.
                for _ in 0..200 {
                    burn(Duration::from_micros(50));
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                (first, std::thread::current().id())
            };
            let before = habit.usual();
            let (first, last) = scheduler.run(long(), Arc::clone(&habit), guest).await.unwrap();
            assert_eq!(last, here);
            if before < HEAVY {
                assert_ne!(first, "ringfence-heavy");
                return;
            }
            assert_eq!(first, "ringfence-heavy");
        }
        panic!("it stays heavy by habit");
    }

    #[tokio::test]
    async fn processor_time_has_a_limit_and_waiting_costs_none() {
        let scheduler = Scheduler::start(|| {}).unwrap();
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
        let scheduler = Scheduler::start(|| {}).unwrap();
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
        let scheduler = Scheduler::start(|| {}).unwrap();
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
