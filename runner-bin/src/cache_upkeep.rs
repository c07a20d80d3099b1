//! `runner cache`: what is in a store of caches, and what goes from it.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use anyhow::anyhow;
use runner_cache::{
    Upkeep,
    upkeep::{Collected, Collection, ScopeUse},
};
use runner_config::{CacheConfig, CacheStore, RunnerConfig, S3Config, Surroundings, registration::Server};
use runner_core::CacheFormat;
use serde::Serialize;

use crate::{
    cache_store::{self, StoreSurrounding},
    cli::{
        Color, Output,
        cache::{Cache, CacheAction},
    },
    columns::columns,
    connection::connection,
    exit_code::ExitStatus,
    fault::{Fault, WrongFile},
    stdio::Stdio,
    wire,
};

/// What is kept for longer than this without being saved again may go: the format writes anew what is half as old.
const DAYS: u32 = 30;

/// Looks after the store of a config.
pub(crate) async fn look_after(options: &Cache) -> ExitStatus {
    let stdio = Stdio::new(options.output, Color::Auto, wire::taste());
    match look_after_or_fail(options, &stdio).await {
        Ok(()) => ExitStatus::Success,
        Err(fault) => {
            stdio.progress("");
            Stdio::error(&fault.text(stdio.error_palette().is_on()));
            fault.status
        }
    }
}

async fn look_after_or_fail(options: &Cache, stdio: &Stdio) -> Result<(), Fault> {
    let variables = wire::variables();
    let path = options.config.path(&variables, wire::is_root());
    let text = fs_err::read_to_string(&path).map_err(Fault::wrong_use)?;
    let surroundings = Surroundings::new(variables.clone()).with_files(Path::new(runner_config::SECRETS));
    let parsed = runner_config::parse(&path.display().to_string(), &text);
    let config = parsed.resolve_offline(&surroundings);
    let config = config.map_err(|mistakes| Fault::wrong_use(WrongFile::from(mistakes)))?;
    let (runner, cache) = choose(config.runners, options.runner.as_deref(), &path)?;
    if let CacheAction::Policy = options.action {
        return policy(&cache, options.output, stdio);
    }
    if cache.format == CacheFormat::Zip {
        let text =
            "entries in the format \"zip\" are GitLab Runner's, and only a lifecycle policy looks after them";
        return Err(Fault::wrong_use(anyhow!(text)).help("runner cache policy"));
    }
    let server = Server { url: runner.url.clone(), tls: runner.tls.clone() };
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let ca = connection(&server, folder, &variables).map_err(|error| failed(&error))?.ca;
    let surrounding = StoreSurrounding { identity: "", variables: &variables, ca };
    let upkeep = cache_store::upkeep(&cache, &surrounding).map_err(|error| failed(&error))?;
    match &options.action {
        CacheAction::Ls { scope } => list(&used(&upkeep, scope, stdio).await?, options.output, stdio),
        CacheAction::Du { scope } => show_use(&used(&upkeep, scope, stdio).await?, options.output, stdio),
        CacheAction::Gc { longest_job, unsaved_for, dry_run } => {
            let what = Collection {
                longest_job: *longest_job,
                unsaved_for: Some(*unsaved_for),
                is_rehearsal: *dry_run,
            };
            collect(&upkeep, &what, options.output, stdio).await?;
        }
        CacheAction::Rm { scope, entry } => {
            let name = upkeep.remove(scope, entry).await.map_err(|error| failed(&error))?;
            stdio.text(&format!("removed {scope}/{name}; its packs go with a later gc\n"));
        }
        CacheAction::Policy => {}
    }
    Ok(())
}

fn failed(error: &runner_core::Error) -> Fault {
    Fault::ours(anyhow!("failed to {}", error.chain()))
}

/// The runner of that name, or the first one, with a store.
fn choose(
    runners: Vec<RunnerConfig>,
    name: Option<&str>,
    path: &Path,
) -> Result<(RunnerConfig, CacheConfig), Fault> {
    let is_wanted = |runner: &RunnerConfig| name.is_none_or(|name| runner.name == name);
    let found = runners.into_iter().filter(is_wanted).find_map(|runner| {
        let cache = runner.cache.clone()?;
        Some((runner, cache))
    });
    found.ok_or_else(|| {
        let who = name.map_or_else(|| "no runner".to_owned(), |name| format!("no runner {name:?}"));
        let text = format!("{who} of {} names a store of caches that can be used", path.display());
        Fault::wrong_use(anyhow!(text))
            .help("see [runners.cache] in docs/cache.md; its variables must be set here as well")
    })
}

