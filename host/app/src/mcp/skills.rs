//! What authors wrote for models beside their tools: each installed skill's `SKILL.md`, by the extension for skills, as a resource, and as
//! a prompt, for a person whose client knows neither.
//! <https://modelcontextprotocol.io/extensions/skills/overview> (SEP-2640)

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ringfence_core::catalog::agent_skill::{self, AgentSkill};
use ringfence_core::catalog::{Installed, Texts};
use ringfence_core::{Error, Host, Toolbox};
use rmcp::model::{
    GetPromptResult, Prompt, PromptMessage, Resource, ResourceContents, Role, Skill, SkillFrontmatter, SkillResource,
    SkillResources,
};

const MARKDOWN: &str = "text/markdown";

/// A `SKILL.md`.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) uri: String,
    skill: AgentSkill,
    text: String,
}

impl Page {
    /// None where the author wrote nothing for models.
    fn of(installed: &Installed, tools: &[&str], component: &[u8]) -> Option<Self> {
        let instructions = Texts::read(component).instructions?;
        let name = Some(agent_skill::name_of(&installed.name)).filter(|name| agent_skill::is_name(name))?;
        // The author knows the tools by their own names, and a client by ours.
        let tools: Vec<_> = tools.iter().map(|tool| format!("`{tool}`")).collect();
        let skill = AgentSkill {
            name,
            description: agent_skill::description_of(&installed.manifest.description),
            compatibility: Some(agent_skill::compatibility()),
            instructions: format!("{}\n\nHere its tools are {}.", instructions.trim(), tools.join(", ")),
            ..AgentSkill::default()
        };
        Some(Self { uri: format!("skill://{}/SKILL.md", skill.name), text: skill.write(), skill })
    }

    /// By the extension: with the digest of what a client then reads.
    pub(super) fn entry(&self) -> Skill {
        let mut frontmatter = SkillFrontmatter::new(&self.skill.name, &self.skill.description);
        if let Some(compatibility) = &self.skill.compatibility {
            frontmatter = frontmatter.with_field("compatibility", compatibility.as_str());
        }
        let files = vec![SkillResource::from_bytes(&self.uri, self.text.as_bytes())];
        Skill::new(&self.uri, frontmatter, SkillResources::Files(files))
    }

    pub(super) fn resource(&self) -> Resource {
        let mut resource = Resource::new(&self.uri, &self.skill.name);
        resource.description = Some(self.skill.description.clone());
        resource.mime_type = Some(MARKDOWN.to_owned());
        resource.size = Some(self.text.len() as u64);
        resource
    }

    pub(super) fn contents(&self) -> ResourceContents {
        ResourceContents::text(&self.text, &self.uri).with_mime_type(MARKDOWN)
    }

    pub(super) fn name(&self) -> &str {
        &self.skill.name
    }

    /// Without arguments: the person says what they want in their own words.
    pub(super) fn prompt(&self) -> Prompt {
        Prompt::new(&self.skill.name, Some(&self.skill.description), None)
    }

    pub(super) fn prompted(&self) -> GetPromptResult {
        GetPromptResult::new(vec![PromptMessage::new_text(Role::User, &self.skill.instructions)])
            .with_description(&self.skill.description)
    }
}

/// The pages that were read, by the digests of the components that they stand in.
#[derive(Debug, Default)]
pub(super) struct Pages(Mutex<HashMap<String, Option<Arc<Page>>>>);

impl Pages {
    /// Those of all installed skills, in order of their names. A skill that is worked on has its page in its folder.
    pub(super) async fn all(&self, host: &Host) -> Result<Vec<Arc<Page>>, Error> {
        let (installed, toolbox) = (host.list().await?, host.toolbox().await?);
        let mut known = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut now = HashMap::new();
        let (mut pages, mut names) = (Vec::new(), BTreeSet::new());
        for skill in &installed {
            let Some(tools) = tools_of(skill, &toolbox) else { continue };
            let page = match known.remove(&skill.digest) {
                Some(page) => page,
                None => Page::of(skill, &tools, &host.component(&skill.name).await?).map(Arc::new),
            };
            now.insert(skill.digest.clone(), page.clone());
            pages.extend(page.filter(|page| names.insert(page.uri.clone())));
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(pages)
    }
}

/// The names of its tools. None where another component serves under its name.
fn tools_of<'a>(skill: &Installed, toolbox: &'a Toolbox) -> Option<Vec<&'a str>> {
    let mut tools = Vec::new();
    for offer in toolbox.iter().filter(|offer| offer.skill == skill.name) {
        if offer.digest != skill.digest {
            return None;
        }
        tools.push(offer.name.as_str());
    }
    Some(tools)
}
