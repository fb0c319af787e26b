//! What is left of a host that is killed in the middle of much work: `kill -9` of the real program, at random moments.
//!
//! A skill starts several writers of another, and each tells a server of every number as soon as it is kept. So the server
//! knows what was acknowledged, though nobody who knew it is alive any more, and each request is an act that leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ringfence_core::journal::audit::{Event, Filter};
use ringfence_core::{Call, Host, Settings};

use crate::clock::{median, ms, percentile};
use crate::guest;
use crate::options::{self, Random};
use crate::server::Server;
use crate::table::Table;

const KILLS: u64 = 50;
/// The command line has 8 slots, and one of them is the caller's.
const WRITERS: u64 = 7;
/// Values of each writer, as the guest has it.
const SLOTS: u64 = 64;
/// What one round writes begins here, times its number.
const ROUND: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// The server may still be reading what came before the kill.
const SETTLE: Duration = Duration::from_millis(50);

/// Without the limits that a skill has of requests.
const CONFIG: &str = "[http]\nrequests = 1000000000\nper-minute = 1000000000\n";

#[derive(Default)]
struct Found {
    writes: u64,
    lost_writes: u64,
    acts: u64,
    lost_intents: u64,
    broken_audits: u32,
    by_hand: u32,
    in_start: u32,
    restarts: Vec<Duration>,
}

pub(crate) fn measure(table: &mut Table) {
    let (kills, seed) = (options::number("kills").unwrap_or(KILLS), options::seed());
    eprintln!("  kills={kills} seed={seed}");
    let mut random = Random::new(seed);
    let server = Server::start();
    let runtime = guest::runtime();
    let home = tempfile::tempdir().unwrap();
    runtime.block_on(prepare(home.path(), &server));
    let (mut found, mut after) = (Found::default(), 0);
    for round in 1..=kills {
        let killed = kill(home.path(), &server, round, &mut random);
        found.in_start += u32::from(killed == Killed::Starting);
        let begun = Instant::now();
        let again = guest::program(home.path(), &["run", "keeper", "--tool", "get", "--key", "nothing"]);
        found.by_hand += u32::from(!works(again));
        found.restarts.push(begun.elapsed());
        found.broken_audits += u32::from(!works(guest::program(home.path(), &["audit", "verify"])));
        after = runtime.block_on(look(home.path(), &server, round, after, &mut found));
    }
    assert!(found.writes > kills && found.acts > kills, "there was no load: {} writes", found.writes);
    let none = |count: u64| (count as f64, 0.0, "");
    let rounds = format!("{kills} kills");
    let (writes, acts) = (format!("{} writes", found.writes), format!("{} acts", found.acts));
    table.goal("kills: acknowledged writes lost", writes, rounds.clone(), none(found.lost_writes));
    table.goal("kills: acts without their intent", acts, rounds.clone(), none(found.lost_intents));
    table.goal("kills: audits that do not verify", "", rounds.clone(), none(found.broken_audits.into()));
    table.goal("kills: restarts that needed a hand", "", rounds, none(found.by_hand.into()));
    let (middle, worst) = (median(&mut found.restarts), percentile(&mut found.restarts, 1.0));
    let say = |time| format!("{:.0} ms", ms(time));
    table.goal(
        "kills: the slowest first run after one",
        say(worst),
        format!("{} (median)", say(middle)),
        (worst.as_secs_f64(), 2.0, " s"),
    );
    table.note("kills: of them while it started", found.in_start.to_string(), "", format!("seed={seed}"));
}

async fn prepare(home: &Path, server: &Server) {
    std::fs::create_dir_all(home.join("config/ringfence")).unwrap();
    std::fs::write(home.join("config/ringfence/config.toml"), CONFIG).unwrap();
    let host = Host::open(guest::config(home, Settings::default())).await.unwrap();
    let http = format!("[permissions.http]\nallow = [\"{}\"]\n", server.base_url);
    let keeper = format!("[permissions.kv]\n{http}");
    // What is called may do what its caller may.
    let starter = format!("{keeper}[permissions.tools]\ntools = [\"keeper/writer\"]\n");
    let allow = format!("http={}", server.base_url);
    guest::installed(&host, home, "keeper", &keeper, &["kv", &allow]).await;
    guest::installed(&host, home, "starter", &starter, &["kv", &allow, "tools=keeper/writer"]).await;
    host.close().await.unwrap();
}

