//! Files as WASI's streams. Never wasmtime's `AsyncWriteStream`, whose empty writes grow the host's memory in this version
//! (GHSA-5m8g-xhq4-4h93): here an empty write is nothing, and one write at a time is under way.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::act::{CHUNK, Opened};
use super::bindings::wasi::filesystem::types::ErrorCode;
use super::disk::{Disk, Work};

fn failed(code: ErrorCode) -> StreamError {
    StreamError::LastOperationFailed(code.into())
}

/// A file that is read from a place on.
pub(super) struct Input {
    disk: Arc<Disk>,
    file: Arc<Opened>,
    at: u64,
    state: Reading,
}

enum Reading {
    Idle,
    Waiting(Work<Vec<u8>>),
    Ready(Bytes),
    Failed(ErrorCode),
    Ended,
}

impl Input {
    pub(super) fn new(disk: Arc<Disk>, file: Arc<Opened>, at: u64) -> Self {
        Self { disk, file, at, state: Reading::Idle }
    }

    fn start(&mut self, size: usize) {
        let (file, at) = (Arc::clone(&self.file), self.at);
        self.state = Reading::Waiting(self.disk.start(move || file.read(size, at)));
    }

    async fn wait(&mut self) {
        if let Reading::Waiting(work) = &mut self.state {
            self.state = match work.done().await {
                Ok(bytes) if bytes.is_empty() => Reading::Ended,
                Ok(bytes) => Reading::Ready(bytes.into()),
                Err(code) => Reading::Failed(code),
            };
        }
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        match &mut self.state {
            Reading::Idle if size > 0 => {
                self.start(size);
                Ok(Bytes::new())
            }
            Reading::Idle | Reading::Waiting(_) => Ok(Bytes::new()),
            Reading::Ready(bytes) => {
                let part = bytes.split_to(size.min(bytes.len()));
                self.at = self.at.saturating_add(part.len() as u64);
                if bytes.is_empty() {
                    self.state = Reading::Idle;
                }
                Ok(part)
            }
            Reading::Failed(code) => {
                let code = *code;
                self.state = Reading::Ended;
                Err(failed(code))
            }
            Reading::Ended => Err(StreamError::Closed),
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        if matches!(self.state, Reading::Idle) && size > 0 {
            self.start(size);
        }
        self.wait().await;
        self.read(size)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        if matches!(self.state, Reading::Idle) {
            self.start(CHUNK);
        }
        self.wait().await;
    }
}

/// A file that is written, from a place on or always at its end.
pub(super) struct Output {
    disk: Arc<Disk>,
    file: Arc<Opened>,
    /// None: at the end.
    at: Option<u64>,
    state: Writing,
}

enum Writing {
    Idle,
    Waiting(Work<u64>),
    Failed(ErrorCode),
    Closed,
}

impl Output {
    pub(super) fn new(disk: Arc<Disk>, file: Arc<Opened>, at: Option<u64>) -> Self {
        Self { disk, file, at, state: Writing::Idle }
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        match self.state {
            Writing::Idle if bytes.is_empty() => Ok(()),
            Writing::Idle if bytes.len() <= CHUNK => {
                let (file, at) = (Arc::clone(&self.file), self.at);
                self.state = Writing::Waiting(self.disk.start(move || file.write(&bytes, at)));
                Ok(())
            }
            Writing::Closed => Err(StreamError::Closed),
            _ => Err(StreamError::trap("a write of more than `check-write` has allowed")),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.check_write().map(drop)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match self.state {
            Writing::Idle => Ok(CHUNK),
            Writing::Waiting(_) => Ok(0),
            Writing::Failed(code) => {
                self.state = Writing::Closed;
                Err(failed(code))
            }
            Writing::Closed => Err(StreamError::Closed),
        }
    }

    /// What was begun is written before the handle is gone, so that the next one finds it.
    async fn cancel(&mut self) {
        self.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        if let Writing::Waiting(work) = &mut self.state {
            self.state = match work.done().await {
                Ok(end) => {
                    self.at = self.at.map(|_| end);
                    Writing::Idle
                }
                Err(code) => Writing::Failed(code),
            };
        }
    }
}
