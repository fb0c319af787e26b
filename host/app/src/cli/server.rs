//! Other MCP servers: added, looked at, approved.

mod login;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ringfence_core::Error;
use ringfence_core::ServerCandidate;
use ringfence_core::net::Network;
use ringfence_core::server::{Listed, Pinned, ServerReport, ServerSettings, ServerStanding, visible};

use super::{Context, consent};
use crate::config::servers;
use crate::trouble::Trouble;
use crate::ui::table;

/// Use the tools of other MCP servers
///
/// A server runs outside of the sandbox, with your rights or on somebody's machine. Nothing of it can be called before you have seen
/// its tools and approved them, and a tool that says something else of itself later is refused until you approve it again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

impl Args {
    /// Whether it takes a port of this machine.
    pub(super) fn listens(&self) -> bool {
        matches!(self.verb, Verb::Login(_))
    }
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Add a server by its command or its address, or servers from a file of another client; starts none
    Add(Add),
    /// Start or reach a server, see its tools, and say whether they may be called
    Approve(Approve),
    /// Show the servers and how they stand
    List,
    /// Show a server and what was approved of it; starts nothing
    Show {
        /// The server's name
        name: String,
    },
    /// Sign in to a server over HTTP that asks for it: shows the address for your browser, and keeps what comes of it as a secret
    Login(login::Args),
    /// Forget the tokens of a server
    Logout {
        /// The server's name
        name: String,
    },
    /// Remove a server and forget what was approved of it
    Remove {
        /// The server's name
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// What you call it: its tools are `NAME/TOOL`. With --from, the only one to take
    #[arg(required_unless_present = "from")]
    name: Option<String>,
    /// A file with `mcpServers`, as other clients have it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "env", "header", "cwd", "network", "client_id", "client_secret", "command"])]
    from: Option<PathBuf>,
    /// The address of a server that is reached by HTTP
    #[arg(long, conflicts_with_all = ["command", "env", "cwd"])]
    url: Option<String>,
    /// A header of each request to it; `{{secret:NAME}}` stands for a secret that you keep for its address
    #[arg(long, value_name = "NAME: VALUE", requires = "url")]
    header: Vec<String>,
    /// The client that you registered for signing in to it; default: this host registers itself
    #[arg(long, value_name = "ID", requires = "url")]
    client_id: Option<String>,
    /// The secret that you keep for that client, bound to the address that gives tokens (`ringfence secret set`)
    #[arg(long, value_name = "SECRET", requires = "client_id")]
    client_secret: Option<String>,
    /// A network that is not public and that its name, and what it names for signing in, may lead to
    #[arg(long, value_name = "NETWORK", requires = "url")]
    network: Vec<String>,
    /// A variable of its environment; `${NAME}` stands for one of yours
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// The folder that it works in
    #[arg(long, value_name = "FOLDER")]
    cwd: Option<PathBuf>,
    /// Take the place of one with this name
    #[arg(long)]
    replace: bool,
    /// The command that starts it, behind `--`
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Approve {
    /// The server's name
    name: String,
    /// Start it, and approve what can be approved, without a question
    #[arg(long)]
    yes: bool,
    /// Approve this tool alone; can be given more than once
    #[arg(long, value_name = "TOOL")]
    tool: Vec<String>,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    match &args.verb {
        Verb::Add(args) => add(args, context),
        Verb::Approve(args) => approve(args, context).await,
        Verb::List => context.unless_cancelled(list(context)).await,
        Verb::Show { name } => context.unless_cancelled(show(name, context)).await,
        Verb::Login(args) => context.unless_cancelled(login::run(args, context)).await,
        Verb::Logout { name } => context.unless_cancelled(login::out(name, context)).await,
        Verb::Remove { name } => context.unless_cancelled(remove(name, context)).await,
    }
}

fn add(args: &Add, context: &Context) -> Result<(), Error> {
    let file = servers::file(&context.config.user_file);
    let added = match (&args.from, &args.name) {
        (Some(from), only) => taken(from, only.as_deref())?,
        (None, Some(name)) => [(name.clone(), settings(args)?)].into(),
        (None, None) => BTreeMap::new(),
    };
    for (name, settings) in &added {
        settings.check(name)?;
        if context.config.settings.mcp_servers.contains_key(name) {
            let ours = servers::has(&file, name)?;
            if !ours || !args.replace {
                let help = if ours {
                    "give it another name, or `--replace` it"
                } else {
                    "it stands in your configuration; change it there"
                };
                return Err(Trouble::new("already-exists", format!("there is a server named `{name}`"), help));
            }
        }
    }
    servers::put(&file, &added)?;
    if context.json() {
        let all: BTreeMap<&String, String> = added.iter().map(|(name, settings)| (name, settings.place())).collect();
        return crate::ui::print_json(&all);
    }
    for (name, settings) in &added {
        crate::ui::print_line(&visible(&format!("added {name}: {}", settings.place())))?;
        crate::ui::note(&format!("nothing of it can be called yet; `ringfence server approve {name}` shows its tools"));
    }
    Ok(())
}

/// The servers of another client's file, under names of ours.
fn taken(from: &Path, only: Option<&str>) -> Result<BTreeMap<String, ServerSettings>, Error> {
    let mut all = BTreeMap::new();
    for (theirs, settings) in servers::load(from)? {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = theirs.chars().map(plain).collect();
        let name = name.trim_matches('-').to_owned();
        if only.is_some_and(|only| only != name && only != theirs) {
            continue;
        }
        if all.insert(name.clone(), settings).is_some() {
            return Err(Trouble::input(
                format!("two servers there would be named `{name}`"),
                "rename one of them in the file",
            ));
        }
    }
    if all.is_empty() {
        let which = only.map(|only| format!(" named `{}`", crate::ui::printable(only))).unwrap_or_default();
        return Err(Trouble::new(
            "not-found",
            format!("{} has no server{which}", from.display()),
            "look into the file",
        ));
    }
    Ok(all)
}

fn settings(args: &Add) -> Result<ServerSettings, Error> {
    let mut settings = ServerSettings {
        url: args.url.clone(),
        client_id: args.client_id.clone(),
        client_secret: args.client_secret.clone(),
        ..ServerSettings::default()
    };
    if let Some((command, rest)) = args.command.split_first() {
        settings.command = Some(absolute(command)?);
        settings.args = rest.to_vec();
    } else if args.url.is_none() {
        return Err(Trouble::input(
            "neither a command nor an address was given",
            "write the command behind `--`, or `--url URL`",
        ));
    }
    settings.cwd = args
        .cwd
        .as_ref()
        .map(|cwd| cwd.canonicalize().map_err(|error| Trouble::unreadable(cwd, &error)))
        .transpose()?;
    for text in &args.env {
        let (name, value) = pair(text, '=', "--env", "NAME=VALUE")?;
        settings.env.insert(name, value);
    }
    for text in &args.header {
        let (name, value) = pair(text, ':', "--header", "NAME: VALUE")?;
        settings.headers.insert(name, value);
    }
    for text in &args.network {
        let network = Network::try_from(text.clone());
        settings.networks.push(network.map_err(|reason| Trouble::input(reason, "write for example `192.168.1.0/24`"))?);
    }
    Ok(settings)
}

/// A path of a program is one from everywhere; a name is found by the search path when the server is started.
fn absolute(command: &str) -> Result<String, Error> {
    if !command.contains('/') {
        return Ok(command.to_owned());
    }
    let path = Path::new(command);
    let path = std::path::absolute(path).map_err(|error| Trouble::unreadable(path, &error))?;
    if !path.is_file() {
        return Err(Trouble::unreadable(&path, &std::io::ErrorKind::NotFound.into()));
    }
    Ok(path.display().to_string())
}

/// The value may be a key: it is not shown.
fn pair(text: &str, between: char, flag: &str, form: &str) -> Result<(String, String), Error> {
    match text.split_once(between) {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim_start().to_owned())),
        _ => Err(Trouble::input(format!("`{flag}` takes `{form}`"), format!("write {flag} '{form}'"))),
    }
}

