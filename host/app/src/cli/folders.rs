//! Which folders of this machine a skill gets, where only the person at the terminal can say.

use inquire::Text;
use ringfence_core::Error;
use ringfence_core::capability::files::SOME_FOLDER;
use ringfence_core::policy::Missing;

use crate::trouble::Trouble;

/// What is missing, in the words of grants, with a folder of the person's choice wherever one was left open. A folder that the
/// skill can do without is left out where nobody names it; without anybody to ask, another one is an error.
pub(super) async fn chosen(missing: &[Missing], can_ask: bool) -> Result<Vec<String>, Error> {
    let mut whole = Vec::new();
    for one in missing {
        let open = one.grant.strip_prefix("files=").filter(|rest| rest.contains(SOME_FOLDER));
        let Some(open) = open else {
            whole.push(one.grant.clone());
            continue;
        };
        let word = crate::ui::printable(&one.grant);
        if !can_ask {
            if one.optional {
                crate::ui::note(&format!("`{word}` is not granted: it leaves open which folder it is"));
                continue;
            }
            return Err(Trouble::new(
                "denied",
                format!("`{word}` leaves open which folder it is"),
                "name it, for example `--allow files=docs:./notes`",
            ));
        }
        for part in open.split(',') {
            let (name, rest) = part.split_once(':').unwrap_or((part, ""));
            let mode = rest.strip_prefix(SOME_FOLDER).unwrap_or_default();
            let path = named(name, one.optional).await?;
            if !path.is_empty() || !one.optional {
                whole.push(format!("files={name}:{path}{mode}"));
            }
        }
    }
    Ok(whole)
}

async fn named(name: &str, optional: bool) -> Result<String, Error> {
    let none = if optional { " (nothing where it shall do without)" } else { "" };
    let question = format!("Which folder is `{}`?{none}", crate::ui::printable(name));
    let answer = tokio::task::spawn_blocking(move || Text::new(&question).prompt()).await;
    match answer {
        Ok(Ok(path)) => Ok(path.trim().to_owned()),
        _ => Err(Trouble::new("cancelled", "nobody answered, so nothing was run", "run it again when you like")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_leaves_nothing_open_asks_nobody() {
        let words = ["model=default", "files=docs:./notes:write", "kv"];
        let missing = words.map(|grant| Missing {
            capability: "any",
            grant: grant.into(),
            words: String::new(),
            reason: String::new(),
            risk: 0,
            optional: false,
        });
        assert_eq!(chosen(&missing, false).await.unwrap(), words);
    }
}
