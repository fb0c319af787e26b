//! What runs in the sandbox: a tool of a skill with its JSON, or a function of a plain component with its values.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::Store;
use wasmtime::component::Val;

use super::InvokeError;
use super::outcome::Answer;
use crate::catalog::reflect::{Fault, Plan};
use crate::catalog::tool::{CallError, Callable};
use crate::catalog::{Generation, Runs};
use crate::engine::Limits;
use crate::engine::guest::Guest;
use crate::engine::linker::{Pre, exports};
use crate::error::Refusal;
use crate::schema;

/// What the guest's task needs to own.
pub(super) struct Job {
    pub(super) generation: Arc<Generation>,
    pub(super) tool: Arc<str>,
    pub(super) given: Given,
    pub(super) context: exports::Context,
}

/// What a guest is called with.
pub(super) enum Given {
    /// JSON, for a skill.
    Text(String),
    /// Arguments, for a function of a plain component.
    Values(Arc<Plan>, Vec<Val>),
}

impl Given {
    /// The input as the guest is given it, where it is what the tool wants.
    pub(super) fn new(callable: &Callable, input: String, limits: &Limits) -> Result<Self, CallError> {
        if input.len() > limits.input_bytes {
            return Err(CallError::InputTooLarge { actual: input.len(), limit: limits.input_bytes });
        }
        let value = schema::parse(&input).map_err(|error| match error {
            Refusal::TooLarge(excess) => CallError::TooManyParts { limit: excess.limit },
            other => CallError::InvalidInput(other.to_string()),
        })?;
        let Some(plan) = &callable.plan else {
            schema::check(&callable.input, &value).map_err(|wrong| CallError::InvalidInput(schema::render(&wrong)))?;
            return Ok(Self::Text(input));
        };
        // The values are what the schema says, and making them says where they are not: no second look is needed.
        let values = plan.arguments(value, limits.hostcall_bytes).map_err(|misfit| match misfit.beyond {
            Some(limit) => CallError::TooManyValues { limit },
            None => CallError::InvalidInput(misfit.to_string()),
        })?;
        Ok(Self::Values(Arc::clone(plan), values))
    }
}

impl Job {
    /// Makes the instance and calls it: what it gave, when that began and when the instance was there.
    pub(super) async fn run(
        self,
        store: &mut Store<Guest>,
    ) -> wasmtime::Result<(Result<Answer, InvokeError>, Instant, Instant)> {
        let begun = Instant::now();
        match (&self.generation.runs, self.given) {
            (Runs::Here(Pre::Skill(skill)), Given::Text(input)) => {
                let instance = skill.instantiate(store).await?;
                let instantiated = Instant::now();
                store.data().services.session.enter();
                let called = skill.call(store, instance, &self.tool, &input, &self.context).await?;
                Ok((called.map(Answer::Skill).map_err(InvokeError::from), begun, instantiated))
            }
            (Runs::Here(Pre::Plain(pre)), Given::Values(plan, values)) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                let instantiated = Instant::now();
                store.data().services.session.enter();
                let function = instance.get_func(&mut *store, plan.export);
                let function = function.ok_or_else(|| wasmtime::Error::msg("the function is gone"))?;
                let mut results = vec![Val::Bool(false); plan.results()];
                function.call_async(store, &values, &mut results).await?;
                let answer = plan.returned(results).map(Answer::Plain).map_err(|fault| match fault {
                    Fault::Failed(message) => InvokeError::Failed { kind: "failed", message, hint: None },
                    Fault::Mistyped => InvokeError::HostFault,
                });
                Ok((answer, begun, instantiated))
            }
            // The input was made for the tool, and the tool is the generation's own.
            _ => Ok((Err(InvokeError::HostFault), begun, begun)),
        }
    }
}