/// What is in the scopes whose name begins with `prefix`.
async fn used(upkeep: &Upkeep, prefix: &str, stdio: &Stdio) -> Result<Vec<ScopeUse>, Fault> {
    let scopes = upkeep.scopes().await.map_err(|error| failed(&error))?;
    let wanted: Vec<_> = scopes.into_iter().filter(|scope| scope.starts_with(prefix)).collect();
    let mut used = Vec::new();
    for (done, scope) in wanted.iter().enumerate() {
        stdio.progress(&bar(done, wanted.len()));
        used.extend(upkeep.usage(scope).await.map_err(|error| failed(&error))?);
    }
    stdio.progress("");
    Ok(used)
}

/// How far something is, as a bar.
fn bar(done: usize, all: usize) -> String {
    const WIDTH: usize = 30;
    let filled = done * WIDTH / all.max(1);
    format!("[{}{}] {done} of {all} scopes", "#".repeat(filled), "-".repeat(WIDTH - filled))
}

#[derive(Serialize)]
struct ListedEntry<'a> {
    scope: &'a str,
    name: &'a str,
    age_seconds: u64,
    files: Option<u64>,
    bytes: Option<u64>,
    stored_bytes: Option<u64>,
    packs: Option<usize>,
}

fn list(used: &[ScopeUse], output: Output, stdio: &Stdio) {
    let entries: Vec<_> =
        used.iter().flat_map(|scope| scope.entries.iter().map(|entry| listed(&scope.scope, entry))).collect();
    if output == Output::Json {
        return Stdio::json(&entries);
    }
    let header = ["SCOPE", "ENTRY", "SAVED", "FILES", "SIZE", "STORED", "PACKS"].map(ToOwned::to_owned);
    let or_unreadable = |text: Option<String>| text.unwrap_or_else(|| "unreadable".to_owned());
    let row = |entry: &ListedEntry<'_>| {
        [
            entry.scope.to_owned(),
            entry.name.to_owned(),
            format!("{} ago", age(entry.age_seconds)),
            or_unreadable(entry.files.map(|files| files.to_string())),
            or_unreadable(entry.bytes.map(size)),
            or_unreadable(entry.stored_bytes.map(size)),
            or_unreadable(entry.packs.map(|packs| packs.to_string())),
        ]
    };
    let rows: Vec<_> = std::iter::once(header).chain(entries.iter().map(row)).collect();
    stdio.text(&columns(&rows));
}

fn listed<'a>(scope: &'a str, entry: &'a runner_cache::upkeep::EntryUse) -> ListedEntry<'a> {
    let head = entry.head.as_ref();
    ListedEntry {
        scope,
        name: &entry.name,
        age_seconds: SystemTime::now().duration_since(entry.saved).map_or(0, |age| age.as_secs()),
        files: head.map(|head| head.files),
        bytes: head.map(|head| head.bytes),
        stored_bytes: head.map(runner_cache::Head::stored),
        packs: head.map(|head| head.packs.len()),
    }
}

#[derive(Serialize)]
struct ScopeSize<'a> {
    scope: &'a str,
    entries: usize,
    stored_bytes: u64,
    unneeded_bytes: u64,
}

fn show_use(used: &[ScopeUse], output: Output, stdio: &Stdio) {
    let sizes = |used: &ScopeUse| (used.entries.len(), used.stored, used.unneeded);
    if output == Output::Json {
        let of = |used| {
            let (entries, stored_bytes, unneeded_bytes) = sizes(used);
            ScopeSize { scope: &used.scope, entries, stored_bytes, unneeded_bytes }
        };
        return Stdio::json(&used.iter().map(of).collect::<Vec<_>>());
    }
    let all =
        used.iter().map(sizes).fold((0, 0, 0), |all, one| (all.0 + one.0, all.1 + one.1, all.2 + one.2));
    let row = |name: &str, (entries, stored, unneeded): (usize, u64, u64)| {
        [name.to_owned(), entries.to_string(), size(stored), size(unneeded)]
    };
    let header = ["SCOPE", "ENTRIES", "STORED", "NOT NEEDED"].map(ToOwned::to_owned);
    let rows = used.iter().map(|scope| row(&scope.scope, sizes(scope)));
    let rows: Vec<_> = std::iter::once(header).chain(rows).chain([row("all", all)]).collect();
    stdio.text(&columns(&rows));
}

