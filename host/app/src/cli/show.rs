use clap_complete::engine::ArgValueCompleter;
use ringfence_core::policy::Grants;
use ringfence_core::{Error, Host, SkillRef};

use super::Context;
use super::completions::Skills;
use super::consent::{self, Changes};
use super::target::Target;
use crate::grants;
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Show a skill: its tools, what it asks for, and what it has been granted
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An installed skill, a folder or a .wasm file
    #[arg(add = ArgValueCompleter::new(Skills))]
    skill: String,
    /// Print its README instead
    #[arg(long)]
    readme: bool,
    /// Print its licence instead
    #[arg(long, conflicts_with = "readme")]
    license: bool,
    /// Print the instructions of its SKILL.md instead: how a model is to use it
    #[arg(long, conflicts_with_all = ["readme", "license"])]
    instructions: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let line = Line::new(context.quiet);
    let host = context.host().await?;
    let target = Target::find(&args.skill)?;
    let skill = target.load(&host, context, &line).await?;
    line.clear();
    if args.readme || args.license || args.instructions {
        let texts = target.texts(&host, &skill).await?;
        let (what, text) = match (args.readme, args.license) {
            (true, _) => ("README", texts.readme),
            (_, true) => ("licence", texts.license),
            _ => ("instructions", texts.instructions),
        };
        let text = text.ok_or_else(|| none(&args.skill, what))?;
        crate::ui::print(&if text.ends_with('\n') { text } else { text + "\n" })?;
        return host.close().await;
    }
    // What a name leads to may have to be asked over the network.
    context.unless_cancelled(print(&host, &skill, None, context)).await?;
    host.close().await
}

fn none(skill: &str, what: &str) -> Error {
    let skill = crate::ui::printable(skill);
    Trouble::new(
        "not-found",
        format!("the package of {skill} has no {what} in it"),
        "`ringfence build` packs README.md, LICENSE and SKILL.md of the skill's folder",
    )
}

/// The skill in plain words; JSON for programs, with how it differs from the version before it where it has just taken its place.
pub(super) async fn print(
    host: &Host,
    skill: &SkillRef,
    changes: Option<Changes>,
    context: &Context,
) -> Result<(), Error> {
    let (manifest, tools, held) = (skill.manifest(), skill.tools(), host.grants(skill.identity()));
    let open = host.missing(skill, &Grants::default()).await;
    let signer = host.signed_by(skill.identity()).await?;
    if context.json() {
        let mut shown = serde_json::json!({
            "identity": skill.identity(),
            "digest": skill.digest(),
            "signer": signer,
            "manifest": manifest,
            "tools": tools,
            "left-out": skill.left_out(),
            "grants": held,
            "missing": open,
        });
        if let Some(changes) = changes {
            shown["changes"] = serde_json::json!(changes);
        }
        return crate::ui::print_json(&shown);
    }
    let mut text = format!("{} {}\n{}\n", manifest.name, manifest.version, manifest.description);
    text += &format!("\ndigest   {}\n", skill.digest());
    if let Some(by) = &signer {
        let name = by.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        let revoked = if by.revoked { ", which you have revoked" } else { "" };
        text += &format!("signer   {name}{}{revoked}\n", by.signer);
    }
    for (word, value) in [("license", &manifest.license), ("homepage", &manifest.homepage)] {
        text += &value.as_ref().map(|value| format!("{word:8} {value}\n")).unwrap_or_default();
    }
    text += "\nTools\n";
    for tool in &tools {
        let first = tool.description.lines().next().unwrap_or_default();
        text += &format!("  {}: {first}\n", tool.name);
        text += &inputs(&tool.input_schema);
    }
    let left_out = skill.left_out();
    if !left_out.is_empty() {
        text += "\nLeft out\n";
    }
    for one in left_out {
        text += &format!("  {}: {}\n", one.function, one.reason);
    }
    text += &format!("\nWants to\n{}", consent::wishes(&manifest.permissions));
    text += &format!("\n{}\n", grants::sentence(&manifest.name, &held));
    text += &consent::commands(skill, &open);
    crate::ui::print(&crate::ui::printable(&text))
}

/// The names of a tool's inputs, on a line of their own.
fn inputs(schema: &serde_json::Value) -> String {
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let names = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| match required(name) {
        true => format!("{name} (required)"),
        false => name.clone(),
    });
    let names: Vec<_> = names.collect();
    if names.is_empty() { String::new() } else { format!("    takes: {}\n", names.join(", ")) }
}
