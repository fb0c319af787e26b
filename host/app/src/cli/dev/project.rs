//! One skill that is worked on: built, loaded and put in its place, again and again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringfence_core::catalog::watch::{Counts, Watch};
use ringfence_core::{Error, Grants, Missing, SkillRef, Successor};
use tokio_util::sync::CancellationToken;

use super::Stage;
use super::calls::{Latest, Wanted};
use super::screen::Told;
use crate::cli::target::Target;
use crate::cli::{build, consent};
use crate::toolchain;
use crate::ui::progress::Line;

pub(super) struct Project {
    target: Target,
    /// Granted until this ends.
    allow: Grants,
    /// Whether everything that it asks for is.
    yes: bool,
    /// Made after each reload.
    calls: Vec<Wanted>,
    state: Mutex<State>,
    /// What the calls gave the last time.
    pub(super) latest: Latest,
    /// Ends the calls that the last reload made.
    calling: Mutex<CancellationToken>,
}

#[derive(Default)]
struct State {
    serving: Option<SkillRef>,
    /// Waits for a person.
    pending: Option<Successor>,
    /// Whether what was saved last does not serve.
    behind: bool,
}

impl Project {
    pub(super) fn new(target: Target, allow: Grants, yes: bool, calls: Vec<Wanted>) -> Self {
        let (state, latest, calling) = (Mutex::default(), Latest::default(), Mutex::default());
        Self { target, allow, yes, calls, state, latest, calling }
    }

    /// What is called by name: the folder or the file.
    fn path(&self) -> &Path {
        match &self.target {
            Target::Folder(path) | Target::AgentSkill(path) | Target::File(path) => path,
            Target::Installed(name) => Path::new(name),
        }
    }

    pub(super) fn label(&self) -> String {
        self.path().display().to_string()
    }

