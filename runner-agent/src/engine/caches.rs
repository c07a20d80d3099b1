//! Restores and saves the caches of a job. What goes wrong here costs a cache and a line in the log, never the job.

use std::{path::PathBuf, sync::Arc};

use runner_cache::{SaveOptions, Saved, Source, Transfer, TransferConfig};
use runner_core::{
    CacheBackend, CacheFormat, CacheScope, Error, ErrorKind, ReadGrant, Result, WriteGrant, cache::CacheKeys,
    job::CacheSpec,
};
use tokio::time::{Instant, sleep};

use super::{
    attempts, duration,
    workplace::{Workplace, amount, size},
};
use crate::archive::Level;

mod restored;
mod zipped;

pub(crate) use restored::Restored;

/// Where the caches of a job are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caches<'a> {
    /// The backend.
    pub(crate) backend: &'a dyn CacheBackend,
    /// Who shares them.
    pub(crate) scope: &'a CacheScope,
    /// How often a restore is tried where the backend may do better next time.
    pub(crate) attempts: u32,
}

impl Caches<'_> {
    /// What moves the bytes of what the backend grants.
    fn transfer(&self) -> Transfer {
        let authorities = self.backend.authorities().map(str::to_owned);
        Transfer::new(TransferConfig { authorities, ..TransferConfig::default() })
    }
}

/// Whether [`restore`] has anything to do or to say.
pub(crate) fn any_to_restore(specs: &[CacheSpec]) -> bool {
    specs.iter().any(CacheSpec::is_any)
}

/// Whether [`save`] has anything to do or to say, for a job that `succeeded` so far.
pub(crate) fn any_to_save(specs: &[CacheSpec], succeeded: bool) -> bool {
    specs.iter().any(|spec| spec.is_any() && spec.when.applies(succeeded))
}

/// What one cache costs.
struct Meter {
    transfer: Transfer,
    begun: Instant,
}

impl Meter {
    fn new(caches: Caches<'_>) -> Self {
        Self { transfer: caches.transfer(), begun: Instant::now() }
    }

    /// For a line that says what was in vain.
    fn cost(&self) -> String {
        let traffic = self.transfer.traffic();
        format!(
            "it cost {} and {}",
            duration::show(self.begun.elapsed()),
            size(traffic.sent + traffic.received)
        )
    }
}

/// Restores the caches of a job into its work tree. One that is not there, or cannot be read, is passed over. What a save needs
/// to know is kept in `restored`.
///
/// # Cancellation
/// May be dropped: what was restored until then stays.
pub(crate) async fn restore(
    specs: &[CacheSpec],
    caches: Caches<'_>,
    place: &Workplace<'_>,
    restored: &mut Restored,
) {
    for spec in specs.iter().filter(|spec| spec.is_any()) {
        let keys = CacheKeys::of(spec, place.variables);
        for warning in &keys.warnings {
            place.warn(warning).await;
        }
        match keys.key() {
            None => {}
            Some(_) if spec.policy.pulls() => restore_one(&keys.keys, caches, place, restored).await,
            Some(key) => place.log.line(&format!("Cache {key} is not restored: its policy is push")).await,
        }
    }
}

/// Tries the keys in order, until an entry was restored.
async fn restore_one(keys: &[String], caches: Caches<'_>, place: &Workplace<'_>, restored: &mut Restored) {
    let of = keys.first().map_or("", String::as_str);
    let mut rest = keys;
    while let Some((key, fallbacks)) = rest.split_first() {
        place.log.line(&format!("Restoring cache {key}…")).await;
        let meter = Meter::new(caches);
        let grant = match lookup_patiently(key, fallbacks, caches, place).await {
            Ok(Some(grant)) => grant,
            Ok(None) => {
                place.log.line(&format!("No cache found under {}", keys.join(", "))).await;
                return;
            }
            Err(error) => {
                let text = format!("no cache is restored: failed to {}; {}", error.chain(), meter.cost());
                place.warn(&text).await;
                return;
            }
        };
        match unpack_patiently(&grant, (of, caches, place), &meter, restored).await {
            Ok(()) => return,
            Err(error) => {
                if error.kind() == ErrorKind::Corrupt {
                    restored.is_damaged(&grant);
                }
                let (key, chain) = (&grant.key, error.chain());
                place
                    .warn(&format!("cache {key} is not restored: failed to {chain}; {}", meter.cost()))
                    .await;
            }
        }
        let failed = rest.iter().position(|key| *key == grant.key).unwrap_or(rest.len());
        rest = rest.get(failed + 1..).unwrap_or_default();
    }
}

async fn lookup_patiently(
    key: &str,
    fallbacks: &[String],
    caches: Caches<'_>,
    place: &Workplace<'_>,
) -> Result<Option<ReadGrant>> {
    let mut tried = 1;
    loop {
        match caches.backend.lookup(caches.scope, key, fallbacks).await {
            Err(error) if error.is_retryable() && tried < caches.attempts => wait(tried, &error, place).await,
            found => return found,
        }
        tried += 1;
    }
}

async fn unpack_patiently(
    grant: &ReadGrant,
    (of, caches, place): (&str, Caches<'_>, &Workplace<'_>),
    meter: &Meter,
    restored: &mut Restored,
) -> Result<()> {
    let mut tried = 1;
    loop {
        match unpack(grant, (of, place), meter, restored).await {
            Err(error) if error.is_retryable() && tried < caches.attempts => wait(tried, &error, place).await,
            unpacked => return unpacked,
        }
        tried += 1;
    }
}

