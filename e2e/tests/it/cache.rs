//! Caches of jobs in pods, in real stores.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use e2e::{Bed, Started, gitlab::Server, job, program::Manager, start_in, store::Store};
use flate2::read::GzDecoder;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, api::ListParams};
use nix::sys::signal::Signal;
use runner_cache::{
    Head, S3Cache, Transfer,
    head::{Pack, Place},
    transfer::Content,
};
use runner_core::{
    CacheBackend, CacheFormat, Executor, JobContext, JobOutcome, JobSpec, ReadGrant, WriteGrant,
    cache::Object,
    job::{CachePolicy, CacheSpec},
};
use runner_testkit::{
    cache_suite::{self, Harness},
    fault_proxy::{Fault, FaultProxy},
};

/// A bucket that no other test has, in this run or in another one.
fn bucket() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("e2e-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn caching(id: &str, key: &str, script: &str) -> JobSpec {
    let mut job = job(id, script);
    job.caches = vec![CacheSpec { key: key.into(), paths: vec!["deps/".into()], ..CacheSpec::default() }];
    job
}

async fn begin(executor: &dyn Executor, cache: &Arc<dyn CacheBackend>, job: JobSpec) -> Result<Started> {
    let context = JobContext { cache: Some(Arc::clone(cache)), ..JobContext::default() };
    Ok(start_in(executor, job, context).await?)
}

/// Runs a job that must succeed, and gives its log.
async fn run(bed: &Bed, cache: &Arc<dyn CacheBackend>, job: JobSpec) -> Result<String> {
    let executor = bed.executor();
    let started = begin(&*executor, cache, job).await?;
    let end = started.finish().await?;
    let log = started.report.text();
    ensure!(end.outcome == JobOutcome::Succeeded, "{:?}: {log}", end.outcome);
    Ok(log)
}

const MAKE: &str =
    "mkdir -p deps/sub && echo 42 > deps/sub/answer && ln -s sub/answer deps/link && chmod 750 deps/sub";
const USE: &str =
    "test \"$(cat deps/link)\" = 42 && test \"$(stat -c %a deps/sub)\" = 750 && echo it-is-there";
const MISS: &str = "test ! -e deps && echo it-is-not-there";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_saves_the_next_one_has() -> Result<()> {
    let (bed, cache) = (Bed::new("cache").await?, Store::named("MINIO")?.cache(&bucket()).await?);
    let saved = run(&bed, &cache, caching("1", "main", MAKE)).await?;
    ensure!(saved.contains("No cache found under main\n") && saved.contains("Cache saved: "), "{saved}");
    let restored = run(&bed, &cache, caching("2", "main", USE)).await?;
    ensure!(restored.contains("Cache main restored: ") && restored.contains("it-is-there\n"), "{restored}");
    ensure!(!restored.contains("WARNING"), "{restored}");
    // A job of another branch begins with it, and one of a protected ref does not.
    let mut fallback = caching("3", "branch", USE);
    fallback.caches[0].fallback_keys.push("main".into());
    let fell_back = run(&bed, &cache, fallback).await?;
    ensure!(fell_back.contains("Cache main restored: "), "{fell_back}");
    ensure!(
        run(&bed, &cache, caching("4", "branch", USE)).await?.contains("it-is-there\n"),
        "it was not saved"
    );
    let mut protected = caching("5", "main", MISS);
    protected.git.protected = true;
    let protected = run(&bed, &cache, protected).await?;
    ensure!(protected.contains("it-is-not-there\n"), "{protected}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_of_the_store_reaches_a_pod_or_a_log() -> Result<()> {
    let (bed, store) = (Bed::new("cache-keys").await?, Store::named("MINIO")?);
    let cache = store.cache(&bucket()).await?;
    run(&bed, &cache, caching("1", "k", MAKE)).await?;
    let executor = bed.executor();
    let started = begin(
        &*executor,
        &cache,
        caching("2", "k", "echo begun; env; set; until test -e go; do sleep 0.2; done"),
    )
    .await?;
    started.printed("begun\n").await?;
    let all = ListParams::default();
    let pods = Api::<Pod>::namespaced(bed.admin.clone(), &bed.namespace).list(&all).await?.items;
    let secrets = Api::<Secret>::namespaced(bed.admin.clone(), &bed.namespace).list(&all).await?.items;
    let pods = serde_json::to_string(&pods)?;
    let data = secrets.into_iter().filter_map(|secret| secret.data).flatten();
    let mut granted = String::new();
    for (key, value) in data {
        let mut text = String::from_utf8_lossy(&value.0).into_owned();
        if key == "caches" {
            std::io::Read::read_to_string(&mut GzDecoder::new(value.0.as_slice()), &mut granted)?;
            text.push_str(&granted);
        }
        ensure!(!text.contains(&store.secret_key), "the secret key is in {key}");
    }
    ensure!(granted.matches("X-Amz-Signature=").count() > 257, "the grants are in the Secret: {granted}");
    started.job.stop(runner_core::executor::Stop::Abort).await?;
    started.job.wait().await?;
    started.job.cleanup().await?;
    let log = started.report.text();
    for (place, text) in [("the pod", &pods), ("the log", &log)] {
        for word in [&store.secret_key, &store.access_key, "X-Amz"] {
            ensure!(!text.contains(word), "{word} is in {place}");
        }
    }
    bed.close().await
}

/// MinIO behind a proxy that misbehaves once it is told to.
struct Behind {
    bed: Bed,
    cache: Arc<dyn CacheBackend>,
    is_bad: Arc<AtomicBool>,
    _proxy: FaultProxy,
}

impl Behind {
    async fn new(name: &str, fault: Fault) -> Result<Self> {
        let (bed, store, bucket) = (Bed::new(name).await?, Store::named("MINIO")?, bucket());
        store.cache(&bucket).await?;
        let is_bad = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_bad);
        let host = store.address.rsplit_once(':').context("the store has a port")?.0.to_owned();
        let plan = move |_| if told.load(Ordering::Relaxed) { fault } else { Fault::None };
        let proxy = FaultProxy::start(&format!("{host}:0"), &store.address, plan).await?;
        let mut settings = store.settings(&bucket);
        settings.address = Some(proxy.address().to_string());
        let cache = Arc::new(S3Cache::new(settings, CacheFormat::Packs)?);
        Ok(Self { bed, cache, is_bad, _proxy: proxy })
    }

    fn go_bad(&self, is_bad: bool) {
        self.is_bad.store(is_bad, Ordering::Relaxed);
    }
}

