//! Grants as a person writes and reads them: `model=default,fast kv files=docs:./notes`.

use std::collections::BTreeSet;

use ringfence_core::Error;
use ringfence_core::policy::{GRANTABLE, Grantable, Grants, Requests};

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

/// Of what a skill was granted, what it can use: what its manifest requests.
fn effective(requests: &Requests, held: &Grants) -> Grants {
    fn of<G: Grantable>(request: Option<&G::Request>, held: Option<&G>) -> Option<G> {
        G::effective(request?, &[held?])
    }
    Grants {
        files: of(requests.files.as_ref(), held.files.as_ref()),
        http: of(requests.http.as_ref(), held.http.as_ref()),
        kv: of(requests.kv.as_ref(), held.kv.as_ref()),
        // Without a name a grant of models holds nothing.
        model: of(requests.model.as_ref(), held.model.as_ref()).filter(|grant| !grant.models.is_empty()),
        secrets: of(requests.secrets.as_ref(), held.secrets.as_ref()),
        tools: of(requests.tools.as_ref(), held.tools.as_ref()),
        user: of(requests.user.as_ref(), held.user.as_ref()),
    }
}

/// What a person is told of a skill's grants where its manifest is known: what it can use, and for each grant that its manifest does not
/// request what became of that.
pub(crate) fn told(skill: &str, held: &Grants, requests: &Requests) -> (String, Vec<String>) {
    let usable = effective(requests, held);
    let line = match usable.words().is_empty() && !held.words().is_empty() {
        true => format!("{skill} may use nothing of what it was granted"),
        false => sentence(skill, &usable),
    };
    let usable = usable.by_capability();
    let of = |capability: &str| {
        let words = usable.iter().find(|(name, _)| *name == capability).map(|(_, words)| words.join(" "));
        words.filter(|words| !words.is_empty())
    };
    let notes = held.by_capability().into_iter().filter_map(|(capability, words)| {
        let granted = words.join(" ");
        let asks = format!("its manifest asks for it in `[permissions.{capability}]`");
        match of(capability) {
            None if granted.is_empty() => None,
            None => Some(format!("`{granted}` is kept, but {skill} cannot use it until {asks}")),
            Some(usable) if items(&granted).is_subset(&items(&usable)) => None,
            Some(usable) => {
                Some(format!("`{granted}` is kept, but {skill} can use no more of it than `{usable}` until {asks}"))
            }
        }
    });
    (line, notes.collect())
}

/// The parts of a grant's words, in whatever order they stand.
fn items(words: &str) -> BTreeSet<&str> {
    words.split_whitespace().flat_map(|word| word.split_once('=').map_or(word, |(_, list)| list).split(',')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(text: &str) -> Requests {
        toml::from_str(text).unwrap()
    }

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
    fn what_a_manifest_does_not_request_is_kept_and_said() {
        let reads = requests("[model]\nmodels = [\"fast\", \"default\"]\nreason = \"r\"\n");
        let tell = |words: &[&str], requests: &Requests| told("x", &read(words, None).unwrap(), requests);
        let all = ("x may use: model=fast,default".to_owned(), Vec::new());
        assert_eq!(tell(&["model=default,fast"], &reads), all, "whatever the order");
        let (line, notes) = tell(&["model=default", "kv"], &reads);
        assert_eq!(line, "x may use: model=default");
        let kv = "`kv` is kept, but x cannot use it until its manifest asks for it in `[permissions.kv]`";
        assert_eq!(notes, [kv]);
        assert_eq!(
            tell(&["kv"], &Requests::default()),
            ("x may use nothing of what it was granted".into(), vec![kv.to_owned()])
        );
        let (line, notes) = tell(&["model=default,smart"], &reads);
        assert_eq!(line, "x may use: model=default");
        assert!(
            notes[0].starts_with("`model=default,smart` is kept, but x can use no more of it than `model=default`")
        );
        let (line, notes) = tell(&["model=smart"], &reads);
        assert_eq!((line.as_str(), notes.len()), ("x may use nothing of what it was granted", 1));
        assert_eq!(tell(&[], &reads), ("x has been granted nothing".into(), Vec::new()));
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
