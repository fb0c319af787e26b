//! What a client can ask for, whichever way it came: lists, calls, and to be told of changes.

use std::sync::Arc;

use ringfence_core::{Error, Host};
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest, CustomResult, ErrorCode,
    ErrorData, GetPromptRequestParams, GetPromptResponse, GetSkillRequestParams, GetSkillResult, Implementation,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    ServerCapabilities, ServerConfig, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, SubscriptionContext};
use rmcp::{Peer, ServerHandler};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::call::{self, Parked};
use super::skills::{Page, Pages};
use super::{Options, meta, words};
use crate::http::{Counts, Problem};

/// What a model that uses the tools should know of them.
const INSTRUCTIONS: &str = "Each tool is one of a skill that Ringfence runs in a sandbox, and can reach only what the operator granted \
    to that skill. A result that is an error begins with `error[KIND]` and, behind `help:`, says what to do. Where KIND is `denied` or \
    `budget-exhausted`, calling again does not help: show the person the command that stands there, which only they can run.";

/// One client. Cheap to make: over HTTP each request of the newer protocol has one.
pub(super) struct Server {
    shared: Arc<Shared>,
    /// Ends what was begun for this client.
    gone: CancellationToken,
    _gone: DropGuard,
}

struct Shared {
    host: Host,
    options: Options,
    /// Calls that wait for an answer of their client.
    parked: Parked,
    pages: Pages,
    /// Paths that no answer names, where clients may be elsewhere.
    hidden: Option<Vec<String>>,
    /// Where errors are counted, there.
    counts: Option<Arc<Counts>>,
    /// Cancelled when whoever waits for news waits no longer.
    closing: CancellationToken,
    /// Calls that are being answered.
    calls: watch::Sender<usize>,
}

impl Shared {
    fn new(host: Host, options: Options) -> Self {
        let (closing, calls) = (CancellationToken::new(), watch::Sender::new(0));
        Self {
            host,
            options,
            parked: Parked::default(),
            pages: Pages::default(),
            hidden: None,
            counts: None,
            closing,
            calls,
        }
    }

    /// A result that says what went wrong, to whoever is at the other end.
    fn failure(&self, error: &Error) -> CallToolResult {
        if let Some(counts) = &self.counts {
            counts.failed(error.kind());
        }
        match &self.hidden {
            None => words::failure(error.kind(), &error.to_string(), &error.hint()),
            Some(hidden) => {
                // Here with all that is kept back from whoever called.
                tracing::info!(kind = error.kind(), %error, "a request for MCP failed");
                let problem = Problem::new(error.kind(), error.to_string(), error.hint()).outside(hidden);
                words::failure(problem.kind(), problem.detail(), problem.hint())
            }
        }
    }

    async fn pages(&self) -> Result<Vec<Arc<Page>>, ErrorData> {
        self.pages.all(&self.host).await.map_err(|error| self.internal(&error))
    }

    async fn page(&self, uri: &str) -> Result<Arc<Page>, ErrorData> {
        let found = self.pages().await?.into_iter().find(|page| page.uri == uri);
        found.ok_or_else(|| {
            let shown: String = uri.chars().take(200).collect();
            ErrorData::resource_not_found(format!("there is no {shown:?}"), Some(serde_json::json!({ "uri": uri })))
        })
    }

    /// An error that no call caused.
    fn internal(&self, error: &Error) -> ErrorData {
        let failure = self.failure(error);
        let data = failure.meta.and_then(|mut meta| meta.remove(words::ERROR));
        let message = data.as_ref().and_then(|data| data.get("message")?.as_str()).unwrap_or_default().to_owned();
        ErrorData::internal_error(message, data)
    }
}

/// A call that is being answered.
struct Answering<'a>(&'a watch::Sender<usize>);

