//! What a face needs about other MCP servers: how they stand, a look at their tools, and a person's word about them.
//!
//! What approves is for a person's face. No skill, model or client reaches it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{Host, Shared};
use crate::catalog::tool::{self, Callable};
use crate::catalog::{Generation, Runs, SkillRef};
use crate::engine::digest;
use crate::error::Error;
use crate::journal::audit::Entry;
use crate::policy::manifest::Manifest;
use crate::server::{Approval, Listed, Pinned, Revocation, Server, ServerError, ServerLogin, ServerReport, SignedOut};
use crate::settings::Configured;

/// What a server said of itself when it was looked at. What was shown is what is approved.
pub struct ServerCandidate {
    server: Arc<Server>,
    version: String,
    tools: Vec<Listed>,
}

impl ServerCandidate {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.server.name
    }

    /// What it says it is: a stranger's words on one line.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its tools, in its own order: those that cannot be approved as well.
    #[must_use]
    pub fn tools(&self) -> &[Listed] {
        &self.tools
    }

    /// What was approved of it before.
    #[must_use]
    pub fn before(&self) -> Vec<Pinned> {
        self.server.report().tools
    }
}

impl Host {
    /// All configured servers by name, as they stand. Starts none.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerReport> {
        self.0.servers.all().iter().map(|server| server.report()).collect()
    }

    /// How one server stands.
    pub fn server(&self, name: &str) -> Result<ServerReport, Error> {
        Ok(self.0.servers.get(name)?.report())
    }

    /// Starts or reaches a server and reads its tools, for a person who is going to look at them. Approves nothing.
    pub async fn consider_server(&self, name: &str) -> Result<ServerCandidate, Error> {
        let server = self.0.servers.get(name)?;
        if self.0.index.get(name).await?.is_some() {
            return Err(ServerError::IsSkill { name: name.to_owned() }.into());
        }
        self.0.sessions.audit.note(Entry::admin("server-look", name, server.settings.place()));
        let (version, tools) = server.look().await?;
        Ok(ServerCandidate { server, version, tools })
    }

    /// Lets tools of a server be called as they were shown: those of these names, as they are called here, or all that can be
    /// approved. What was approved of it before and is not among them is no longer.
    pub async fn approve_server(
        &self,
        candidate: ServerCandidate,
        only: Option<&[String]>,
    ) -> Result<ServerReport, Error> {
        let ServerCandidate { server, version, tools } = candidate;
        let name = server.name.clone();
        if !Arc::ptr_eq(&server, &self.0.servers.get(&name)?) {
            return Err(ServerError::Overtaken { name }.into());
        }
        let refused = |tool: &str, reason: &str| ServerError::Tool {
            name: name.clone(),
            tool: tool.to_owned(),
            reason: reason.to_owned(),
        };
        for wanted in only.into_iter().flatten() {
            let by_name = tools.iter().find(|one| one.tool.as_ref().is_some_and(|tool| tool.name == *wanted));
            if by_name.is_some() {
                continue;
            }
            let listed = tools.iter().find(|one| one.wire == *wanted);
            let reason = listed.and_then(|one| one.refused.as_deref()).unwrap_or("it has no tool of that name");
            return Err(refused(wanted, reason).into());
        }
        let is_wanted = |name: &str| only.is_none_or(|only| only.iter().any(|wanted| wanted == name));
        let pinned = tools.into_iter().filter_map(|one| {
            let tool = one.tool.filter(|tool| is_wanted(&tool.name))?;
            Some(Pinned { wire: one.wire, fingerprint: one.fingerprint, tool })
        });
        let pinned: Vec<Pinned> = pinned.collect();
        if pinned.is_empty() {
            return Err(ServerError::NoTools { name }.into());
        }
        let names: Vec<&str> = pinned.iter().map(|one| one.tool.name.as_str()).collect();
        let detail = format!("{}: {}", server.settings.place(), names.join(" "));
        let approval = Approval { definition: server.settings.digest(), version, tools: pinned };
        self.0.servers.approve(&server, approval).await?;
        self.0.sessions.audit.note(Entry::admin("server-approve", &*name, detail));
        self.0.server_changed(&name);
        Ok(server.report())
    }

    /// Begins to sign in to a server that is reached by HTTP (OAuth 2.1, as the MCP specification has it). `redirect` is the address on
    /// this machine that the person's browser comes back to. Keeps nothing.
    pub async fn begin_login(&self, name: &str, redirect: &str) -> Result<ServerLogin, Error> {
        let login = ServerLogin::begin(self.0.servers.get(name)?, redirect, &self.0.vault).await?;
        self.0.sessions.audit.note(Entry::admin("server-login", name, format!("begun at {}", login.issuer())));
        Ok(login)
    }

    /// Ends a sign-in with the query of the URL that the browser came back with. From then on requests to the server have a token, which
    /// is kept with the secrets.
    pub async fn finish_login(&self, login: &ServerLogin, query: &str) -> Result<(), Error> {
        let name = &login.server.name;
        if !Arc::ptr_eq(&login.server, &self.0.servers.get(name)?) {
            return Err(ServerError::Overtaken { name: name.clone() }.into());
        }
        login.finish(query, &self.0.vault).await?;
        self.0.sessions.audit.note(Entry::admin("server-login", &**name, format!("signed in by {}", login.issuer())));
        login.server.end().await;
        Ok(())
    }

    /// Forgets the tokens of a server, configured or not, and gives them back to whoever gave them, as far as they take them back and can be
    /// reached: what is kept here is gone in any case.
    pub async fn logout(&self, name: &str) -> Result<SignedOut, Error> {
        let server = self.0.servers.get(name);
        let done = self.sign_out(name, server.as_deref().ok()).await?;
        self.0.sessions.audit.note(Entry::admin("server-logout", name, done.as_str()));
        match server {
            Ok(server) => server.end().await,
            Err(error) if done == SignedOut::NobodyWas => return Err(error.into()),
            Err(_) => {}
        }
        Ok(done)
    }

    async fn sign_out(&self, name: &str, server: Option<&Server>) -> Result<SignedOut, Error> {
        let revocation = match server {
            Some(server) => Revocation::of(server, &self.0.vault).await.unwrap_or_else(|error| {
                tracing::warn!(server = name, %error, "what is kept of the sign-in cannot be read, and is forgotten");
                None
            }),
            None => None,
        };
        if !self.0.vault.forget_login(name).await? {
            return Ok(SignedOut::NobodyWas);
        }
        let Some(revocation) = revocation else { return Ok(SignedOut::Forgotten) };
        Ok(match revocation.send().await {
            Ok(()) => SignedOut::Revoked,
            Err(error) => {
                tracing::warn!(server = name, %error, "tokens could not be given back");
                SignedOut::Forgotten
            }
        })
    }

    /// Forgets what was approved of a server, configured or not, its tokens as well, and ends it. Says whether anything was approved.
    pub async fn forget_server(&self, name: &str) -> Result<bool, Error> {
        let gone = self.0.servers.forget(name).await?;
        self.sign_out(name, self.0.servers.get(name).ok().as_deref()).await?;
        self.0.sessions.audit.note(Entry::admin("server-forget", name, ""));
        self.0.server_changed(name);
        Ok(gone)
    }
}

