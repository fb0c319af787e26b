//! Which folders of this machine a skill gets, where only the person at the terminal can say.

use inquire::Text;
use ringfence_core::Error;
use ringfence_core::capability::files::SOME_FOLDER;

use crate::trouble::Trouble;

/// The words of grants, with a folder of the person's choice wherever one was left open.
pub(super) async fn chosen(words: Vec<String>) -> Result<Vec<String>, Error> {
    let mut whole = Vec::new();
    for word in words {
        let open = word.strip_prefix("files=").filter(|rest| rest.contains(SOME_FOLDER)).map(str::to_owned);
        let Some(open) = open else {
            whole.push(word);
            continue;
        };
        if !crate::ui::can_ask() {
            return Err(Trouble::new(
                "denied",
                format!("`{}` leaves open which folder it is", crate::ui::printable(&word)),
                "name it, for example `--allow files=docs:./notes`",
            ));
        }
        for one in open.split(',') {
            let (name, rest) = one.split_once(':').unwrap_or((one, ""));
            let mode = rest.strip_prefix(SOME_FOLDER).unwrap_or_default().to_owned();
            let question = format!("Which folder is `{}`?", crate::ui::printable(name));
            let answer = tokio::task::spawn_blocking(move || Text::new(&question).prompt()).await;
            let Ok(Ok(path)) = answer else {
                return Err(Trouble::new(
                    "cancelled",
                    "nobody answered, so nothing was run",
                    "run it again when you like",
                ));
            };
            whole.push(format!("files={name}:{}{mode}", path.trim()));
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn what_leaves_nothing_open_asks_nobody() {
        let words = vec!["model=default".to_owned(), "files=docs:./notes:write".to_owned(), "kv".to_owned()];
        assert_eq!(super::chosen(words.clone()).await.unwrap(), words);
    }
}
