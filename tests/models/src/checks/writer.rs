//! Writes, posts, reads and a failure, from three threads, and the end of the state.

use rusqlite::{Connection, Transaction, params};

use super::{Check, beside, join};
use crate::ground::Ground;
use crate::state::State;

pub(super) const CHECK: Check = Check {
    name: "writer",
    holds: "what was given is written once, in the order of its giver; what was acknowledged can be read; what fails fails alone",
    body,
};

fn mark(who: &'static str, n: u32) -> impl FnMut(&Transaction<'_>) -> rusqlite::Result<()> + Send + 'static {
    move |tx| tx.execute("INSERT INTO marks (who, n) VALUES (?1, ?2)", params![who, n]).map(drop)
}

async fn is_there(state: &State, who: &'static str, n: u32) -> bool {
    let sql = "SELECT count(*) FROM marks WHERE who = ?1 AND n = ?2";
    let count = state.read(move |db| db.query_row(sql, params![who, n], |row| row.get::<_, u32>(0))).await;
    count.unwrap() == 1
}

fn body() {
    let ground = Ground::new();
    let (one, two, three) = (ground.state.clone(), ground.state.clone(), ground.state.clone());
    let threads = [
        beside(&ground.io, async move {
            one.post(mark("a", 1));
            one.write(mark("a", 2)).await.unwrap();
            assert!(is_there(&one, "a", 1).await && is_there(&one, "a", 2).await);
            // Queued before its future is asked for anything.
            drop(one.write(mark("a", 3)));
            one.post(mark("a", 4));
        }),
        beside(&ground.io, async move {
            two.write_first(mark("b", 1)).await.unwrap();
            assert!(is_there(&two, "b", 1).await);
            let fails = two.write(|tx| {
                mark("b", 99)(tx)?;
                Err::<(), _>(rusqlite::Error::QueryReturnedNoRows)
            });
            assert!(fails.await.is_err());
            two.post(mark("b", 2));
            two.write_large(mark("b", 3)).await.unwrap();
            assert!(is_there(&two, "b", 2).await && is_there(&two, "b", 3).await);
        }),
        beside(&ground.io, async move {
            three.post(mark("c", 1));
            three.flush().await.unwrap();
            assert!(is_there(&three, "c", 1).await);
            if let Err(mark) = three.post_ahead(b"c 2", mark("c", 2)) {
                three.write_first(mark).await.unwrap();
            }
            three.post(mark("c", 3));
        }),
    ];
    join(threads);
    let db = ground.close();
    for (who, last) in [("a", 4), ("b", 3), ("c", 3)] {
        assert_eq!(marks(&db, who), (1..=last).collect::<Vec<u32>>(), "what `{who}` wrote");
    }
}

fn marks(db: &Connection, who: &str) -> Vec<u32> {
    let mut query = db.prepare("SELECT n FROM marks WHERE who = ?1 ORDER BY seq").unwrap();
    query.query_map([who], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}
