//! A config that is read again whenever its file or a mounted secret changes.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, ConfigFile,
    diff::Diff,
    file::{Content, LoadError},
};

/// How often is looked whether something changed.
const INTERVAL: Duration = Duration::from_secs(3);

/// Watches a config.
///
/// What the files hold is compared, and not their times: Kubernetes changes a mounted Secret by a swap of symlinks, and
/// the file at the end of them is older than the swap.
#[derive(Debug)]
pub struct Reload {
    file: ConfigFile,
    seen: Content,
    sender: watch::Sender<Arc<Config>>,
}

/// What became of a change, or of being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadEvent {
    /// The new config is in the channel.
    Applied(Diff),
    /// There is a new config, and it cannot be used; the one before stays.
    Refused(LoadError),
    /// Somebody asked, and nothing has changed.
    Unchanged,
}

impl Reload {
    /// Reads the config for the first time. Blocks for as long as the files take.
    ///
    /// # Errors
    /// As for [`ConfigFile::load`].
    pub fn start(file: ConfigFile) -> Result<(Self, watch::Receiver<Arc<Config>>), LoadError> {
        let seen = file.content();
        let config = file.meaning(&seen)?;
        let (sender, receiver) = watch::channel(Arc::new(config));
        Ok((Self { file, seen, sender }, receiver))
    }

    /// Looks every three seconds, and whenever `asked` is notified (by SIGHUP, say), until `stop`. A config that cannot be
    /// used is told once, until it changes again or is asked for. Dropping the future ends it too.
    pub async fn run(
        mut self,
        asked: &Notify,
        stop: &CancellationToken,
        mut on_event: impl FnMut(ReloadEvent) + Send,
    ) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_asked = tokio::select! {
                () = stop.cancelled() => return,
                () = asked.notified() => true,
                _ = ticks.tick() => false,
            };
            let file = self.file.clone();
            let Ok(content) = tokio::task::spawn_blocking(move || file.content()).await else { continue };
            if let Some(event) = self.look(content, is_asked) {
                on_event(event);
            }
        }
    }

    fn look(&mut self, content: Content, is_asked: bool) -> Option<ReloadEvent> {
        if content == self.seen && !is_asked {
            return None;
        }
        self.seen = content;
        let config = match self.file.meaning(&self.seen) {
            Ok(config) => config,
            Err(error) => return Some(ReloadEvent::Refused(error)),
        };
        let before = Arc::clone(&self.sender.borrow());
        if *before == config {
            return is_asked.then_some(ReloadEvent::Unchanged);
        }
        let diff = Diff::between(&before, &config);
        self.sender.send_replace(Arc::new(config));
        Some(ReloadEvent::Applied(diff))
    }
}

#[cfg(test)]
mod tests;