/// How often the log warns.
fn warnings(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("WARNING")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_costs_the_cache_and_a_line_and_never_the_job() -> Result<()> {
    for (name, fault) in [("cut", Fault::Cut(100)), ("refuse", Fault::Answer(503))] {
        let behind = Behind::new(&format!("cache-{name}"), fault).await?;
        let Behind { bed, cache, .. } = &behind;
        let executor = bed.executor();
        run(bed, cache, caching("1", "k", MAKE)).await?;
        // What is granted is granted: from here on only the pod speaks to the store.
        let started = begin(&*executor, cache, caching("2", "k", MISS)).await?;
        behind.go_bad(true);
        let end = started.finish().await?;
        let log = started.report.text();
        ensure!(end.outcome == JobOutcome::Succeeded, "{name}: {log}");
        let warned = warnings(&log);
        ensure!(
            warned.len() <= 3 && warned.iter().any(|line| line.contains("is not restored: failed to")),
            "{name}: {log}"
        );
        ensure!(log.contains("it-is-not-there\n"), "{name}: {log}");
        behind.go_bad(false);
        // Without a restore, so that no connection is there already.
        let mut saving =
            caching("3", "k", "mkdir -p deps/sub; echo new > deps/sub/answer; echo begun; sleep 1");
        saving.caches[0].policy = CachePolicy::Push;
        let started = begin(&*executor, cache, saving).await?;
        started.printed("begun\n").await?;
        behind.go_bad(true);
        let end = started.finish().await?;
        let log = started.report.text();
        ensure!(end.outcome == JobOutcome::Succeeded, "{name}: {log}");
        ensure!(
            warnings(&log).len() == 1 && log.contains("cache k is not saved: failed to"),
            "{name}: {log}"
        );
        behind.go_bad(false);
        let log = run(bed, cache, caching("4", "k", USE)).await?;
        ensure!(log.contains("it-is-there\n"), "{name}: what was there is there still: {log}");
        behind.bed.close().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_slow_is_waited_for_and_one_that_hangs_delays_a_job_by_seconds() -> Result<()> {
    let behind = Behind::new("cache-slow", Fault::Hold(Duration::from_millis(700))).await?;
    behind.go_bad(true);
    run(&behind.bed, &behind.cache, caching("1", "k", MAKE)).await?;
    let log = run(&behind.bed, &behind.cache, caching("2", "k", USE)).await?;
    ensure!(warnings(&log).is_empty(), "{log}");
    behind.bed.close().await?;
    let behind = Behind::new("cache-hang", Fault::Hold(Duration::from_hours(1))).await?;
    behind.go_bad(true);
    let began = Instant::now();
    let executor = behind.bed.executor();
    let started = begin(&*executor, &behind.cache, caching("1", "k", "echo on")).await?;
    ensure!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let end = started.finish().await?;
    let log = started.report.text();
    ensure!(end.outcome == JobOutcome::Succeeded && log.contains("on\n"), "{log}");
    ensure!(log.contains("hear from the cache's store within 4 s"), "{log}");
    behind.bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_says_at_its_start_what_the_store_lacks_and_makes_the_bucket_if_asked() -> Result<()> {
    let (bed, store, bucket) = (Bed::new("cache-run").await?, Store::named("MINIO")?, bucket());
    let server = Server::start(&bed).await?;
    let section = |more: &str| {
        let Store { address, access_key, secret_key } = &store;
        format!(
            "  [runners.cache]\n    Type = \"s3\"\n    Shared = true\n{more}    [runners.cache.s3]\n      ServerAddress = {address:?}\n      \
             AccessKey = {access_key:?}\n      SecretKey = {secret_key:?}\n      BucketName = {bucket:?}\n      Insecure = true\n"
        )
    };
    let config = Manager::config(&bed, &server);
    let mut manager = Manager::start(&format!("{config}{}", section("")))?;
    let first = server.run_job(server.job("first", "true")).await;
    let said = manager.output()?;
    ensure!(said.contains(&format!("There is no bucket {bucket} at http://{}", store.address)), "{said}");
    ensure!(
        said.contains("s3 mb s3://") && said.contains("create_bucket = true"),
        "{said}\n{}",
        first.text()
    );
    manager.rewrite(&format!("{config}{}", section("    create_bucket = true\n")))?;
    let made = async {
        while store.cache_is_missing(&bucket).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), made).await.context("the bucket was never made")?;
    manager.signal(Signal::SIGQUIT)?;
    ensure!(manager.ended().await?.success(), "{}", manager.output()?);
    ensure!(!manager.output()?.contains(&store.secret_key), "a key is in the log");
    bed.close().await
}

#[derive(Debug)]
struct Bucket(Store);

async fn put(object: Option<&Object>, content: Vec<u8>) -> Result<(), String> {
    let location = &object.ok_or("no object")?.location;
    let written = Transfer::default().write(location, &Content::Bytes(content.into())).await;
    written.map_err(|error| error.chain())
}

#[async_trait]
impl Harness for Bucket {
    async fn backend(&self) -> Arc<dyn CacheBackend> {
        self.0.cache(&bucket()).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    async fn write(&self, grant: &WriteGrant, content: &[u8]) -> Result<(), String> {
        self.write_half(grant, content).await?;
        let pack = grant.objects.first().ok_or("no pack")?;
        let size = content.len() as u64 + 1;
        let name = runner_cache::PackName::parse(&pack.name).ok_or("an odd name")?;
        let index = Place { pack: 0, offset: 0, length: size, digest: [0; 32].into() };
        let head = Head { made: 1, files: 1, bytes: size, index, packs: vec![Pack { name, size, day: 1 }] };
        put(grant.objects.last(), head.to_text().into()).await
    }

    async fn write_half(&self, grant: &WriteGrant, content: &[u8]) -> Result<(), String> {
        // A pack has a byte at least.
        put(grant.objects.first(), [content, b"."].concat()).await
    }

    async fn write_again(&self, grant: &WriteGrant) -> Result<(), String> {
        let base = grant.base.as_ref().ok_or("no base")?;
        put(grant.objects.last(), base.head.clone().into()).await
    }

    async fn read(&self, grant: &ReadGrant) -> Result<Vec<u8>, String> {
        let head = Head::parse(grant.head.as_bytes()).map_err(|error| error.chain())?;
        let object = grant.objects.first().ok_or("no pack")?;
        let read = Transfer::default().read_all(&object.location, 0..head.packs[0].size).await;
        let mut content = read.map_err(|error| error.chain())?;
        content.pop();
        Ok(content)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_keeps_its_promises_on_two_stores_of_different_make() -> Result<()> {
    for name in ["MINIO", "VERSITYGW"] {
        let kept = cache_suite::check(&Bucket(Store::named(name)?)).await;
        kept.map_err(|broken| anyhow::anyhow!("{name}: {broken:?}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_and_a_missing_bucket_are_told_by_each_store() -> Result<()> {
    for name in ["MINIO", "VERSITYGW"] {
        let store = Store::named(name)?;
        let finding = async |store: &Store, bucket: &str| {
            let cache = S3Cache::new(store.settings(bucket), CacheFormat::Packs)?;
            let mut findings = cache.check(false).await;
            ensure!(findings.len() == 1, "{name}: {findings:?}");
            Ok(findings.remove(0))
        };
        let missing = finding(&store, &bucket()).await?;
        ensure!(missing.message.contains("There is no bucket"), "{name}: {missing:?}");
        let made = bucket();
        store.cache(&made).await?;
        let unknown = finding(&Store { access_key: "nobody".into(), ..store.clone() }, &made).await?;
        ensure!(unknown.mend.contains("AccessKey"), "{name}: {unknown:?}");
        let wrong = finding(&Store { secret_key: "wrong-secret".into(), ..store.clone() }, &made).await?;
        ensure!(wrong.mend.contains("SecretKey"), "{name}: {wrong:?}");
    }
    Ok(())
}
