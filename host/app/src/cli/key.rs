use std::io::Read as _;

use ringfence_core::Error;
use ringfence_core::catalog::signature::Signer;
use secrecy::SecretString;

use super::Context;
use crate::trouble::Trouble;
use crate::ui::table;

/// Make and list the keys that you sign skills with
///
/// They are minisign's: `minisign` reads and makes the same. A secret key never leaves its file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a key, and print its public half
    New {
        /// Its name
        #[arg(default_value = "default")]
        name: String,
        /// Keep it without a password: whoever can read its file can sign
        #[arg(long)]
        no_password: bool,
    },
    /// Show the names and public halves of your keys
    List,
}

/// Most bytes that are read: more is no password.
const MOST: u64 = 4 << 10;

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    match &args.verb {
        Verb::New { name, no_password } => new(name, *no_password, context).await,
        Verb::List => list(context).await,
    }
}

async fn new(name: &str, no_password: bool, context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let password = if no_password { None } else { Some(password(name, true, context)?) };
    let made = host.make_key(name, password).await?;
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&made);
    }
    let word = made.key.word();
    crate::ui::print_line(&format!(
        "{name} is made: its secret half is {}\n\nIts public half, for all who may trust it:\n  {word}\n\n\
         They say `ringfence trust add YOUR-NAME {word}`",
        made.file.display()
    ))
}

async fn list(context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let keys = host.keys()?;
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&keys);
    }
    if keys.is_empty() {
        crate::ui::note("there is no key; `ringfence key new` makes one");
        return Ok(());
    }
    let mut table = table::table(["NAME", "PUBLIC KEY", "PASSWORD"]);
    for key in keys {
        let password = if key.password { "yes" } else { "no" };
        table.add_row([key.name, public(&key.key), password.to_owned()]);
    }
    crate::ui::print(&table::text(&table))
}

fn public(signer: &Signer) -> String {
    crate::ui::printable(&signer.word())
}

/// A password: asked for where a person sits at the terminal, read from standard input otherwise. Never an argument, which every
/// program on this machine could read.
pub(super) fn password(name: &str, new: bool, context: &Context) -> Result<SecretString, Error> {
    if crate::ui::can_ask() && !context.json() {
        let question = format!("The password of {}:", crate::ui::printable(name));
        let asked = inquire::Password::new(&question).with_display_mode(inquire::PasswordDisplayMode::Hidden);
        let asked =
            if new { asked.with_custom_confirmation_message("Once more:") } else { asked.without_confirmation() };
        let given = asked.prompt().map_err(|_| {
            Trouble::new("cancelled", "nobody gave a password, so nothing was done", "run it again when you like")
        })?;
        return checked(given);
    }
    let mut text = String::new();
    std::io::stdin().lock().take(MOST).read_to_string(&mut text).map_err(|error| {
        Trouble::new("key-invalid", format!("the password cannot be read from standard input: {error}"), "give text")
    })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    checked(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn checked(password: String) -> Result<SecretString, Error> {
    if password.is_empty() {
        let help = "type one, give it on standard input, or say `--no-password` when the key is made";
        return Err(Trouble::new("key-invalid", "the password is empty", help));
    }
    Ok(SecretString::from(password))
}