async fn list(context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let all = host.servers();
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&all);
    }
    if all.is_empty() {
        crate::ui::note("no server is configured; `ringfence server add NAME -- COMMAND` adds one");
        return Ok(());
    }
    let mut table = table::table(["NAME", "TOOLS", "STANDING", "STARTED OR REACHED BY"]);
    for one in all {
        table.add_row([one.name.clone(), one.tools.len().to_string(), standing(&one).to_owned(), visible(&one.place)]);
    }
    crate::ui::print(&table::text(&table))
}

fn standing(report: &ServerReport) -> &'static str {
    match report.standing {
        _ if report.wrong.is_some() => "not set up right",
        ServerStanding::Approved => "approved",
        ServerStanding::NotApproved => "not approved",
        ServerStanding::Changed => "changed since it was approved",
    }
}

async fn show(name: &str, context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let report = host.server(name)?;
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&report);
    }
    let signed = if report.signed_in { "; signed in" } else { "" };
    let mut text = format!("{name}: {}\n{}{signed}", visible(&report.place), standing(&report));
    if let Some(wrong) = &report.wrong {
        text += &format!("\n{}; correct `mcp-servers.{name}`", visible(wrong));
    }
    if !report.version.is_empty() {
        text += &format!("; it called itself {}", visible(&report.version));
    }
    for one in &report.tools {
        text += &format!("\n\n{name}/{}\n{}\n  {}", one.tool.name, indented(&one.tool.description), one.fingerprint);
    }
    crate::ui::print_line(&text)
}