impl Shared {
    /// An approved server as a skill.
    pub(crate) fn server_skill(&self, name: &str) -> Result<SkillRef, ServerError> {
        let server = self.servers.get(name)?;
        let approval = server.approval().ok_or_else(|| ServerError::NotApproved { name: name.to_owned() })?;
        let mut skills = self.server_skills.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(skill) = skills.get(name) {
            return Ok(skill.clone());
        }
        let skill = self.live.enter(SkillRef::new(name.to_owned(), self.server_generation(&server, &approval)));
        skills.insert(name.to_owned(), skill.clone());
        Ok(skill)
    }

    /// All approved servers as skills.
    pub(crate) fn server_skills(&self) -> BTreeMap<String, SkillRef> {
        let servers = self.servers.all();
        servers.iter().filter_map(|server| Some((server.name.clone(), self.server_skill(&server.name).ok()?))).collect()
    }

    fn server_generation(&self, server: &Arc<Server>, approval: &Approval) -> Generation {
        let compiled = |pinned: &Pinned| match tool::callables(std::slice::from_ref(&pinned.tool)) {
            Ok(callables) => callables,
            // Approved by a version of this host that was content with it.
            Err(error) => {
                tracing::error!(server = server.name, tool = pinned.tool.name, %error, "it cannot be called");
                Vec::new()
            }
        };
        let callables: Vec<Callable> = approval.tools.iter().flat_map(compiled).collect();
        let name = &server.name;
        let described = match approval.version.as_str() {
            "" => format!("The MCP server `{name}`."),
            version => format!("The MCP server `{name}`: {version}."),
        };
        let mut generation = Generation {
            digest: digest(serde_json::to_string(approval).unwrap_or_default().as_bytes()).into(),
            rights: Arc::default(),
            tools: callables.iter().map(|callable| callable.tool.clone()).collect(),
            callables: callables.into(),
            upgrade: Arc::default(),
            state_ready: Arc::new(AtomicBool::new(true)),
            left_out: Vec::new(),
            runs: Runs::Elsewhere(Arc::clone(server)),
            settings: Arc::default(),
            configured: Configured::default(),
            withdrawn: CancellationToken::new(),
            life: Arc::default(),
            manifest: Manifest { description: described, ..Manifest::bare(name) },
        };
        if let Err(error) = generation.configure(&self.settings.load(), name) {
            tracing::error!(server = name, %error, "it has no settings of its own");
        }
        generation
    }

    /// What is approved of a server is another than before: whoever holds it as a skill gets the new one, and clients another list.
    fn server_changed(&self, name: &str) {
        let held = self.server_skills.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let (Some(held), Ok(server)) = (held, self.servers.get(name))
            && let Some(approval) = server.approval()
        {
            self.publish(&held, Arc::new(self.server_generation(&server, &approval)));
            self.server_skills.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), held);
        }
        self.offers.changed();
    }

    /// Another host on this state approved a server, or forgot what was approved of one.
    pub(super) async fn servers_approved(&self) -> Result<(), Error> {
        for server in self.servers.refresh().await? {
            if server.approval().is_none() {
                server.end().await;
            }
            self.server_changed(&server.name);
        }
        Ok(())
    }

    /// Takes other settings of servers. Those that are started or reached otherwise now, or no longer there, are ended.
    pub(super) async fn reconfigure_servers(
        &self,
        settings: &BTreeMap<String, crate::server::ServerSettings>,
        variables: &super::Secrets,
    ) -> Result<(), Error> {
        let gone = self.servers.configure(settings, variables).await?;
        for server in &gone {
            server.retire();
            server.end().await;
            self.server_changed(&server.name);
        }
        Ok(())
    }
}
