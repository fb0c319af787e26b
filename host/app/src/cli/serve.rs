//! `ringfence serve`: the host for other programs, until Ctrl-C.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ringfence_core::Error;
use serde_json::json;

use super::{Context, follow};
use crate::http::{self, App, Listener, Names, Setup, TlsFiles, Tokens};
use crate::trouble::Trouble;

/// Where a server listens that was told nothing.
const ADDRESS: &str = "127.0.0.1:7420";

/// Serve skills to other programs by HTTP
///
/// Programs call the tools of all installed skills, with a token that is made once and kept in a file of this user's. Only this machine
/// can reach the server, unless it is told to listen elsewhere, which it does with TLS alone. Ctrl-C lets calls end that run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = ADDRESS)]
    listen: String,

    /// The certificate, with those above it, as a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Its private key as a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Another name by which clients reach this server
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    /// Most connections at once
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_connections: u32,

    /// How long calls may go on after Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain_seconds: u32,

    /// Let everybody who reaches the server read /metrics
    #[arg(long)]
    open_metrics: bool,

    /// Offer MCP clients only two tools, one that finds tools and one that calls them, for clients that read the list once
    #[arg(long)]
    meta_tools: bool,
}

pub(super) async fn run(args: &Args, context: &Arc<Context>) -> Result<(), Error> {
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
    let listen = address(&args.listen)?;
    let names = Names::new(listen, &args.allow_host)?;
    let door = Listener::tcp(listen, tls.as_ref()).await?;
    let url = door.url().unwrap_or_default();
    let host = context.full_host().await?;
    let dirs = &context.config.dirs;
    let tokens = Tokens::open(&dirs.state)?;
    let mut listeners = vec![door];
    match Listener::control(&dirs.state) {
        Ok(control) => listeners.push(control),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            crate::ui::note("another server of yours has the control socket; this one is reached by its port alone");
        }
        // A path may be too long for a socket.
        Err(error) => crate::ui::note(&format!("no control socket: {error}; this server is reached by its port alone")),
    }
    made_room(args.max_connections);
    tell(&url, &tokens, context)?;
    let app = App::new(Setup {
        host: host.clone(),
        tokens,
        names,
        connections: args.max_connections as usize,
        invocations: context.config.settings.engine.concurrent as usize,
        open_metrics: args.open_metrics,
        meta_tools: args.meta_tools,
        hidden: context.config.own_paths(),
    });
    let drain = Duration::from_secs(args.drain_seconds.into());
    let _following = follow::in_background(&host, context);
    let served = http::serve(app, listeners, context.cancel.clone(), drain).await;
    let closed = host.close().await;
    served.and(closed)
}

/// An address of this machine with a port. A name could mean many, all but one: nobody is asked what it means.
fn address(text: &str) -> Result<SocketAddr, Error> {
    let ip = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    ip.parse().map_err(|_| {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
        let (host, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
        let hint = if rest.parse::<u16>().is_ok() || (host.is_empty() && port.parse::<u16>().is_ok()) {
            format!("write `--listen 127.0.0.1:{}`", rest.trim_start_matches(':'))
        } else if rest.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_ipv6()) {
            format!("write the port behind it, as in `--listen [{rest}]:7420`")
        } else if rest.parse::<std::net::IpAddr>().is_ok() || rest == "localhost" {
            format!("write the port behind it, as in `--listen {rest}:7420`")
        } else if rest != text && address(rest).is_ok() {
            format!("write `--listen {rest}`")
        } else {
            "write an IP address of this machine and a port, as in `--listen 127.0.0.1:7420`; a name by which clients reach it goes into \
             `--allow-host`"
                .to_owned()
        };
        Trouble::new("usage", format!("`--listen {text}` is not an address with a port"), hint)
    })
}

/// Where it is reached, and which files hold the tokens: never what they are.
fn tell(url: &str, tokens: &Tokens, context: &Context) -> Result<(), Error> {
    let (client, admin) = (tokens.client_file().display(), tokens.admin_file().display());
    if context.json() {
        return crate::ui::print_json(&json!({
            "url": url, "token-file": client.to_string(), "admin-token-file": admin.to_string(),
        }));
    }
    crate::ui::print_line(&format!(
        "serving {url}\nthe token of clients is in {client}\nthe token of admins is in {admin}"
    ))
}

/// Lets the system give as many files to this process as connections need, as far as it may.
fn made_room(connections: u32) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// What a host has open beside connections: its state, requests of skills.
    const OTHERS: u64 = 1_024;
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::from(connections) + OTHERS;
    let current = limit.maximum.map_or(wanted, |most| wanted.min(most));
    if limit.current.is_some_and(|now| now < current) {
        // Then connections beyond it wait until others end.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum });
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn localhost_is_this_machine_and_what_is_no_address_is_refused_with_one() {
        for (good, means) in [
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::1]:7420", "[::1]:7420"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("localhost:7420", "127.0.0.1:7420"),
        ] {
            assert_eq!(address(good).unwrap().to_string(), means);
        }
        for (bad, hint) in [
            ("7420", "`--listen 127.0.0.1:7420`"),
            (":7420", "`--listen 127.0.0.1:7420`"),
            ("127.0.0.1", "`--listen 127.0.0.1:7420`"),
            ("localhost", "`--listen localhost:7420`"),
            ("::1", "`--listen [::1]:7420`"),
            ("http://127.0.0.1:80/", "`--listen 127.0.0.1:80`"),
            ("http://localhost:80", "`--listen localhost:80`"),
            ("skills.example.com:443", "`--allow-host`"),
            ("localhost:70000", "an IP address of this machine"),
            ("", "an IP address of this machine"),
        ] {
            let error = address(bad).unwrap_err();
            assert!(error.kind() == "usage" && error.to_string().contains(&format!("`--listen {bad}`")), "{error}");
            assert!(error.hint().contains(hint), "{bad}: {}", error.hint());
        }
    }
}
