//! A skill that is called while its component and its configuration are replaced, each by somebody else.

use std::sync::{Arc, Mutex};

use tokio::clock::Clock;
use tokio::runtime::Handle;

use super::{Check, beside, join};
use crate::catalog::live::LiveSkills;
use crate::catalog::tool::Tool;
use crate::catalog::{Generation, SkillRef, Standing};
use crate::ground::turn;
use crate::policy::manifest::Manifest;

pub(super) const CHECK: Check = Check {
    name: "reload",
    holds: "a call sees code, manifest and configuration of one moment; of two changes at once neither is lost",
    body,
};

const SKILL: &str = "skill";

/// Code `code` as it is configured.
fn generation(code: &str, configured: bool) -> Generation {
    let tools = vec![Tool(format!("{code} {configured}"))];
    Generation { digest: code.into(), manifest: Manifest(code.to_owned()), tools }
}

fn body() {
    let clock = Clock::start();
    let io = Handle::of(1);
    let live = Arc::new(LiveSkills::default());
    let held = live.enter(SkillRef::new(SKILL, generation("old", false)));
    let configured = Arc::new(Mutex::new(false));
    let mut threads = Vec::new();
    for _ in 0..2 {
        let skill = held.clone();
        threads.push(beside(&io, async move {
            let mut before = String::new();
            for _ in 0..2 {
                let now = skill.current();
                turn();
                let code = now.digest.as_ref().to_owned();
                assert_eq!(now.manifest.0, code, "code of one version and rights of another");
                assert!(now.tools[0].0.starts_with(&code), "configured for another version: {:?}", now.tools);
                assert!(!(before == "new" && code == "old"), "a version that was withdrawn answers");
                before = code;
            }
        }));
    }
    {
        let (live, configured) = (Arc::clone(&live), Arc::clone(&configured));
        threads.push(beside(&io, async move {
            for skill in live.of(SKILL) {
                let _changing = skill.change().await;
                let is = *configured.lock().unwrap();
                turn();
                skill.replace(Arc::new(generation("new", is)));
                skill.set_standing(Standing::Serving);
            }
        }));
    }
    {
        let (live, configured) = (Arc::clone(&live), Arc::clone(&configured));
        threads.push(beside(&io, async move {
            *configured.lock().unwrap() = true;
            for skill in live.all() {
                let _changing = skill.change().await;
                let code = skill.current().digest.clone();
                turn();
                skill.replace(Arc::new(generation(&code, true)));
            }
        }));
    }
    join(threads);
    let now = held.current();
    assert_eq!((&*now.digest, now.tools[0].0.as_str()), ("new", "new true"), "a change was lost");
    assert_eq!(held.standing(), Standing::Serving);
    held.set_standing(Standing::Failed);
    assert_eq!(held.pinned().standing(), Standing::Serving, "how it stands is of the skill that is followed");
    drop(held);
    assert!(live.of(SKILL).is_empty(), "a skill that nobody holds is kept");
    clock.stop();
}
