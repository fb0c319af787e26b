//! A skill that is called several times by one invocation and by another one, while it is installed anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::clock::Clock;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Check, beside, join};
use crate::catalog::loaded::LoadedSkills;
use crate::catalog::tool::Tool;
use crate::catalog::{Generation, SkillRef};
use crate::ground::{one_of, turn, unless};
use crate::invocation::Kin;
use crate::policy::manifest::Manifest;

pub(super) const CHECK: Check = Check {
    name: "generation",
    holds: "all calls of one invocation see one generation, and see it whole; each file is loaded once at a time",
    body,
};

const SKILL: &str = "skill";

/// A host's installed skills.
#[derive(Default)]
struct Installed {
    /// The digest in the index.
    current: Mutex<&'static str>,
    loaded: LoadedSkills,
    /// How many loads of each file are under way.
    under_way: Mutex<HashMap<&'static str, u32>>,
    /// How often each was loaded to the end.
    done: Mutex<HashMap<&'static str, u32>>,
}

/// One load of a file, also one that nobody waits for any more.
struct Loading<'a>(&'a Installed, &'static str);

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        *self.0.under_way.lock().unwrap().entry(self.1).or_default() -= 1;
    }
}

impl Installed {
    /// The skill as a family knows it, as `invocation/nested.rs` finds it.
    async fn skill(&self, kin: &Kin) -> Result<SkillRef, &'static str> {
        if let Some(pinned) = kin.get(SKILL) {
            return Ok(pinned);
        }
        let digest = *self.current.lock().unwrap();
        turn();
        let loaded = self.loaded.get(digest, || self.load(digest)).await?;
        Ok(kin.pin(&loaded))
    }

    async fn load(&self, digest: &'static str) -> Result<SkillRef, &'static str> {
        {
            let mut under_way = self.under_way.lock().unwrap();
            let now = under_way.entry(digest).or_default();
            *now += 1;
            // The first file is forgotten while it may still be on its way.
            assert!(*now <= if digest == "old" { 2 } else { 1 }, "`{digest}` is loaded {now} times at once");
        }
        let _loading = Loading(self, digest);
        shuttle::future::yield_now().await;
        if one_of(&[true, false, false]) {
            return Err("the file could not be read");
        }
        *self.done.lock().unwrap().entry(digest).or_default() += 1;
        let (digest, manifest, tools) = (digest.into(), Manifest(digest.to_owned()), vec![Tool(digest.to_owned())]);
        Ok(SkillRef::new(SKILL, Generation { digest, manifest, tools }))
    }
}

fn body() {
    let clock = Clock::start();
    let io = Handle::of(1);
    let installed = Arc::new(Installed { current: Mutex::new("old"), ..Installed::default() });
    let gives_up = CancellationToken::new();
    let (family, other) = (Arc::new(Kin::new()), Arc::new(Kin::new()));
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut threads = Vec::new();
    for (n, kin) in [&family, &family, &family, &other].into_iter().enumerate() {
        let (installed, kin, seen, token) =
            (Arc::clone(&installed), Arc::clone(kin), Arc::clone(&seen), gives_up.clone());
        threads.push(beside(&io, async move {
            let found = installed.skill(&kin);
            let found = if n == 0 { unless(&token, found).await } else { Some(found.await) };
            let Some(Ok(skill)) = found else { return };
            let generation = (skill.digest(), skill.manifest().0, skill.tools()[0].0.clone());
            assert!(generation.0 == generation.1 && generation.1 == generation.2, "halves of two: {generation:?}");
            let again = installed.skill(&kin).await.expect("it is pinned");
            assert_eq!(again.digest(), generation.0, "it changed in the middle of an invocation");
            if n < 3 {
                seen.lock().unwrap().push(generation.0);
            }
        }));
    }
    threads.push(beside(&io, async move {
        turn();
        *installed.current.lock().unwrap() = "new";
        gives_up.cancel();
        installed.loaded.forget("old");
        turn();
        assert!(installed.done.lock().unwrap().get("new").copied().unwrap_or_default() <= 1, "loaded twice");
    }));
    join(threads);
    let seen = seen.lock().unwrap();
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "calls of one invocation saw {seen:?}");
    clock.stop();
}
