use ringfence_core::Error;
use ringfence_core::catalog::signature::Signer;

use super::Context;
use crate::trouble::Trouble;
use crate::ui::table;

/// Say whose signatures you trust
///
/// A publisher whom you trust may publish any skill to you; what it may do is still yours to grant. One who is removed is
/// remembered as revoked: nothing that they sign is installed from then on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Trust a publisher, by a key or by an identity that sigstore vouches for
    Add(Add),
    /// Show whom you trust, whom no longer, and which skill is whose
    List,
    /// Trust a publisher no longer
    Remove {
        /// The name that you gave them, or a key in full, also of somebody whom you never trusted
        publisher: String,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// What you call them
    name: String,
    /// Their public key, as they give it (`RW...`), or the path of a file with it
    #[arg(required_unless_present = "identity", conflicts_with_all = ["identity", "issuer"])]
    key: Option<String>,
    /// The identity that they sign with, such as an e-mail address or the address of a workflow
    #[arg(long, requires = "issuer")]
    identity: Option<String>,
    /// Who vouches for the identity, such as `https://accounts.google.com`
    #[arg(long, value_name = "URL", requires = "identity")]
    issuer: Option<String>,
    /// Trust them again after you had removed them
    #[arg(long)]
    restore: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    match &args.verb {
        Verb::Add(add) => trust(add, context).await,
        Verb::List => list(context).await,
        Verb::Remove { publisher } => remove(publisher, context).await,
    }
}

async fn trust(add: &Add, context: &Context) -> Result<(), Error> {
    let signer = signer(add.key.as_deref(), add.identity.as_deref(), add.issuer.as_deref())?;
    let signer = signer.ok_or_else(|| Trouble::input("neither a key nor an identity was given", "give one of them"))?;
    let host = context.host().await?;
    let publisher = host.trust(&add.name, &signer, add.restore).await?;
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&publisher);
    }
    crate::ui::print_line(&crate::ui::printable(&format!("{} is trusted: {signer}", publisher.name)))
}

async fn remove(word: &str, context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let gone = host.distrust(word).await?;
    let all = host.list().await?;
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&gone);
    }
    let theirs = all.iter().filter(|skill| gone.iter().any(|one| skill.signer.as_ref() == Some(&one.signer)));
    let theirs: Vec<&str> = theirs.map(|skill| skill.name.as_str()).collect();
    let mut text: Vec<String> = gone.iter().map(|one| format!("{} is trusted no longer", one.signer)).collect();
    if !theirs.is_empty() {
        text.push(format!("still installed, and signed by them: {}", theirs.join(", ")));
    }
    crate::ui::print_line(&crate::ui::printable(&text.join("\n")))
}

async fn list(context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let (publishers, pins) = (host.publishers().await?, host.pins().await?);
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&serde_json::json!({ "publishers": publishers, "pins": pins }));
    }
    if publishers.is_empty() && pins.is_empty() {
        crate::ui::note("nobody is trusted; `ringfence trust add NAME KEY` trusts a publisher");
        return Ok(());
    }
    let mut text = String::new();
    if !publishers.is_empty() {
        let mut table = table::table(["NAME", "SIGNS WITH", "SINCE", "REVOKED"]);
        for one in &publishers {
            let day = |at: jiff::Timestamp| at.strftime("%Y-%m-%d").to_string();
            let revoked = one.revoked.map(day).unwrap_or_default();
            table.add_row([one.name.clone(), one.signer.to_string(), day(one.since), revoked]);
        }
        text += &table::text(&table);
    }
    if !pins.is_empty() {
        let mut table = table::table(["SKILL", "IS OF", "AT LEAST"]);
        for pin in &pins {
            table.add_row([pin.skill.clone(), pin.signer.to_string(), pin.floor.to_string()]);
        }
        text += &format!("{}{}", if text.is_empty() { "" } else { "\n" }, table::text(&table));
    }
    crate::ui::print(&crate::ui::printable(&text))
}

/// Who is meant by a key (itself, or the path of its file) or an identity with its issuer.
pub(super) fn signer(key: Option<&str>, identity: Option<&str>, issuer: Option<&str>) -> Result<Option<Signer>, Error> {
    if let (Some(identity), Some(issuer)) = (identity, issuer) {
        return Ok(Some(Signer::Identity { identity: identity.to_owned(), issuer: issuer.to_owned() }));
    }
    let Some(key) = key else { return Ok(None) };
    match std::fs::metadata(key) {
        Ok(meta) if meta.is_file() && meta.len() <= MOST => {
            let path = std::path::Path::new(key);
            let text = std::fs::read_to_string(path).map_err(|error| Trouble::unreadable(path, &error))?;
            Ok(Some(Signer::parse(&text)?))
        }
        _ => Ok(Some(Signer::parse(key)?)),
    }
}

/// No file of a public key is longer.
const MOST: u64 = 16 << 10;
