//! Restores and saves the caches of a job. What goes wrong here costs a cache and a line in the log, never the job.

use std::{path::PathBuf, sync::Arc};

use runner_core::{
    CacheBackend, CacheScope, Error, ReadGrant, Result,
    job::{CacheSpec, Variables},
};

use tokio::time::sleep;

use super::{
    attempts,
    workplace::{Workplace, amount, size},
};

mod key;

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

/// Whether [`restore`] has anything to do or to say.
pub(crate) fn any_to_restore(specs: &[CacheSpec]) -> bool {
    specs.iter().any(is_any)
}

/// Whether [`save`] has anything to do or to say, for a job that `succeeded` so far.
pub(crate) fn any_to_save(specs: &[CacheSpec], succeeded: bool) -> bool {
    specs.iter().any(|spec| is_any(spec) && spec.when.applies(succeeded))
}

fn is_any(spec: &CacheSpec) -> bool {
    spec.untracked || !spec.paths.is_empty()
}

/// Restores the caches of a job into its work tree. One that is not there, or cannot be read, is passed over.
///
/// # Cancellation
/// May be dropped: what was restored until then stays.
pub(crate) async fn restore(specs: &[CacheSpec], caches: Caches<'_>, place: &Workplace<'_>) {
    for spec in specs.iter().filter(|spec| is_any(spec)) {
        let Some(key) = usable_key(&spec.key, place).await else { continue };
        if !spec.policy.pulls() {
            place.log.line(&format!("Cache {key} is not restored: its policy is push")).await;
            continue;
        }
        let mut keys = vec![key];
        keys.extend(fallbacks(spec, place).await);
        restore_one(&keys, caches, place).await;
    }
}

/// Tries the keys in order, until an entry was restored.
async fn restore_one(keys: &[String], caches: Caches<'_>, place: &Workplace<'_>) {
    let mut rest = keys;
    while let Some((key, fallbacks)) = rest.split_first() {
        place.log.line(&format!("Restoring cache {key}…")).await;
        let grant = match lookup_patiently(key, fallbacks, caches, place).await {
            Ok(Some(grant)) => grant,
            Ok(None) => {
                place.log.line(&format!("No cache found under {}", keys.join(", "))).await;
                return;
            }
            Err(error) => {
                place.warn(&format!("no cache is restored: failed to {}", error.chain())).await;
                return;
            }
        };
        match unpack_patiently(&grant, caches, place).await {
            Ok(()) => return,
            Err(error) => {
                let text = format!("cache {} is not restored: failed to {}", grant.key, error.chain());
                place.warn(&text).await;
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

async fn unpack_patiently(grant: &ReadGrant, caches: Caches<'_>, place: &Workplace<'_>) -> Result<()> {
    let mut tried = 1;
    loop {
        match unpack(grant, place).await {
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

async fn unpack(grant: &ReadGrant, place: &Workplace<'_>) -> Result<()> {
    let restored = runner_cache::restore(grant, place.project).await?;
    let amount = amount(restored.files, restored.bytes);
    place.log.line(&format!("Cache {} restored: {amount}", grant.key)).await;
    Ok(())
}

/// Saves the caches of a job that `succeeded` so far or did not.
///
/// # Cancellation
/// May be dropped: a cache that is not saved whole is not saved.
pub(crate) async fn save(specs: &[CacheSpec], succeeded: bool, caches: Caches<'_>, place: &Workplace<'_>) {
    for spec in specs.iter().filter(|spec| is_any(spec) && spec.when.applies(succeeded)) {
        let Some(key) = usable_key(&spec.key, place).await else { continue };
        if !spec.policy.pushes() {
            place.log.line(&format!("Cache {key} is not saved: its policy is pull")).await;
            continue;
        }
        place.log.line(&format!("Saving cache {key}…")).await;
        if let Err(error) = save_one(spec, &key, caches, place).await {
            place.warn(&format!("cache {key} is not saved: failed to {}", error.chain())).await;
        }
    }
}

async fn save_one(spec: &CacheSpec, key: &str, caches: Caches<'_>, place: &Workplace<'_>) -> Result<()> {
    let files = place.select(&spec.paths, &[], spec.untracked).await?;
    if files.is_empty() {
        place.warn(&format!("no files to cache, so cache {key} is not saved")).await;
        return Ok(());
    }
    pack(key, files, caches, place).await
}

async fn pack(key: &str, files: Vec<PathBuf>, caches: Caches<'_>, place: &Workplace<'_>) -> Result<()> {
    let grant = caches.backend.begin(caches.scope, key).await?;
    let saved = match runner_cache::save(&grant, place.project, files, Arc::clone(&place.reader)).await {
        Ok(saved) => caches.backend.publish(&grant).await.map(|()| saved),
        Err(error) => Err(error),
    };
    match saved {
        Ok(saved) => {
            let (amount, stored) = (amount(saved.files, saved.bytes), size(saved.archive_bytes));
            place.log.line(&format!("Cache saved: {amount} ({stored} stored)")).await;
            if saved.left_out > 0 {
                let text =
                    format!("{} of the files vanished or cannot be stored (sockets, pipes)", saved.left_out);
                place.warn(&text).await;
            }
            Ok(())
        }
        Err(error) => {
            // What the abort fails with says nothing new; a sweep removes what is left.
            drop(caches.backend.abort(&grant).await);
            Err(error)
        }
    }
}

/// The key after expansion; `None` where nothing is left of it. What was changed is said.
async fn usable_key(key: &str, place: &Workplace<'_>) -> Option<String> {
    let expanded = if key.is_empty() { key::DEFAULT.to_owned() } else { place.variables.expand(key) };
    match key::clean(&expanded) {
        Some(clean) if clean == expanded => Some(clean),
        Some(clean) => {
            place.warn(&format!("the cache's key {expanded:?} is used as {clean:?}")).await;
            Some(clean)
        }
        None => {
            place
                .warn(&format!("there is nothing left of the cache's key {key:?}, so it has no cache"))
                .await;
            None
        }
    }
}

/// The keys to try after the first one.
async fn fallbacks(spec: &CacheSpec, place: &Workplace<'_>) -> Vec<String> {
    let mut keys = Vec::new();
    for key in spec.fallback_keys.iter().filter(|key| !place.variables.expand(key).is_empty()) {
        keys.extend(usable_key(key, place).await);
    }
    keys.extend(common_fallback(place.variables, place).await);
    keys
}

/// `CACHE_FALLBACK_KEY`, unless it would give the cache of protected refs to everybody.
async fn common_fallback(variables: &Variables, place: &Workplace<'_>) -> Option<String> {
    let key = key::clean(&variables.value("CACHE_FALLBACK_KEY"))?;
    if key::is_protected(&key) {
        place.warn(&format!("CACHE_FALLBACK_KEY is ignored: {key:?} ends with \"-protected\"")).await;
        return None;
    }
    Some(key)
}

#[cfg(test)]
mod tests;
