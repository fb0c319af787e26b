//! The person behind a call, as a face offers them: somebody who can be asked.

use futures_util::future::BoxFuture;
use serde_json::Value;

/// Somebody who can be asked while a call runs. A face that has nobody offers none.
///
/// Questions of one person are asked one after the other. Dropping the future withdraws the question.
pub trait Person: std::fmt::Debug + Send + Sync + 'static {
    /// None means that nobody answered or that the question was waved away.
    fn ask(&self, question: Question) -> BoxFuture<'_, Option<Value>>;

    /// What the audit calls whoever answers: it cannot know more than the face does.
    fn word(&self) -> &'static str {
        "a person"
    }
}

/// A question. Texts of skills are strangers' words: whoever shows them makes them safe and says whose they are.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// May this happen, once? The answer is `true` or `false`.
    Approve(Approval),
    /// A question of the skill's own. The answer fits the schema.
    Skill {
        skill: String,
        text: String,
        /// JSON Schema.
        schema: Value,
        /// The name under which the answer may be kept. That is asked for afterwards, by `Keep`.
        remember: Option<String>,
    },
    /// May the host keep this answer and give it to the skill the next time? The answer is `true` or `false`.
    Keep {
        skill: String,
        /// The skill's name for it.
        name: String,
        answer: Value,
    },
}

/// What needs approval, with its exact arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub skill: String,
    /// Who began it: `user`, `client`, `model`, `skill`.
    pub caller: String,
    pub capability: &'static str,
    /// What is to be done: `http POST https://example.com/`.
    pub subject: String,
    /// Everything that would be sent, whole.
    pub arguments: String,
    /// Why it is asked.
    pub reason: String,
}
