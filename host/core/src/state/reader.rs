//! Threads that read, each with its own connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{StateError, schema};
use crate::sync::mpsc::{Receiver, Sender, channel};
use crate::sync::thread::{self, Builder, JoinHandle};
use crate::sync::{Mutex, PoisonError};

/// Enough that one slow read does not hold up the next. More would not help: reads are short.
const THREADS: usize = 2;

type Job = Box<dyn FnOnce(&Connection) + Send>;

pub(super) struct Readers {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    path: PathBuf,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readers")
    }
}

impl Readers {
    pub(super) fn start(path: &Path) -> Result<Self, StateError> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::with_capacity(THREADS);
        for _ in 0..THREADS {
            let (db, queue) = (schema::open_reader(path)?, Arc::clone(&queue));
            let thread = Builder::new().name("state-reader".into()).spawn(move || serve(&db, &queue));
            threads.push(thread.map_err(|error| StateError::io(path, &error))?);
        }
        Ok(Self { jobs: Some(jobs), threads, path: path.to_owned() })
    }

    pub(super) fn read<T, F>(&self, act: F) -> oneshot::Receiver<Result<T, StateError>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let path = self.path.clone();
        let job: Job = Box::new(move |db| {
            let done = match catch_unwind(AssertUnwindSafe(|| act(db))) {
                Ok(done) => done.map_err(|error| StateError::sqlite(&path, &error)),
                Err(_) => Err(StateError::Failed { path, reason: "a read panicked".into() }),
            };
            let _ = reply.send(done);
        });
        if let Some(jobs) = &self.jobs {
            // Where the threads are gone the reply is dropped with the job, and the caller sees that.
            let _ = jobs.send(job);
        }
        result
    }
}

fn serve(db: &Connection, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(db),
            Err(_) => return,
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