async fn remove(name: &str, context: &Context) -> Result<(), Error> {
    let file = servers::file(&context.config.user_file);
    let host = context.host().await?;
    let configured = host.server(name);
    // What was approved goes first: a server of that name that comes back is a new one.
    let approved = host.forget_server(name).await?;
    host.close().await?;
    let removed = servers::remove(&file, name)?;
    if let (Err(error), false, false) = (&configured, approved, removed) {
        return Err(Trouble::new("not-found", error.to_string(), error.hint()));
    }
    if context.json() {
        return crate::ui::print_json(&serde_json::json!({ "removed": removed, "forgotten": approved }));
    }
    let still = if removed || configured.is_err() { "" } else { "; it still stands in your configuration" };
    crate::ui::print_line(&format!("{name} can no longer be called{still}"))
}

const START: &str = "yes, start or reach it and show me its tools";
const NO: &str = "no";
const APPROVE: &str = "yes, let these be called";

async fn approve(args: &Approve, context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let done = decide(args, &host, context).await;
    // Whatever came of it: a server that was started is ended.
    let closed = host.close().await;
    let report = done?;
    closed?;
    if context.json() {
        return crate::ui::print_json(&report);
    }
    let names: Vec<String> = report.tools.iter().map(|one| format!("{}/{}", report.name, one.tool.name)).collect();
    crate::ui::print_line(&format!("approved: {}", names.join(" ")))
}

async fn decide(args: &Approve, host: &ringfence_core::Host, context: &Context) -> Result<ServerReport, Error> {
    let name = &args.name;
    let report = host.server(name)?;
    let asks = !args.yes;
    if asks && (!crate::ui::can_ask() || context.json()) {
        return Err(Trouble::new(
            "denied",
            format!("a person must see the tools of `{name}` and approve them, and nobody is there"),
            format!("run `ringfence server approve {name}` in a terminal, or add `--yes` where you know the server"),
        ));
    }
    crate::ui::note(&format!("{name} is started or reached by: {}", visible(&report.place)));
    if asks {
        crate::ui::note("It runs outside of the sandbox: what is started here has your rights.");
        agreed(consent::ask("Go on?", vec![START, NO], context).await?, START)?;
    }
    let candidate = context.unless_cancelled(host.consider_server(name)).await?;
    crate::ui::note(&presented(&candidate));
    if asks {
        crate::ui::note("These are the server's own words. A model reads them as if they were yours.");
        agreed(consent::ask("Approve them?", vec![APPROVE, NO], context).await?, APPROVE)?;
    }
    let only = (!args.tool.is_empty()).then_some(&args.tool[..]);
    context.unless_cancelled(host.approve_server(candidate, only)).await
}

fn agreed(answer: &str, yes: &str) -> Result<(), Error> {
    match answer == yes {
        true => Ok(()),
        false => Err(Trouble::new(
            "denied",
            "you did not approve it, so nothing was changed",
            "nothing of it can be called that was not before",
        )),
    }
}

/// All that a server says of its tools, whole, with everything in it to be seen.
fn presented(candidate: &ServerCandidate) -> String {
    let before = candidate.before();
    let mut text =
        format!("It calls itself {} and has {} tools.", visible(candidate.version()), candidate.tools().len());
    for one in candidate.tools() {
        text += &format!("\n\n{}", described(candidate.name(), one, &before));
    }
    for gone in before.iter().filter(|old| !candidate.tools().iter().any(|now| now.wire == old.wire)) {
        text += &format!("\n\n{}/{} was approved before, and is gone", candidate.name(), gone.tool.name);
    }
    text
}

fn described(server: &str, one: &Listed, before: &[Pinned]) -> String {
    let says = |name: &str| one.says.get(name);
    let named = one.tool.as_ref().map_or_else(|| visible(&one.wire), |tool| tool.name.clone());
    let standing = match before.iter().find(|old| old.wire == one.wire) {
        _ if one.refused.is_some() => "  REFUSED",
        None => "  new",
        Some(old) if old.fingerprint == one.fingerprint => "  as approved before",
        Some(_) => "  CHANGED since it was approved",
    };
    let mut text = format!("{server}/{named}{standing}");
    if let Some(reason) = &one.refused {
        text += &format!("\n  it cannot be approved: {}", visible(reason));
    }
    for (what, key) in [("title", "title"), ("description", "description")] {
        if let Some(said) = says(key).and_then(serde_json::Value::as_str) {
            text += &format!("\n  {what}:\n{}", indented(said));
        }
    }
    for (what, key) in [("input", "inputSchema"), ("output", "outputSchema"), ("annotations", "annotations")] {
        if let Some(value) = says(key) {
            text += &format!("\n  {what}: {}", shown(&value.to_string()));
        }
    }
    text
}

fn indented(text: &str) -> String {
    shown(text).lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Most bytes of one text that are shown. What is longer cannot be approved.
const SHOWN: usize = 64 << 10;

fn shown(text: &str) -> String {
    if text.len() <= SHOWN {
        return visible(text);
    }
    let cut = &text[..text.floor_char_boundary(SHOWN)];
    format!("{}... ({} bytes in all)", visible(cut), text.len())
}