async fn collect(upkeep: &Upkeep, what: &Collection, output: Output, stdio: &Stdio) -> Result<(), Fault> {
    let scopes = upkeep.scopes().await.map_err(|error| failed(&error))?;
    let mut all = Collected::default();
    for (done, scope) in scopes.iter().enumerate() {
        stdio.progress(&bar(done, scopes.len()));
        all = all.and(upkeep.collect(scope, what).await.map_err(|error| failed(&error))?);
    }
    stdio.progress("");
    if output == Output::Json {
        Stdio::json(&all);
        return Ok(());
    }
    stdio.text(&collected(&all, what.is_rehearsal));
    Ok(())
}

fn collected(all: &Collected, is_rehearsal: bool) -> String {
    let did = if is_rehearsal { "would remove" } else { "removed" };
    let Collected { entries, packs, bytes, waiting_packs, waiting_bytes, unreadable_scopes } = all;
    let mut lines = vec![format!("{did} {entries} entries and {packs} packs: {}\n", size(*bytes))];
    if *waiting_packs > 0 {
        let waiting = size(*waiting_bytes);
        lines.push(format!(
            "{waiting_packs} packs ({waiting}) go when a later call finds them still unneeded after the longest job\n"
        ));
    }
    if *unreadable_scopes > 0 {
        lines.push(format!(
            "{unreadable_scopes} scopes were left alone: the head of an entry cannot be read (see runner cache ls)\n"
        ));
    }
    lines.concat()
}

/// The lifecycle policy of a bucket, as S3 has it.
fn policy(cache: &CacheConfig, output: Output, stdio: &Stdio) -> Result<(), Fault> {
    let CacheStore::S3(s3) = &cache.store else {
        let text = "a directory has no lifecycle policy";
        return Err(Fault::wrong_use(anyhow!(text)).help("call runner cache gc daily"));
    };
    let prefix = cache.path.trim_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let document = serde_json::json!({"Rules": [{
        "ID": "runner-cache",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": DAYS},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }]});
    Stdio::json(&document);
    if output == Output::Human {
        stdio.text(&setting(s3, &prefix));
    }
    Ok(())
}

/// How the policy is set.
fn setting(s3: &S3Config, prefix: &str) -> String {
    let bucket = &s3.bucket;
    let endpoint = s3.server_address.as_ref().map_or_else(String::new, |address| {
        let scheme = if s3.is_insecure { "http" } else { "https" };
        format!(" --endpoint-url {scheme}://{address}")
    });
    let filter = if prefix.is_empty() { String::new() } else { format!(" --prefix '{prefix}'") };
    format!(
        "\n# aws:  runner cache policy --output json > policy.json && aws{endpoint} s3api \
         put-bucket-lifecycle-configuration --bucket {bucket} --lifecycle-configuration file://policy.json\n\
         # mc:   mc ilm rule add --expire-days {DAYS}{filter} ALIAS/{bucket}\n"
    )
}

/// A size in units of a thousand.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut whole, mut tenths, mut unit) = (bytes, 0, 0);
    while whole >= 1000 && unit + 1 < UNITS.len() {
        (whole, tenths, unit) = (whole / 1000, whole % 1000 / 100, unit + 1);
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenths} {name}") }
}

/// A span for people: `5m`, `7h`, `12d`.
fn age(seconds: u64) -> String {
    match Duration::from_secs(seconds).as_secs() / 60 {
        minutes @ 0..60 => format!("{minutes}m"),
        minutes @ 60..2880 => format!("{}h", minutes / 60),
        minutes => format!("{}d", minutes / 1440),
    }
}

#[cfg(test)]
mod tests;
