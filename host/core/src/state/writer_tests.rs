//! Who writes, and in which order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, ThreadId};

use futures_util::FutureExt as _;
use rusqlite::params;

use super::super::testing::temporary;
use super::super::{Durability, State};
use super::*;

fn here(_: &Transaction<'_>) -> rusqlite::Result<ThreadId> {
    Ok(thread::current().id())
}

/// Sets a key, and fails where it had not the value before this one: where something came out of its order.
fn step(tx: &Transaction<'_>, key: &str, number: i64) -> rusqlite::Result<()> {
    let before: i64 =
        tx.query_row("SELECT coalesce(max(version), 0) FROM kv WHERE skill = 's' AND key = ?1", [key], |row| {
            row.get(0)
        })?;
    if before + 1 != number {
        return Err(rusqlite::Error::QueryReturnedNoRows);
    }
    tx.execute("INSERT OR REPLACE INTO kv VALUES ('s', ?1, x'', ?2)", params![key, number]).map(drop)
}

async fn value(state: &State, key: &'static str) -> i64 {
    let sql = "SELECT coalesce(max(version), 0) FROM kv WHERE skill = 's' AND key = ?1";
    state.read(move |db| db.query_row(sql, [key], |row| row.get(0))).await.unwrap()
}

/// Holds the desk until the sender says so or is dropped.
fn hold(state: &State) -> (Sender<()>, thread::JoinHandle<()>) {
    let ((go, wait), (sender, begun)) = (channel::<()>(), channel());
    let holder = state.clone();
    let held = thread::spawn(move || {
        let wait = holder.write(move |_| {
            sender.send(()).ok();
            wait.recv().ok();
            Ok(())
        });
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(wait).unwrap();
    });
    begun.recv().unwrap();
    (go, held)
}

#[tokio::test]
async fn a_small_write_is_made_where_it_is_asked_for_unless_it_syncs() {
    let dir = tempfile::tempdir().unwrap();
    for (durability, light) in [(Durability::Normal, true), (Durability::Full, false)] {
        let state = State::open(dir.path(), durability, Duration::from_secs(60)).unwrap();
        assert_eq!(state.write(here).await.unwrap() == thread::current().id(), light);
        assert_ne!(state.write_large(here).await.unwrap(), thread::current().id());
    }
}

#[tokio::test]
async fn a_thread_that_gives_way_commits_nothing_itself() {
    let (_dir, state) = temporary();
    let by = thread::spawn(move || {
        hand_over();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let here_by = |write: &str| match write {
            "first" => runtime.block_on(state.write_first(here)),
            _ => runtime.block_on(state.write(here)),
        };
        [here_by("first").unwrap(), here_by("any").unwrap()].contains(&thread::current().id())
    });
    assert!(!by.join().unwrap());
}

#[tokio::test]
async fn what_many_posts_are_before_is_left_to_the_thread_or_goes_first() {
    let (_dir, state) = temporary();
    let posts = || (0..=FEW).for_each(|_| state.post(|_| Ok(())));
    let (mut left, mut first) = (false, false);
    // The thread may have taken the posts before the write comes, but not each time.
    for _ in 0..1_000 {
        posts();
        left |= state.write(here).await.unwrap() != thread::current().id();
        posts();
        first |= state.write_first(here).await.unwrap() == thread::current().id();
        if left && first {
            return;
        }
    }
    panic!("left to the thread: {left}, made first: {first}");
}

#[tokio::test]
async fn what_is_asked_for_meanwhile_is_made_soon_after() {
    let (_dir, state) = temporary();
    let (go, held) = hold(&state);
    let mut write = Box::pin(state.write(|tx| step(tx, "a", 1)));
    let mut first = Box::pin(state.write_first(|tx| step(tx, "a", 2)));
    state.post(|tx| step(tx, "a", 3));
    let mut flush = Box::pin(state.flush());
    assert!(write.as_mut().now_or_never().is_none());
    assert!(first.as_mut().now_or_never().is_none());
    assert!(flush.as_mut().now_or_never().is_none());
    drop(go);
    write.await.unwrap();
    first.await.unwrap();
    flush.await.unwrap();
    assert_eq!(value(&state, "a").await, 3);
    held.join().unwrap();
}

#[tokio::test]
async fn in_a_group_each_fails_alone() {
    let (_dir, state) = temporary();
    let (go, held) = hold(&state);
    let good = state.write(|tx| step(tx, "a", 1));
    state.post(|tx| step(tx, "a", 2));
    let bad = state.write(|tx| {
        step(tx, "a", 3)?;
        tx.execute("INSERT INTO nowhere VALUES (1)", []).map(drop)
    });
    state.post(|tx| {
        step(tx, "a", 3)?;
        panic!("a bug")
    });
    let last = state.write(|tx| step(tx, "a", 3));
    drop(go);
    good.await.unwrap();
    bad.await.unwrap_err();
    last.await.unwrap();
    assert_eq!(value(&state, "a").await, 3);
    held.join().unwrap();
}