#[derive(PartialEq)]
enum Killed {
    Starting,
    Working,
}

/// Starts the program and kills it: one time in four while it starts, and else in the middle of its work.
fn kill(home: &Path, server: &Server, round: u64, random: &mut Random) -> Killed {
    let (url, count) = (format!("{}/kept/{round}", server.base_url), WRITERS.to_string());
    let from = (round * ROUND).to_string();
    let args = ["run", "starter", "--tool", "writers", "--url", &url, "--count", &count, "--from", &from];
    let mut child = guest::program(home, &args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let killed = if random.below(4) == 0 {
        std::thread::sleep(Duration::from_micros(random.below(200_000)));
        Killed::Starting
    } else {
        begun(server, round, &mut child);
        std::thread::sleep(Duration::from_micros(random.below(800_000)));
        Killed::Working
    };
    assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(SETTLE);
    killed
}

/// Waits until the first number is kept.
fn begun(server: &Server, round: u64, child: &mut Child) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let since = Instant::now();
    while runtime.block_on(server.kept(round)).is_empty() {
        assert!(since.elapsed() < PATIENCE, "it keeps nothing");
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn works(mut command: Command) -> bool {
    let done = command.stdin(Stdio::null()).output().unwrap();
    if !done.status.success() {
        eprintln!("  {}", String::from_utf8_lossy(&done.stderr));
    }
    done.status.success()
}

/// Counts what is missing. `after` is the newest record of the rounds before, and gives that of this one.
async fn look(home: &Path, server: &Server, round: u64, after: u64, found: &mut Found) -> u64 {
    let told: Vec<(u64, u64)> = server
        .kept(round)
        .await
        .iter()
        .filter_map(|line| {
            let (writer, number) = line.split_once('/')?;
            Some((writer.parse().ok()?, number.parse().ok()?))
        })
        .collect();
    let host = Host::open(guest::config(home, Settings::default())).await.unwrap();

    let keeper = host.load_installed("keeper", None).await.unwrap();
    let call = Call { tool: Some("numbers".into()), ..Call::new(keeper, r#"{"prefix":"w"}"#) };
    let done = host.invoke(call).await.unwrap();
    let kept: BTreeMap<&str, u64> = guest::said(&done)
        .lines()
        .filter_map(|line| {
            let (key, number) = line.split_once(' ')?;
            Some((key, number.parse().ok()?))
        })
        .collect();
    // A later number in the same place stands for those before it.
    let mut newest: BTreeMap<String, u64> = BTreeMap::new();
    for (writer, number) in &told {
        let place = newest.entry(format!("w{writer}-{}", number % SLOTS)).or_default();
        *place = (*place).max(*number);
    }
    found.writes += told.len() as u64;
    found.lost_writes +=
        newest.iter().filter(|(key, number)| kept.get(key.as_str()).is_none_or(|kept| kept < number)).count() as u64;

    let wanted =
        Filter { after: Some(after), capability: Some("http".into()), event: Some(Event::Intent), ..Filter::default() };
    let intents = host.audit().page(wanted, u32::MAX).await.unwrap();
    let subjects: BTreeSet<&str> = intents.iter().map(|record| record.subject.as_str()).collect();
    found.acts += told.len() as u64;
    let without = |(writer, number): &&(u64, u64)| {
        !subjects.contains(format!("http GET {}/kept/{round}/{writer}/{number}", server.base_url).as_str())
    };
    found.lost_intents += told.iter().filter(without).count() as u64;
    let last = intents.last().map_or(after, |record| record.seq);
    host.close().await.unwrap();
    last
}
