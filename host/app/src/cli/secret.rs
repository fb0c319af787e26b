use std::io::Read as _;

use ringfence_core::Error;
use ringfence_core::capability::secrets::KeyPlace;
use secrecy::SecretString;

use super::Context;
use crate::trouble::Trouble;
use crate::ui::table;

/// Keep secrets that skills may use and never see
///
/// A skill writes `{{secret:NAME}}` into a header of a request; the host fills it in on the way out, for the servers that
/// the secret is bound to and for the skills that you granted it to (`ringfence grant SKILL secrets=NAME`).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Keep a secret, or put a new value in its place
    Set(Set),
    /// Show the names of the secrets that are kept, and where each may be sent; never a value
    List,
    /// Forget a secret
    Remove {
        /// Its name
        name: String,
    },
    /// Move the key that encrypts the secrets into the system's keyring, or out of it into a file that only you can read
    MoveKey {
        /// Where to
        to: To,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum To {
    Keyring,
    File,
}

#[derive(Debug, clap::Args)]
struct Set {
    /// A name such as GITHUB_TOKEN: 1 to 64 of A-Z, a-z, 0-9, _ and -
    name: String,
    /// A server that it may be sent to, such as api.github.com; can be given more than once
    #[arg(long = "host", value_name = "HOST", required = true)]
    hosts: Vec<String>,
    /// Take the value out of this environment variable; otherwise it is asked for, or read from standard input
    #[arg(long, value_name = "VARIABLE")]
    from_env: Option<String>,
}

/// Most bytes that are read: more is no token.
const MOST: u64 = 64 << 10;

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    match &args.verb {
        Verb::Set(set) => keep(set, context).await,
        Verb::List => list(context).await,
        Verb::Remove { name } => {
            let host = context.host().await?;
            host.remove_secret(name).await?;
            host.close().await?;
            crate::ui::print_line(&format!("{name} is forgotten"))
        }
        Verb::MoveKey { to } => {
            let host = context.host().await?;
            let place = host.move_secrets_key(match to {
                To::Keyring => KeyPlace::Keyring,
                To::File => KeyPlace::File,
            });
            let place = place.await?;
            host.close().await?;
            crate::ui::print_line(&format!("the key of the secrets is {place}"))
        }
    }
}

async fn keep(set: &Set, context: &Context) -> Result<(), Error> {
    let value = value(set, context)?;
    let host = context.host().await?;
    let kept = host.set_secret(&set.name, &value, &set.hosts).await?;
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&kept);
    }
    crate::ui::print_line(&format!("{} is kept for {}", kept.name, kept.hosts.join(", ")))
}

/// The value: never an argument, which every program on this machine could read.
fn value(set: &Set, context: &Context) -> Result<SecretString, Error> {
    if let Some(variable) = &set.from_env {
        let missing = || {
            Trouble::new(
                "secret-invalid",
                format!("the environment variable `{}` is not set, or is no text", crate::ui::printable(variable)),
                "set it, or leave `--from-env` out and give the value on standard input",
            )
        };
        return std::env::var(variable).map(SecretString::from).map_err(|_| missing());
    }
    if crate::ui::can_ask() && !context.json() {
        let asked = inquire::Password::new(&format!("The value of {}:", crate::ui::printable(&set.name)))
            .with_display_mode(inquire::PasswordDisplayMode::Hidden)
            .without_confirmation()
            .prompt();
        return asked.map(SecretString::from).map_err(|_| {
            Trouble::new("cancelled", "nobody gave a value, so nothing was kept", "run it again when you like")
        });
    }
    let mut text = String::new();
    std::io::stdin().lock().take(MOST).read_to_string(&mut text).map_err(|error| {
        Trouble::new("secret-invalid", format!("the value cannot be read from standard input: {error}"), "give text")
    })?;
    // One line end, as `echo` and editors leave it.
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(SecretString::from(line.strip_suffix('\r').unwrap_or(line)))
}

async fn list(context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let kept = host.secrets();
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&kept);
    }
    if kept.is_empty() {
        crate::ui::note("no secret is kept; `ringfence secret set NAME --host HOST` keeps one");
        return Ok(());
    }
    let mut table = table::table(["NAME", "MAY BE SENT TO", "CHANGED"]);
    for one in kept {
        table.add_row([one.name.to_string(), one.hosts.join(", "), one.changed.strftime("%Y-%m-%d").to_string()]);
    }
    crate::ui::print(&table::text(&table))
}