    /// What serves now, once the first version could be loaded.
    pub(super) fn serving(&self) -> Option<SkillRef> {
        self.state().serving.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds and reloads at every change, for ever.
    pub(super) async fn follow(self: &Arc<Self>, stage: &Arc<Stage>, poll: bool) {
        let (roots, counts) = (self.roots(), self.counts());
        let begin = move || Watch::new(roots, counts, poll);
        // Before the first build, so that a save during it is not missed.
        let Ok(mut watch) = tokio::task::spawn_blocking(begin).await else { return };
        loop {
            let begun = Instant::now();
            let line = stage.screen.line();
            let done = self.refresh(stage, &line).await;
            line.clear();
            if let Err(error) = done {
                self.state().behind = true;
                stage.screen.behind(self.serving().as_ref());
                stage.screen.tell(&Told::failed(&self.label(), &error));
            }
            watch.worked(begun.elapsed());
            watch.changed().await;
        }
    }

    fn roots(&self) -> Vec<PathBuf> {
        let mut roots = vec![self.path().to_owned()];
        if let Target::Folder(folder) = &self.target {
            roots.extend(build::beside(folder));
        }
        roots
    }

    fn counts(&self) -> Counts {
        match &self.target {
            Target::Folder(_) => Arc::new(toolchain::is_source_path),
            _ => Arc::new(|_| true),
        }
    }

    /// Builds what has changed, and lets it serve where it may.
    async fn refresh(self: &Arc<Self>, stage: &Arc<Stage>, line: &Line) -> Result<(), Error> {
        let begun = Instant::now();
        let component = match &self.target {
            Target::Folder(folder) => match build::fresh(&stage.host, folder, &stage.context, line).await {
                Ok(component) => component,
                Err(error) => {
                    if let Some(skill) = self.serving() {
                        stage.host.fell_behind(&skill, &error).await;
                    }
                    return Err(error);
                }
            },
            _ => self.path().to_owned(),
        };
        let built = begun.elapsed();
        match self.serving() {
            None => self.first(stage, &component, built, line).await,
            Some(skill) => self.next(stage, &skill, &component, built, line).await,
        }
    }

    async fn first(
        self: &Arc<Self>,
        stage: &Arc<Stage>,
        component: &Path,
        built: Duration,
        line: &Line,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        let host = &stage.host;
        let skill = host.load_file(component, Some(self.path()), Some(line.steps())).await?;
        let missing = host.missing(&skill, &self.allow).await;
        let allow = if self.yes { consent::all_unasked(&missing).await? } else { self.allow.clone() };
        if allow != Grants::default() {
            host.grant_for_session(skill.identity(), allow).await?;
        }
        let missing = host.missing(&skill, &Grants::default()).await;
        self.state().serving = Some(skill.clone());
        host.offer(skill.clone());
        line.clear();
        stage.screen.tell(&Told::serving(&skill, built, begun.elapsed(), true));
        if !missing.is_empty() {
            stage.screen.tell(&Told::ungranted(&skill, &missing));
        }
        self.call_all(stage);
        Ok(())
    }

    async fn next(
        self: &Arc<Self>,
        stage: &Arc<Stage>,
        skill: &SkillRef,
        component: &Path,
        built: Duration,
        line: &Line,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        // A folder is its author's own, who may count backwards.
        let downgrade = matches!(self.target, Target::Folder(_));
        let Some(next) = stage.host.prepare(skill, component, downgrade, Some(line.steps())).await? else {
            // What failed or waited was taken back.
            let mut state = self.state();
            if state.pending.take().is_some() || state.behind {
                state.behind = false;
                stage.screen.tell(&Told::serving(skill, built, begun.elapsed(), false));
            }
            return Ok(());
        };
        line.clear();
        let allow = if self.yes { consent::all_unasked(next.more()).await? } else { self.allow.clone() };
        if !next.lacks(&allow).is_empty() {
            // First there and then told: whoever reads it may answer at once.
            let told = Told::pending(skill, &next);
            self.state().pending = Some(next);
            stage.screen.tell(&told);
            return Ok(());
        }
        self.state().pending = None;
        stage.host.replace(skill, next, allow, false).await?;
        self.state().behind = false;
        stage.screen.tell(&Told::serving(skill, built, begun.elapsed(), false));
        self.call_all(stage);
        Ok(())
    }

    /// Makes the calls that follow a reload, one after the other and beside everything else: the version that corrects one which never ends
    /// must not wait for it. Those of the version before are ended.
    fn call_all(self: &Arc<Self>, stage: &Arc<Stage>) {
        if self.calls.is_empty() {
            return;
        }
        let cancel = stage.context.cancel.child_token();
        let mut calling = self.calling.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *calling, cancel.clone()).cancel();
        let (project, stage) = (Arc::clone(self), Arc::clone(stage));
        tokio::spawn(async move {
            for wanted in project.calls.iter().filter(|wanted| project.is_meant(wanted)) {
                if cancel.is_cancelled() {
                    return;
                }
                project.call(&stage, wanted, &cancel).await;
            }
        });
    }

    /// Whether a call is one of this skill.
    pub(super) fn is_meant(&self, wanted: &Wanted) -> bool {
        let Some(name) = &wanted.skill else { return true };
        self.serving().is_some_and(|skill| skill.manifest().name == *name)
    }

    /// What waits for a person, with the words of what it asks for.
    pub(super) fn pending(&self) -> Option<Vec<Missing>> {
        self.state().pending.as_ref().map(|next| next.more().to_vec())
    }

    /// Lets what waits serve, with what it asks for granted for good.
    pub(super) async fn allow(self: &Arc<Self>, stage: &Arc<Stage>) -> Result<(), Error> {
        let Some(more) = self.pending() else { return Ok(()) };
        let begun = Instant::now();
        // While it still waits: where this fails, it can be allowed again.
        let granted = consent::all_unasked(&more).await?;
        let (skill, next) = {
            let mut state = self.state();
            // Another save may have taken its place meanwhile, and what that asks for was not what was allowed.
            let next = state.pending.take_if(|next| next.more() == more.as_slice());
            (state.serving.clone(), next)
        };
        let (Some(skill), Some(next)) = (skill, next) else { return Ok(()) };
        stage.host.replace(&skill, next, granted, true).await?;
        stage.screen.tell(&Told::serving(&skill, Duration::ZERO, begun.elapsed(), false));
        self.call_all(stage);
        Ok(())
    }
}
