//! Kills of the runner between each two of its requests to the API server.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use e2e::{
    Bed, job,
    soak::{Death, Fate, Kind, Launcher, Marks, Origin, Random, SoakJob, Summary, host, left_of},
    source::SourceServer,
};
use k8s_openapi::api::core::v1::Secret as KubernetesSecret;
use kube::ResourceExt;
use runner_core::{
    Executor, JobContext, JobLease, JobOutcome, JobReport, SavedLease, Secret,
    outcome::LogDigest,
    source::{Completion, JobState, LogReply, Wish},
};
use runner_testkit::{MemoryArtifacts, RecordingReport};
use tokio::task::JoinSet;

/// How long one job may take after all kills.
const LONGEST: Duration = Duration::from_mins(2);

/// No job needs as many requests, however often its runner dies.
const MOST: u64 = 100;

/// How the runners of a job die.
#[derive(Debug, Clone, Copy)]
enum Course {
    /// The first one at this request; the second one lives.
    Once(u64),
    /// The n-th one at its n-th request, until one ends before it.
    Chain,
}

/// One job, and what kills its runners.
#[derive(Debug, Clone, Copy)]
struct Case {
    kind: Kind,
    course: Course,
    before: bool,
}

/// What came of a case.
struct Outcome {
    summary: Summary,
    /// A runner ended before it could be killed.
    survived: bool,
}

impl Case {
    async fn run(self, bed: &Bed, host: &str) -> Result<Outcome> {
        let folder = tempfile::tempdir()?;
        let server = SourceServer::new(&folder.path().join("source.socket"))?;
        let marks = Marks::new(host).await?;
        let job = SoakJob::of_kind(&mut Random::new(1), 0, self.kind, marks.address());
        server.ledger().add(job.spec(), job.plan);
        server.ledger().close();
        let name = folder.path().file_name().unwrap_or_default().to_string_lossy().replace('.', "");
        let program = Path::new(env!("CARGO_BIN_EXE_victim"));
        let launcher =
            Launcher::new(program, bed, Origin::Socket(server.socket().to_owned()), 1, folder.path())
                .await?
                .named(name.clone());
        let mut summary = Summary::default();
        let mut survived = false;
        let requests = match self.course {
            Course::Once(request) => request..=request,
            Course::Chain => 1..=MOST,
        };
        for request in requests {
            let victim = launcher.launch(Some(Death::at(request, self.before)))?;
            survived = victim.live(LONGEST).await? != Fate::Killed;
            if survived {
                break;
            }
            summary.kills += 1;
            server.ledger().holder_died(victim.holder(), std::time::Instant::now());
        }
        let drained = survived || matches!(launcher.launch(None)?.live(LONGEST).await?, Fate::Ended(_));
        if let Some(account) = server.ledger().account(&job.id) {
            summary.judge(&job, account, &marks, None);
        }
        let left = left_of(bed, &name).await?;
        summary.note(&server.ledger(), drained, &left);
        if !summary.is_clean() {
            summary.faults.push(format!("{self:?}: {}", launcher.output()?));
        }
        Ok(Outcome { summary, survived })
    }
}

/// Runs cases with ever later kills, a few at a time, until there are no more requests to die at.
async fn all_points(bed: &Bed, kind: Kind) -> Result<Summary> {
    let host = host(&bed.admin).await?;
    let mut summary = Summary::default();
    for before in [true, false] {
        for first in (1..MOST).step_by(4) {
            let cases =
                (first..first + 4).map(|request| Case { kind, course: Course::Once(request), before });
            let outcomes = together(bed, &host, cases).await?;
            let is_last = outcomes.iter().any(|outcome| outcome.survived);
            outcomes.into_iter().for_each(|outcome| summary.add(outcome.summary));
            let moment = if before { "before" } else { "after" };
            println!("kill points: {moment} requests {first} to {}: {summary}", first + 3);
            if is_last {
                break;
            }
        }
    }
    Ok(summary)
}

async fn together(bed: &Bed, host: &str, cases: impl Iterator<Item = Case>) -> Result<Vec<Outcome>> {
    let mut running = JoinSet::new();
    for case in cases {
        let (bed, host) = (bed.clone(), host.to_owned());
        running.spawn(async move { case.run(&bed, &host).await });
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = running.join_next().await {
        outcomes.push(outcome??);
    }
    Ok(outcomes)
}

async fn finish(name: &str, bed: Bed, summary: Summary) -> Result<()> {
    for fault in &summary.faults {
        println!("FAULT {fault}");
    }
    println!("kill points, {name}: {summary}");
    bed.close().await?;
    ensure!(summary.is_clean(), "{summary}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_survives_a_kill_at_each_request() -> Result<()> {
    let bed = Bed::new("points").await?;
    let summary = all_points(&bed, Kind::After).await?;
    finish("a job that succeeds", bed, summary).await
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_survive_runners_that_die_at_later_and_later_requests() -> Result<()> {
    let bed = Bed::new("chain").await?;
    let host = host(&bed.admin).await?;
    let mut cases = Vec::new();
    for kind in [Kind::Quick, Kind::Talking, Kind::Failing(3), Kind::Serviced, Kind::Canceled] {
        cases.extend([true, false].map(|before| Case { kind, course: Course::Chain, before }));
    }
    let mut summary = Summary::default();
    for cases in cases.chunks(5) {
        for outcome in together(&bed, &host, cases.iter().copied()).await? {
            summary.add(outcome.summary);
        }
    }
    finish("chains of kills", bed, summary).await
}

/// A report whose source never answers.
#[derive(Debug)]
struct Deaf;

#[async_trait]
impl JobReport for Deaf {
    async fn accept(&self) -> runner_core::Result<Wish> {
        std::future::pending().await
    }

    async fn append_log(&self, _offset: u64, _bytes: Bytes) -> runner_core::Result<LogReply> {
        std::future::pending().await
    }

    async fn heartbeat(&self, _state: JobState) -> runner_core::Result<Wish> {
        std::future::pending().await
    }

    async fn complete(
        &self,
        _outcome: &JobOutcome,
        _log: Option<LogDigest>,
    ) -> runner_core::Result<Completion> {
        std::future::pending().await
    }
}

fn lease(state: &str, report: Arc<dyn JobReport>) -> JobLease {
    let job = Arc::new(job("again", "true"));
    let saved = SavedLease { runner: "e2e".into(), job: Arc::clone(&job), state: Secret::new(state) };
    JobLease { job, report, artifacts: MemoryArtifacts::new(), saved, remote: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_handed_out_again_is_resumed_with_its_new_lease() -> Result<()> {
    let bed = Bed::new("again").await?;
    let first = bed.executor();
    // It is stored and never accepted: its manager is as good as dead.
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { first.start(lease("1", Arc::new(Deaf)), JobContext::default()).await });
    let is_job = |secret: &Arc<KubernetesSecret>| {
        secret.labels().get("runner.dev/kind").is_some_and(|kind| kind == "job")
    };
    bed.until::<KubernetesSecret>(|secrets| secrets.iter().any(is_job)).await?;
    let second = bed.executor();
    let running = second.start(lease("2", RecordingReport::new()), JobContext::default()).await?;
    assert_eq!(second.adoptable().await?, [], "a job that runs here is none of an earlier process");
    let handles = bed.executor().adoptable().await?;
    let saved = handles.first().and_then(|handle| handle.saved.as_ref());
    assert_eq!(saved.map(|saved| saved.state.expose()), Some("2"));
    assert_eq!(running.wait().await?.outcome, JobOutcome::Succeeded);
    running.cleanup().await?;
    bed.close().await
}