impl<'a> Answering<'a> {
    fn new(calls: &'a watch::Sender<usize>) -> Self {
        calls.send_modify(|count| *count += 1);
        Self(calls)
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Server {
    pub(super) fn new(host: Host, options: Options) -> Self {
        Self::over(Shared::new(host, options))
    }

    /// For clients that may be elsewhere, until `closing`.
    pub(super) fn outside(self, hidden: Vec<String>, counts: Arc<Counts>, closing: CancellationToken) -> Self {
        let Shared { host, options, .. } = &*self.shared;
        Self::over(Shared {
            hidden: Some(hidden),
            counts: Some(counts),
            closing,
            ..Shared::new(host.clone(), *options)
        })
    }

    /// Returns when no call is being answered.
    pub(super) fn quiet(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut calls = self.shared.calls.subscribe();
        async move { drop(calls.wait_for(|count| *count == 0).await) }
    }

    /// For another client, or another request, of the same endpoint.
    pub(super) fn another(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }

    /// How many there are of this endpoint.
    pub(super) fn shared(&self) -> usize {
        Arc::strong_count(&self.shared)
    }

    fn over(shared: Shared) -> Self {
        Self::of(Arc::new(shared))
    }

    fn of(shared: Arc<Shared>) -> Self {
        let gone = CancellationToken::new();
        Self { shared, _gone: gone.clone().drop_guard(), gone }
    }

    /// Tells a client of an older protocol of every change for as long as it is there.
    fn tell(&self, peer: Peer<RoleServer>) {
        let (gone, mut changes) = (self.gone.clone(), self.shared.host.toolbox_changes());
        let telling =
            async move { while changes.changed().await.is_ok() && peer.notify_tool_list_changed().await.is_ok() {} };
        tokio::spawn(gone.run_until_cancelled_owned(telling));
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_prompts()
            .enable_resources()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_skills()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("ringfence", env!("CARGO_PKG_VERSION")).with_title("Ringfence"))
            .with_instructions(INSTRUCTIONS)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        if !self.shared.options.meta_tools {
            self.tell(context.peer);
        }
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut filter = SubscriptionFilter::default();
        filter.tools_list_changed = requested.tools_list_changed;
        Some(filter)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.shared.host.toolbox_changes();
        let wanted = context.accepted().tools_list_changed == Some(true) && !self.shared.options.meta_tools;
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.shared.closing.cancelled() => return Ok(()),
                changed = changes.changed(), if wanted => {
                    if changed.is_err() || context.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn list_tools(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        only_page(params)?;
        let Shared { host, options, .. } = &*self.shared;
        let tools = if options.meta_tools {
            meta::tools()
        } else {
            host.toolbox()
                .await
                .map_err(|error| self.shared.internal(&error))?
                .iter()
                .map(|offer| words::tool(offer))
                .collect()
        };
        // What there is is this operator's affair.
        Ok(ListToolsResult::with_all_items(tools).with_ttl_ms(options.fresh()).with_cache_scope(CacheScope::Private))
    }

    async fn list_resources(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        only_page(params)?;
        let resources = self.shared.pages().await?.iter().map(|page| page.resource()).collect();
        let fresh = self.shared.options.fresh();
        Ok(ListResourcesResult::with_all_items(resources).with_ttl_ms(fresh).with_cache_scope(CacheScope::Private))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let page = self.shared.page(&request.uri).await?;
        let read = ReadResourceResult::new(vec![page.contents()]);
        Ok(read.with_ttl_ms(self.shared.options.fresh()).with_cache_scope(CacheScope::Private).into())
    }

    /// Pages have names of their own; none is made of what a client puts in.
    async fn list_resource_templates(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        only_page(params)?;
        let (none, fresh) = (ListResourceTemplatesResult::with_all_items(Vec::new()), self.shared.options.fresh());
        Ok(none.with_ttl_ms(fresh).with_cache_scope(CacheScope::Private))
    }

    async fn list_prompts(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        only_page(params)?;
        let prompts = self.shared.pages().await?.iter().map(|page| page.prompt()).collect();
        let fresh = self.shared.options.fresh();
        Ok(ListPromptsResult::with_all_items(prompts).with_ttl_ms(fresh).with_cache_scope(CacheScope::Private))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        match self.shared.pages().await?.into_iter().find(|page| page.name() == request.name) {
            Some(page) => Ok(page.prompted().into()),
            None => {
                let shown: String = request.name.chars().take(80).collect();
                Err(ErrorData::invalid_params(format!("there is no prompt {shown:?}"), None))
            }
        }
    }

    async fn list_skills(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListSkillsResult, ErrorData> {
        only_page(params)?;
        let skills = self.shared.pages().await?.iter().map(|page| page.entry()).collect();
        let fresh = self.shared.options.fresh();
        Ok(ListSkillsResult::with_all_items(skills).with_ttl_ms(fresh).with_cache_scope(CacheScope::Private))
    }

    async fn get_skill(
        &self,
        request: GetSkillRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetSkillResult, ErrorData> {
        let page = self.shared.page(&request.uri).await.map_err(|error| match error.code {
            ErrorCode::RESOURCE_NOT_FOUND => ErrorData::invalid_params(error.message, error.data),
            _ => error,
        })?;
        let fresh = self.shared.options.fresh();
        Ok(GetSkillResult::new(page.entry()).with_ttl_ms(fresh).with_cache_scope(CacheScope::Private))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Shared { host, options, parked, calls, .. } = &*self.shared;
        let _answering = Answering::new(calls);
        let toolbox = host.toolbox().await.map_err(|error| self.shared.internal(&error))?;
        let (name, arguments) = match options.meta_tools.then(|| meta::Wanted::read(&request)).transpose()? {
            None => (request.name.to_string(), request.arguments.clone()),
            Some(meta::Wanted::Search(search)) => return Ok(search.among(&toolbox).into()),
            Some(meta::Wanted::Call { name, arguments }) => (name, arguments),
        };
        let Some(offer) = toolbox.get(&name) else {
            let shown: String = name.chars().take(80).collect();
            return Err(ErrorData::invalid_params(format!("there is no tool {shown:?}"), None));
        };
        let answered = call::answer(host, offer, arguments.unwrap_or_default(), &request, &context, parked).await?;
        Ok(answered.unwrap_or_else(|error| self.shared.failure(&error).into()))
    }

    /// What the library could not read as the request that its method names, and methods that nobody knows.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method: String = request.method.chars().take(80).collect();
        let newer = context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        match request.method.as_str() {
            "initialize" | "ping" if newer => {
                let words = format!("`{method}` is not part of this version of the protocol");
                Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, words, None))
            }
            "initialize"
            | "server/discover"
            | "ping"
            | "tools/list"
            | "tools/call"
            | "subscriptions/listen"
            | "prompts/list"
            | "prompts/get"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
            | "skills/list"
            | "skills/get" => {
                Err(ErrorData::invalid_params(format!("the params of `{method}` are not as they should be"), None))
            }
            _ => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method {method:?}"), None)),
        }
    }
}

/// Everything is on the first page of a list, and there is no other.
fn only_page(params: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match params.and_then(|params| params.cursor) {
        None => Ok(()),
        Some(cursor) => {
            let shown: String = cursor.chars().take(80).collect();
            Err(ErrorData::invalid_params(format!("there is no page {shown:?}"), None))
        }
    }
}