async fn wait(tried: u32, error: &Error, place: &Workplace<'_>) {
    place.warn(&format!("trying again: failed to {}", error.chain())).await;
    sleep(attempts::pause(tried)).await;
}

async fn unpack(
    grant: &ReadGrant,
    (of, place): (&str, &Workplace<'_>),
    meter: &Meter,
    restored: &mut Restored,
) -> Result<()> {
    let (files, bytes) = match grant.format {
        CacheFormat::Packs => {
            let done = Box::pin(runner_cache::restore(grant, place.project, &meter.transfer)).await?;
            restored.keep(of, done.kept);
            (done.files, done.bytes)
        }
        CacheFormat::Zip => {
            let done = zipped::restore(grant, place, &meter.transfer).await?;
            (done.files, done.bytes)
        }
    };
    let (key, amount, received) = (&grant.key, amount(files, bytes), size(meter.transfer.traffic().received));
    let span = duration::show(meter.begun.elapsed());
    place.log.line(&format!("Cache {key} restored: {amount}; {received} received in {span}")).await;
    Ok(())
}

/// Saves the caches of a job that `succeeded` so far or did not.
///
/// # Cancellation
/// May be dropped: a cache that is not saved whole is not saved.
pub(crate) async fn save(
    specs: &[CacheSpec],
    succeeded: bool,
    caches: Caches<'_>,
    place: &Workplace<'_>,
    mut restored: Restored,
) {
    for spec in specs.iter().filter(|spec| spec.is_any() && spec.when.applies(succeeded)) {
        // What was changed of its keys was said when it was restored.
        let keys = CacheKeys::of(spec, place.variables);
        let Some(key) = keys.key() else { continue };
        if !spec.policy.pushes() {
            place.log.line(&format!("Cache {key} is not saved: its policy is pull")).await;
            continue;
        }
        place.log.line(&format!("Saving cache {key}…")).await;
        let meter = Meter::new(caches);
        if let Err(error) = save_one(spec, &keys, (caches, place), &meter, &mut restored).await {
            let chain = error.chain();
            place.warn(&format!("cache {key} is not saved: failed to {chain}; {}", meter.cost())).await;
        }
    }
}

async fn save_one(
    spec: &CacheSpec,
    keys: &CacheKeys,
    (caches, place): (Caches<'_>, &Workplace<'_>),
    meter: &Meter,
    restored: &mut Restored,
) -> Result<()> {
    let (key, fallbacks) = (keys.key().unwrap_or_default(), keys.fallbacks());
    let files = place.select(&spec.paths, &[], spec.untracked).await?;
    if files.is_empty() {
        place.warn(&format!("no files to cache, so cache {key} is not saved")).await;
        return Ok(());
    }
    let mut grant = caches.backend.begin(caches.scope, key, fallbacks).await?;
    restored.mend(&mut grant);
    let level = place.level("CACHE_COMPRESSION_LEVEL").await;
    let saved = match pack(&grant, files, level, place, (meter, restored)).await {
        Ok(saved) => caches.backend.publish(&grant).await.map(|()| saved),
        Err(error) => Err(error),
    };
    match saved {
        Ok(saved) => say(&saved, &grant, meter, place).await,
        Err(error) => {
            // What the abort fails with says nothing new; a sweep removes what is left.
            drop(caches.backend.abort(&grant).await);
            return Err(error);
        }
    }
    Ok(())
}

async fn pack(
    grant: &WriteGrant,
    files: Vec<PathBuf>,
    level: Level,
    place: &Workplace<'_>,
    (meter, restored): (&Meter, &mut Restored),
) -> Result<Saved> {
    if grant.format == CacheFormat::Zip {
        return zipped::save(grant, files, level, place, &meter.transfer).await;
    }
    let level = match level {
        Level::Fastest => runner_cache::Level::Fastest,
        Level::Fast => runner_cache::Level::Fast,
        Level::Default => runner_cache::Level::Default,
        Level::Slow => runner_cache::Level::Slow,
        Level::Slowest => runner_cache::Level::Slowest,
    };
    let options = SaveOptions { level, limit: grant.limit, kept: restored.take(&grant.key) };
    let source = Source { root: place.project.to_owned(), files, reader: Arc::clone(&place.reader) };
    Box::pin(runner_cache::save(grant, source, options, &meter.transfer)).await
}

async fn say(saved: &Saved, grant: &WriteGrant, meter: &Meter, place: &Workplace<'_>) {
    let (amount, sent) = (amount(saved.files, saved.bytes), size(saved.sent));
    let span = duration::show(meter.begun.elapsed());
    let line = match (saved.sent, grant.base.is_some() && grant.format == CacheFormat::Packs) {
        (0, _) => format!("Cache saved: {amount}; nothing changed, so nothing was sent ({span})"),
        (_, true) => format!("Cache saved: {amount}; {sent} sent in {span}, the rest was there"),
        (_, false) => format!("Cache saved: {amount}; {sent} sent in {span}"),
    };
    place.log.line(&line).await;
    if saved.left_out > 0 {
        let text = format!("{} of the files vanished or cannot be stored (sockets, pipes)", saved.left_out);
        place.warn(&text).await;
    }
}

#[cfg(test)]
mod tests;
