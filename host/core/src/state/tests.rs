use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::params;

use super::testing::{killed, open, temporary};
use super::*;
use crate::error::Explain as _;

fn put(key: &'static str, bytes: usize) -> impl FnMut(&Transaction<'_>) -> rusqlite::Result<()> + Send + 'static {
    move |tx| {
        let sql = "INSERT OR REPLACE INTO kv VALUES ('s', ?1, ?2, 1)";
        tx.execute(sql, params![key, vec![b'x'; bytes]]).map(|_| ())
    }
}

async fn keys(state: &State) -> Vec<String> {
    let sql = "SELECT key FROM kv ORDER BY key";
    state.read(move |db| db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()).await.unwrap()
}

fn refused(dir: &Path) -> StateError {
    State::open(dir, Durability::Normal, Duration::ZERO).unwrap_err()
}

#[tokio::test]
async fn an_acknowledged_write_survives_a_kill() {
    for durability in [Durability::Normal, Durability::Full] {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path(), durability, Duration::ZERO).unwrap();
        state.post(put("posted", 1));
        state.write(put("written", 1)).await.unwrap();
        assert_eq!(keys(&state).await, ["posted", "written"]);
        let copy = killed(&state);
        assert_eq!(keys(&open(copy.path())).await, ["posted", "written"]);
    }
}

#[tokio::test]
async fn what_was_posted_is_there_after_a_clean_close() {
    let (dir, state) = temporary();
    state.post(put("posted", 1));
    drop(state);
    assert!(!dir.path().join("state.db-wal").exists(), "the log is removed by a clean close");
    assert_eq!(keys(&open(dir.path())).await, ["posted"]);
}

#[tokio::test]
async fn a_post_is_committed_without_a_write() {
    let (_dir, state) = temporary();
    let (done, wait) = tokio::sync::oneshot::channel();
    let mut done = Some(done);
    state.post(move |_| {
        let _ = done.take().map(|done| done.send(()));
        Ok(())
    });
    wait.await.unwrap();
}

#[tokio::test]
async fn each_write_fails_alone() {
    let (_dir, state) = temporary();
    let good = state.write(put("a", 1));
    let bad = state.write(|tx| {
        put("undone", 1)(tx)?;
        tx.execute("INSERT INTO nowhere VALUES (1)", []).map(|_| ())
    });
    let panics = state.write(|tx| -> rusqlite::Result<()> {
        put("undone too", 1)(tx)?;
        panic!("a bug");
    });
    let last = state.write(put("z", 1));
    assert!(good.await.is_ok());
    assert_eq!(bad.await.unwrap_err().kind(), "state-failed");
    assert_eq!(panics.await.unwrap_err().kind(), "state-failed");
    assert!(last.await.is_ok());
    let read = state.read(|_| -> rusqlite::Result<()> { panic!("a bug") }).await;
    assert_eq!(read.unwrap_err().kind(), "state-failed");
    assert_eq!(keys(&state).await, ["a", "z"]);
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_posts_and_recovers() {
    let (_dir, state) = temporary();
    state.write(put("old", 10)).await.unwrap();
    let pages =
        |pages: i64| move |tx: &Transaction<'_>| tx.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
    state.write(pages(1)).await.unwrap();
    // A page limit cannot fall below what the file has, so the first large value is the one that does not fit.
    assert_eq!(state.write(put("large", 100_000)).await.unwrap_err().kind(), "state-full");
    state.post(put("posted", 100_000));
    state.post(put("posted after", 1));
    assert_eq!(state.flush().await.unwrap_err().kind(), "state-full");
    assert!(state.post_ahead(b"ahead", put("ahead", 1)).is_err(), "it would wait as well");
    assert_eq!(keys(&state).await, ["old"]);
    state.write(|tx| tx.execute("DELETE FROM kv WHERE key = 'old'", [])).await.unwrap();
    assert_eq!(keys(&state).await, [""; 0]);

    state.write(pages(1_000_000)).await.unwrap();
    state.flush().await.unwrap();
    state.write(put("large", 100_000)).await.unwrap();
    assert!(state.post_ahead(b"ahead", put("ahead", 1)).is_ok());
    state.flush().await.unwrap();
    assert_eq!(keys(&state).await, ["ahead", "large", "posted", "posted after"]);
}

#[tokio::test]
async fn hosts_live_beside_each_other_and_know_who_lives() {
    let (dir, one) = temporary();
    let two = open(dir.path());
    assert!(one.host() != two.host() && one.host() > 0 && two.host() > 0);
    assert!(one.lives(two.host()) && two.lives(one.host()) && one.lives(one.host()));
    one.write(put("a", 1)).await.unwrap();
    two.write(put("b", 1)).await.unwrap();
    assert_eq!(keys(&one).await, ["a", "b"]);
    assert_eq!(keys(&two).await, ["a", "b"]);
    let gone = two.host();
    drop(two);
    assert!(!one.lives(gone) && !one.lives(1));
    assert_eq!(std::fs::read_dir(dir.path().join("hosts")).unwrap().count(), 1);
    // What a killed host leaves is swept by the next that comes.
    std::fs::write(dir.path().join("hosts/17"), "1").unwrap();
    assert!(!one.lives(17));
    let three = open(dir.path());
    assert!(!dir.path().join("hosts/17").exists() && one.lives(three.host()));
}

#[tokio::test]
async fn who_has_to_be_alone_is_refused_beside_others_and_keeps_them_out() {
    let (dir, one) = temporary();
    let two = open(dir.path());
    let error = one.alone().unwrap_err();
    assert_eq!(error.kind(), "state-in-use");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    // Being refused changes nothing.
    assert_eq!(open(dir.path()).host().signum(), 1);
    drop(two);
    let alone = one.alone().unwrap();
    assert_eq!(refused(dir.path()).kind(), "state-in-use");
    let path = dir.path().to_owned();
    let next = std::thread::spawn(move || State::open(&path, Durability::Normal, Duration::from_secs(60)).map(|_| ()));
    drop(alone);
    next.join().unwrap().unwrap();
    one.write(put("a", 1)).await.unwrap();
}

#[tokio::test]
async fn a_state_of_another_version_is_not_changed_under_those_that_use_it() {
    let (dir, one) = temporary();
    one.write(|tx| tx.pragma_update(None, "user_version", 1)).await.unwrap();
    assert_eq!(refused(dir.path()).kind(), "state-in-use");
}

#[test]
fn a_directory_that_is_not_private_is_closed_or_refused() {
    let base = tempfile::tempdir().unwrap();
    let open_to_all = base.path().join("open");
    std::fs::create_dir(&open_to_all).unwrap();
    std::fs::set_permissions(&open_to_all, std::fs::Permissions::from_mode(0o777)).unwrap();
    let state = open(&open_to_all);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&open_to_all), 0o700);
    for name in ["state.db", "state.db-wal", "state.db-shm", "lock"] {
        assert_eq!(mode(&open_to_all.join(name)), 0o600, "{name}");
    }
    drop(state);

    let link = base.path().join("link");
    std::os::unix::fs::symlink(&open_to_all, &link).unwrap();
    assert_eq!(refused(&link).kind(), "state-unsafe");
    let made = base.path().join("a/b/c");
    drop(open(&made));
    assert_eq!(mode(&made), 0o700);
}

