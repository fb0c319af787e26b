//! `ringfence:skill/tools`: decode, ask, encode.

use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use super::{Answer, Call, Found, Name, Pending, Toolbox};
use crate::broker::{Ask, Session, Verdict};
use crate::capability::words;
use crate::error::Refusal;
use crate::policy::taint::Touch;
use bindings::ringfence::skill::tools as wit;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package ringfence:tools-words;
            world words { import ringfence:skill/tools@0.1.0; }
        ",
        imports: { default: async | trappable },
        with: {
            "ringfence:skill/types@0.1.0": crate::capability::words::types,
            "ringfence:skill/tools.pending": super::Waiting,
        },
    });
}

/// What `tools` may touch of an invocation.
pub struct View<'a> {
    pub session: &'a Session,
    pub table: &'a mut ResourceTable,
    pub toolbox: &'a Arc<dyn Toolbox>,
}

struct Tools;

impl HasData for Tools {
    type Data<'a> = View<'a>;
}

/// Offers `tools` to guests.
pub fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> View<'_>) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, Tools>(linker, get)
}

/// A call under way; None once it was waited for.
pub struct Waiting(Option<Pending>);

type Reply<T> = wasmtime::Result<Result<T, words::types::Refusal>>;

impl View<'_> {
    async fn begin(&mut self, name: String, input: String) -> Result<Pending, Refusal> {
        let name = Name::parse(&name)?;
        words::check_json("the input of the tool", &input)?;
        let mut call = self.ask(name, input);
        // Only what may be called is looked up: who may not call a tool does not learn whether it is there.
        if call.allowed(Call::grant(self.session.grants())) == Verdict::Yes {
            let found = match self.session.perform(self.toolbox.find(&call.name)).await {
                Ok(found) => found,
                Err(refusal) => {
                    self.session.ledger().count_host_call()?;
                    return Err(refusal);
                }
            };
            call.effectful = found.leaves || !found.tool.hints.contains(words::types::ToolHints::READ_ONLY);
        }
        Ok(self.toolbox.start(self.session.permit(call).await?))
    }

    fn ask(&self, name: Name, input: String) -> Call {
        let lineage = self.session.lineage().into_iter().map(str::to_owned).collect();
        Call { name, input, effectful: true, lineage, under_way: self.toolbox.under_way() }
    }

    async fn wait(&mut self, pending: Pending) -> Result<wit::Answer, Refusal> {
        let Pending { answer, cancel } = pending;
        let answer = self.session.perform_in_place(answer).await;
        drop(cancel);
        Ok(match answer? {
            Answer::Outcome(outcome) => wit::Answer::Outcome(outcome),
            Answer::Failure(failure) => wit::Answer::Failure(failure),
        })
    }

    async fn usable(&mut self) -> Result<Vec<wit::Listed>, Refusal> {
        self.session.ledger().count_host_call()?;
        if self.session.grants().tools.is_none() {
            return Ok(Vec::new());
        }
        let all = self.session.perform(self.toolbox.all()).await?;
        let usable: Vec<_> = all.into_iter().filter(|found| self.may_call(&found.name)).map(listed).collect();
        if !usable.is_empty() {
            // Descriptions are strangers' words.
            self.session.taint().touch(Touch::UNTRUSTED);
        }
        Ok(usable)
    }

    fn may_call(&self, name: &Name) -> bool {
        let call = self.ask(name.clone(), String::new());
        call.allowed(Call::grant(self.session.grants())) == Verdict::Yes
    }
}

impl wit::Host for View<'_> {
    async fn list(&mut self) -> wasmtime::Result<Vec<wit::Listed>> {
        // A list cannot refuse: one host call too many, or a state that cannot be read, shows nothing.
        Ok(self.usable().await.unwrap_or_default())
    }

    async fn call(&mut self, name: String, input: String) -> Reply<wit::Answer> {
        let answer = match self.begin(name, input).await {
            Ok(pending) => self.wait(pending).await,
            Err(refusal) => Err(refusal),
        };
        Ok(answer.map_err(Into::into))
    }

    async fn start(&mut self, name: String, input: String) -> Reply<Resource<Waiting>> {
        match self.begin(name, input).await {
            Ok(pending) => Ok(Ok(self.table.push(Waiting(Some(pending)))?)),
            Err(refusal) => Ok(Err(refusal.into())),
        }
    }
}

impl wit::HostPending for View<'_> {
    async fn wait(&mut self, pending: Resource<Waiting>) -> Reply<wit::Answer> {
        let answer = match self.table.get_mut(&pending)?.0.take() {
            Some(pending) => View::wait(self, pending).await,
            None => Err(Refusal::Invalid("this call was waited for already".into())),
        };
        Ok(answer.map_err(Into::into))
    }

    async fn drop(&mut self, pending: Resource<Waiting>) -> wasmtime::Result<()> {
        self.table.delete(pending)?;
        Ok(())
    }
}

fn listed(found: Found) -> wit::Listed {
    wit::Listed { name: found.name.to_string(), tool: found.tool }
}
