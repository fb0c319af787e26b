//! The configuration of a host that runs for long: a limit, a rule or a model that is changed holds for the next call.

use std::path::PathBuf;
use std::sync::Arc;

use ringfence_core::catalog::watch::Watch;
use ringfence_core::{Error, Host};

use super::Context;

/// Takes the configuration anew whenever one of its files changes, and tells what came of it: what of it holds only when the host is
/// started again, or why it was not taken. Never ends by itself.
pub(super) async fn configuration(
    host: Host,
    context: Arc<Context>,
    poll: bool,
    tell: impl Fn(Result<Vec<&'static str>, Error>) + Send,
) {
    let files: Vec<PathBuf> = context.configuration.files();
    let begin = move || Watch::new(files, Arc::new(|_| true), poll);
    let Ok(mut watch) = tokio::task::spawn_blocking(begin).await else { return };
    loop {
        watch.changed().await;
        tell(match context.configuration.load() {
            Ok(config) => host.reconfigure(config.settings.clone(), config.secrets()).await,
            Err(error) => Err(error),
        });
    }
}

/// As [`configuration`], told to the log, as long as the answer lives.
pub(super) fn in_background(host: &Host, context: &Arc<Context>) -> Following {
    let tell = |taken: Result<Vec<&'static str>, Error>| match taken {
        Ok(later) if later.is_empty() => tracing::info!("the configuration was read again"),
        Ok(later) => tracing::warn!("the configuration was read again; {} needs a new start", later.join(", ")),
        Err(error) => tracing::error!(kind = error.kind(), "the configuration holds as it was: {error}"),
    };
    Following(tokio::spawn(configuration(host.clone(), Arc::clone(context), false, tell)))
}

/// Ends with its value.
pub(super) struct Following(tokio::task::JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}