#[test]
fn links_in_the_place_of_our_files_are_refused() {
    for name in ["lock", "state.db"] {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        std::fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, dir.path().join(name)).unwrap();
        assert_eq!(refused(dir.path()).kind(), "state-unsafe", "{name}");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    // A path below a file cannot be made by anybody, root included.
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = refused(&file.path().join("state"));
    assert_eq!(error.kind(), "state-unwritable");
    assert!(error.hint().contains(&file.path().display().to_string()));
}

#[tokio::test]
async fn a_connection_that_may_not_write_says_so() {
    let (_dir, state) = temporary();
    let error = state.read(|db| db.execute("DELETE FROM kv", [])).await.unwrap_err();
    assert_eq!(error.kind(), "state-unwritable");
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_is() {
    for (name, bytes) in [("no database", vec![b'x'; 8192]), ("short", b"SQLite format 3\0".to_vec())] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(refused(dir.path()).kind(), "state-corrupt", "{name}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
    }
}

#[tokio::test]
async fn damage_behind_a_crash_is_found_when_the_file_is_opened() {
    let (dir, state) = temporary();
    for key in ["a", "b", "c", "d"] {
        state.write(put(key, 20_000)).await.unwrap();
    }
    drop(state);
    let state = open(dir.path());
    state.write(put("e", 1)).await.unwrap();
    let copy = killed(&state);
    let path = copy.path().join("state.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // All pages but the first, whose schema is still fine.
    bytes[4096..].fill(0x55);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(refused(copy.path()).kind(), "state-corrupt");
}

#[test]
fn a_newer_schema_and_a_stranger_are_refused() {
    let (dir, state) = temporary();
    let path = state.path().to_owned();
    drop(state);
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let error = refused(dir.path());
    assert_eq!(error.kind(), "state-newer");
    assert!(error.to_string().contains("99"));

    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "application_id", 1).unwrap();
    drop(db);
    assert_eq!(refused(dir.path()).kind(), "state-corrupt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_from_many_tasks_are_all_committed_in_their_order() {
    let (_dir, state) = temporary();
    let sum = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (state, sum) = (state.clone(), Arc::clone(&sum));
            tokio::spawn(async move {
                for _ in 0..20 {
                    state.post(|tx| bump(tx).map(|_| ()));
                    let seen = state.write(bump).await.unwrap();
                    sum.fetch_max(seen, Ordering::Relaxed);
                    let read = state.read(count).await.unwrap();
                    assert!(read >= seen, "a read sees what was acknowledged");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(sum.load(Ordering::Relaxed), 2_000);
}

fn count(db: &Connection) -> rusqlite::Result<u64> {
    db.query_row("SELECT coalesce(max(version), 0) FROM kv", [], |row| row.get::<_, i64>(0)).map(uint)
}

fn bump(tx: &Transaction<'_>) -> rusqlite::Result<u64> {
    let next = count(tx)? + 1;
    tx.execute("INSERT OR REPLACE INTO kv VALUES ('s', 'n', x'', ?1)", [int(next)])?;
    Ok(next)
}

#[tokio::test]
async fn what_another_host_writes_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    assert!(State::open_to_read(dir.path()).unwrap().is_none(), "nothing is there yet");
    let first = open(dir.path());
    first.write(put("one", 1)).await.unwrap();
    let second = State::open_to_read(dir.path()).unwrap().unwrap();
    assert_eq!(keys(&second).await, ["one"]);
    first.write(put("two", 1)).await.unwrap();
    assert_eq!(keys(&second).await, ["one", "two"]);
    assert!(matches!(second.write(put("three", 1)).await, Err(StateError::Unwritable { .. })));
    second.flush().await.unwrap();
    drop(first);
    assert_eq!(keys(&second).await, ["one", "two"], "it outlives the writer");
    drop(second);
    assert_eq!(keys(&open(dir.path())).await, ["one", "two"]);
}
