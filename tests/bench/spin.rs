//! Whether anything starves while 64 guests spin.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::{median, ms, percentile};
use crate::guest::{self, Ground};
use crate::table::Table;

const GUESTS: usize = 64;
const CALLS: usize = 400;
const EVERY: Duration = Duration::from_millis(10);
/// How long nothing else is done, to know what this machine gives without any guest.
const CALM: Duration = Duration::from_secs(3);

pub(crate) fn measure(table: &mut Table) {
    let runtime = guest::runtime();
    runtime.block_on(async {
        let ground = Arc::new(Ground::open(None, |_| {}).await);
        guest::echoes(&ground, 50).await;
        let calm = Probes::start().await;
        tokio::time::sleep(CALM).await;
        let (mut calm_timer, mut calm_socket) = calm.stop().await;
        let mut calm_echo = guest::echoes(&ground, CALLS).await;

        let stop = tokio_util::sync::CancellationToken::new();
        let spinners: Vec<_> = (0..GUESTS)
            .map(|_| {
                let mut call = ground.call("spin", "{}");
                call.cancel = stop.clone();
                call.limits.cpu_seconds = Some(600);
                let host = ground.host.clone();
                tokio::spawn(async move { host.invoke(call).await.map(drop).map_err(|error| error.kind()) })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let probes = Probes::start().await;
        let caller = Arc::clone(&ground);
        // A little between the calls, so that they fall on all moments of the guests' turns.
        let echo = tokio::spawn(async move {
            let mut took = Vec::new();
            for n in 0..CALLS {
                took.append(&mut guest::echoes(&caller, 1).await);
                tokio::time::sleep(Duration::from_millis(3 + (n % 8) as u64)).await;
            }
            took
        });
        let mut echo = echo.await.unwrap();
        let (mut timer, mut socket) = probes.stop().await;
        stop.cancel();
        for spinner in spinners {
            assert_eq!(spinner.await.unwrap(), Err("cancelled"));
        }
        let say = |time| format!("{:.1} ms", ms(time));
        for (what, with, without) in [
            ("echo call", &mut echo, &mut calm_echo),
            ("timer of 10 ms, lateness", &mut timer, &mut calm_timer),
            ("ping on loopback", &mut socket, &mut calm_socket),
        ] {
            let p99 = percentile(with, 0.99);
            let goal = (ms(p99), 50.0, " ms");
            table.goal(format!("spin: {what}, p99"), say(p99), say(percentile(without, 0.99)), goal);
            table.note(format!("spin: {what}, median"), say(median(with)), say(median(without)), "");
        }
        trusted(table, &ground).await;
    });
}

/// What a timer meets at worst while a tool that has used next to nothing so far begins to spin, in as many calls.
async fn trusted(table: &mut Table, ground: &Ground) {
    for _ in 0..CALLS {
        ground.run("feign", r#"{"spins":false}"#).await;
    }
    let probes = Probes::start().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let spinners: Vec<_> = (0..GUESTS)
        .map(|_| {
            let mut call = ground.call("feign", r#"{"spins":true}"#);
            call.cancel = stop.clone();
            let host = ground.host.clone();
            tokio::spawn(async move { drop(host.invoke(call).await) })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (mut timer, _) = probes.stop().await;
    stop.cancel();
    for spinner in spinners {
        spinner.await.unwrap();
    }
    let worst = format!("{:.1} ms", ms(percentile(&mut timer, 1.0)));
    table.note("spin: timer of 10 ms, lateness at worst as trusted calls begin to spin", worst, "-", "");
}

/// A timer and a socket of the host's runtime, watched.
struct Probes {
    timer: tokio::task::JoinHandle<Vec<Duration>>,
    socket: tokio::task::JoinHandle<Vec<Duration>>,
    stop: tokio_util::sync::CancellationToken,
}

impl Probes {
    async fn start() -> Self {
        let stop = tokio_util::sync::CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut byte = [0];
            while peer.read_exact(&mut byte).await.is_ok() {
                peer.write_all(&byte).await.unwrap();
            }
        });
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.set_nodelay(true).unwrap();
        let socket = tokio::spawn(until(stop.clone(), async move || {
            tokio::time::sleep(EVERY).await;
            let before = Instant::now();
            peer.write_all(&[1]).await.unwrap();
            peer.read_exact(&mut [0]).await.unwrap();
            before.elapsed()
        }));
        let timer = tokio::spawn(until(stop.clone(), async || {
            let before = Instant::now();
            tokio::time::sleep(EVERY).await;
            before.elapsed().saturating_sub(EVERY)
        }));
        Self { timer, socket, stop }
    }

    async fn stop(self) -> (Vec<Duration>, Vec<Duration>) {
        self.stop.cancel();
        (self.timer.await.unwrap(), self.socket.await.unwrap())
    }
}

async fn until(stop: tokio_util::sync::CancellationToken, mut sample: impl AsyncFnMut() -> Duration) -> Vec<Duration> {
    let mut samples = Vec::new();
    while !stop.is_cancelled() {
        samples.push(sample().await);
    }
    samples
}
