//! Grants as a person writes and reads them: `model=default,fast kv files=docs:./notes`.

use ringfence_core::Error;
use ringfence_core::policy::{GRANTABLE, Grants};

use crate::trouble::Trouble;

/// Reads words like `model=default,fast` and `kv`. `max_tokens` belongs to `model`.
pub(crate) fn parse(words: &[String], max_tokens: Option<u32>) -> Result<Grants, Error> {
    for word in words {
        known(word.split_once('=').map_or(word.as_str(), |(capability, _)| capability))?;
    }
    let mut grants = Grants::parse(words.iter().map(String::as_str))?;
    for folder in grants.files.iter_mut().flat_map(|files| files.folders.values_mut()) {
        // A grant means the same whatever the working directory is later.
        if let Ok(path) = std::path::absolute(&folder.path)
            && let Ok(path) = path.into_os_string().into_string()
        {
            folder.path = path;
        }
    }
    match (&mut grants.model, max_tokens) {
        (Some(model), most) => model.max_tokens = most,
        (None, Some(_)) => {
            return Err(Trouble::new(
                "grant-invalid",
                "`--max-tokens` limits a grant of `model`, and there is none",
                "write for example `model=default --max-tokens 2000`",
            ));
        }
        (None, None) => {}
    }
    Ok(grants)
}

/// Refuses a capability that does not exist, with the one that was probably meant.
pub(crate) fn known(capability: &str) -> Result<(), Error> {
    if GRANTABLE.contains(&capability) {
        return Ok(());
    }
    let near = crate::config::nearest(capability, GRANTABLE.iter().map(|name| (*name).to_owned()));
    let near = near.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
    Err(Trouble::new(
        "grant-invalid",
        format!("there is no capability `{}`", crate::ui::printable(capability)),
        format!("{near}capabilities are: {}; write for example `model=default kv`", GRANTABLE.join(", ")),
    ))
}

/// Refuses models that nobody has: most likely a typing error, and a grant that would never match.
pub(crate) fn check_models(grants: &Grants, aliases: &[String], providers: &[String]) -> Result<(), Error> {
    for name in grants.model.iter().flat_map(|model| &model.models) {
        let (known, word) = match name.split_once('/') {
            Some((provider, _)) => (providers, provider),
            None => (aliases, name.as_str()),
        };
        if known.iter().any(|known| known == word) {
            continue;
        }
        let near = crate::config::nearest(word, known.iter().cloned());
        let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let what = if name.contains('/') { "provider" } else { "alias" };
        return Err(Trouble::new(
            "grant-invalid",
            format!("`{}`: there is no {what} `{}`", crate::ui::printable(name), crate::ui::printable(word)),
            format!("{near}`ringfence models` lists what there is"),
        ));
    }
    Ok(())
}

/// One line for a person.
pub(crate) fn sentence(skill: &str, grants: &Grants) -> String {
    let words = grants.words();
    match words.is_empty() {
        true => format!("{skill} has been granted nothing"),
        false => format!("{skill} may use: {}", words.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str], most: Option<u32>) -> Result<Grants, Error> {
        parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), most)
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let grants = read(&["model=default,fast", "kv"], Some(500)).unwrap();
        assert_eq!(grants.words(), ["kv", "model=default,fast", "--max-tokens 500"]);
        assert_eq!(read(&["model"], None).unwrap().model.unwrap().models, ["default"]);
        assert_eq!(read(&[], None).unwrap(), Grants::default());
    }

    #[test]
    fn models_that_nobody_has_are_refused() {
        let (aliases, providers) = (["default".to_owned(), "fast".into()], ["openai".to_owned(), "offline".into()]);
        let check = |word: &str| check_models(&read(&[word], None).unwrap(), &aliases, &providers);
        for good in ["model=default,fast", "model=openai/*", "model=offline/extractive", "kv"] {
            check(good).unwrap();
        }
        let error = check("model=defualt").unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            ("grant-invalid", "`defualt`: there is no alias `defualt`")
        );
        assert!(error.hint().starts_with("did you mean `default`?"), "{}", error.hint());
        assert!(check("model=opnai/gpt").unwrap_err().to_string().contains("no provider `opnai`"));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(read(&["modle"], None).unwrap_err().hint().contains("`model`"));
        for wrong in [&["model="][..], &["kv=5"], &["files=/"]] {
            assert_eq!(read(wrong, None).unwrap_err().kind(), "grant-invalid", "{wrong:?}");
        }
        assert!(read(&["kv"], Some(5)).is_err());
    }
}
