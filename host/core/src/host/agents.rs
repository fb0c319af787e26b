//! Agents and their transcripts, for faces.

use super::Host;
use crate::agent::{Agent, AgentError, AgentSettings, DEFAULT_AGENT, Summary, Transcript, check};
use crate::error::Error;

impl Host {
    /// The agents by name: those that are configured, and the one that is always there.
    #[must_use]
    pub fn agents(&self) -> Vec<(String, AgentSettings)> {
        let mut agents = self.0.settings.load().agents.clone();
        agents.entry(DEFAULT_AGENT.to_owned()).or_insert_with(AgentSettings::of_default);
        agents.into_iter().collect()
    }

    /// An agent as it is configured now.
    pub fn agent(&self, name: &str) -> Result<Agent, Error> {
        let agents = self.agents();
        // What was configured anew may be wrong, and is told to whoever wants to use it.
        check(&self.0.settings.load().agents)?;
        match agents.iter().find(|(known, _)| known == name) {
            Some((name, settings)) => Ok(Agent::new(self.clone(), name.clone(), settings.clone())),
            None => {
                let name = crate::plain::line(name, 80).0;
                Err(AgentError::Unknown { name, known: agents.into_iter().map(|(name, _)| name).collect() }.into())
            }
        }
    }

    /// The transcripts that are kept, the one that was used last first. One that cannot be read is left out.
    pub async fn transcripts(&self) -> Result<Vec<Summary>, Error> {
        Ok(self.0.transcripts.list().await?)
    }

    /// A transcript that was kept, to be read or gone on with.
    pub async fn transcript(&self, id: &str) -> Result<Transcript, Error> {
        Ok(self.0.transcripts.load(id).await?)
    }

    /// Removes a transcript for good.
    pub async fn remove_transcript(&self, id: &str) -> Result<(), Error> {
        Ok(self.0.transcripts.remove(id).await?)
    }
}
