//! What the tests stand on: homes of their own, guests that are built once, providers on loopback, hosts in this process.

pub(crate) mod guests;
pub(crate) mod home;
pub(crate) mod hosts;
pub(crate) mod peer;
pub(crate) mod people;
pub(crate) mod process;
pub(crate) mod provider;
#[cfg(target_os = "linux")]
pub(crate) mod secret_service;
pub(crate) mod server;
pub(crate) mod servers;
pub(crate) mod terminal;
pub(crate) mod wat;

pub(crate) use guests::{probe, repository};
pub(crate) use home::{Done, Home};
pub(crate) use hosts::{TestHost, call};
pub(crate) use provider::{Provider, Reply};
pub(crate) use server::Server;
pub(crate) use terminal::Terminal;