#[tokio::test]
async fn another_program_that_writes_holds_up_nobody_who_comes_by() {
    let (_dir, state) = temporary();
    let other = Connection::open(state.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let write = state.write(move |tx| {
        count.fetch_add(1, Ordering::Relaxed);
        here(tx)
    });
    assert_eq!(ran.load(Ordering::Relaxed), 0, "it has not waited, and not run");
    other.execute_batch("COMMIT").unwrap();
    assert_ne!(write.await.unwrap(), thread::current().id());
}

fn log_bytes(state: &State) -> u64 {
    std::fs::metadata(state.path().with_file_name("state.db-wal")).unwrap().len()
}

/// Keys of about a page each.
async fn fill(state: &State, writes: i64) {
    for number in 0..writes {
        let sql = "INSERT OR REPLACE INTO kv VALUES ('s', ?1, zeroblob(3000), 1)";
        state.write(move |tx| tx.execute(sql, [format!("{}", number % 50)]).map(drop)).await.unwrap();
    }
}

#[tokio::test]
async fn the_log_is_bounded_and_only_the_thread_shortens_it() {
    let (_dir, state) = temporary();
    fill(&state, 3_000).await;
    assert!(log_bytes(&state) < 2 * 4_120 * 1_000, "{}", log_bytes(&state));

    // A reader that stays keeps what it reads, and holds up no write.
    let ((go, wait), (sender, begun)) = (channel::<()>(), channel());
    let read = tokio::spawn({
        let state = state.clone();
        async move { state.read(move |db| reads(db, &sender, &wait)).await }
    });
    tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
    fill(&state, 2_000).await;
    let longest = log_bytes(&state);
    assert!(longest > 2 * 4_120 * 1_000, "{longest}");
    drop(go);
    read.await.unwrap().unwrap();
    fill(&state, 3_000).await;
    assert!(log_bytes(&state) < longest + 2 * 4_120 * 1_000, "{longest}, then {}", log_bytes(&state));
}

fn reads(db: &Connection, begun: &Sender<()>, wait: &Receiver<()>) -> rusqlite::Result<()> {
    let tx = db.unchecked_transaction()?;
    tx.query_row("SELECT count(*) FROM kv", [], |_| Ok(()))?;
    begun.send(()).ok();
    wait.recv().ok();
    tx.commit()
}

/// Many threads that write in every way, wait or do not, and fail now and then: nothing is lost, and all is in order.
#[test]
fn everything_keeps_its_order_under_pressure() {
    const THREADS: usize = 6;
    let (dir, state) = temporary();
    let wrong = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..THREADS)
        .map(|me| {
            let (state, wrong) = (state.clone(), Arc::clone(&wrong));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            thread::spawn(move || runtime.block_on(walk(&state, me, &wrong)))
        })
        .collect();
    let (mut all, mut writes) = (0, 0);
    for worker in workers {
        let (more, more_writes) = worker.join().unwrap();
        (all, writes) = (all + more, writes + more_writes);
    }
    drop(state);
    assert_eq!(wrong.load(Ordering::Relaxed), 0);
    let db = Connection::open(dir.path().join("state.db")).unwrap();
    let sum = |key: &str| -> i64 {
        db.query_row("SELECT sum(version) FROM kv WHERE key LIKE ?1", [key], |row| row.get(0)).unwrap()
    };
    assert_eq!((sum("all-%"), sum("writes-%")), (all, writes));
}

/// `all-` counts what keeps its order against everything, `writes-` the writes among themselves. Gives how many there were.
async fn walk(state: &State, me: usize, wrong: &Arc<AtomicUsize>) -> (i64, i64) {
    let (mut all, mut writes) = (0, 0);
    for number in 0..400 {
        if (number + me).is_multiple_of(7) {
            let bad = state.write(|tx| -> rusqlite::Result<()> {
                tx.execute("DELETE FROM kv", [])?;
                Err(rusqlite::Error::QueryReturnedNoRows)
            });
            if number % 2 == 0 {
                bad.await.unwrap_err();
            }
        }
        let (key, write_key) = (format!("all-{me}"), format!("writes-{me}"));
        let (posted, ordered) = (number % 3 == 0, number % 5 != 3);
        all += i64::from(posted || ordered);
        writes += i64::from(!posted);
        let (at, write_at) = (all, writes);
        let wrong = Arc::clone(wrong);
        let act = move |tx: &Transaction<'_>| {
            if posted || ordered {
                step(tx, &key, at)?;
            }
            if posted { Ok(()) } else { step(tx, &write_key, write_at) }
        };
        if posted {
            // Nobody is told of it.
            state.post(move |tx| {
                act(tx).inspect_err(|_| {
                    wrong.fetch_add(1, Ordering::Relaxed);
                })
            });
            continue;
        }
        match number % 5 {
            0 => drop(state.write(act)),
            1 => state.write_large(act).await.unwrap(),
            2 => drop(state.write_large(act)),
            3 => state.write_first(act).await.unwrap(),
            _ => state.write(act).await.unwrap(),
        }
    }
    (all, writes)
}
