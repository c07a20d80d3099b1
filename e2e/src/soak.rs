//! Runs jobs on the cluster while whoever runs them is killed again and again, and judges what came of it.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use tokio::task::JoinSet;

mod gitlab;
mod kinds;
mod marks;
mod random;
mod summary;
mod victim;

pub use gitlab::{GitLabSoak, SimulatedSoak};
pub use kinds::{Kind, SoakJob};
pub use marks::{Marks, address as host};
pub use random::Random;
pub use summary::Summary;
pub use victim::{Death, Fate, Launcher, Origin, Victim};

use crate::{
    Bed,
    source::{CallKind, Moment, SourceServer, State, Trap},
};

/// How long the last of the runners may take to end what is left.
const DRAIN: Duration = Duration::from_mins(4);

/// The label with the name of the manager that a job is with.
const MANAGER: &str = "runner.dev/manager";

/// How long a kill is waited for that waits for something.
const LONGEST_LIFE: Duration = Duration::from_secs(6);

/// What is done.
#[derive(Debug, Clone)]
pub struct Soak {
    /// Everything that is random follows from it, but for what the cluster does.
    pub seed: u64,
    /// So many kills.
    pub kills: usize,
    /// It ends after this time, even with fewer kills.
    pub time: Duration,
    /// So many jobs at a time.
    pub concurrent: usize,
}

/// When pods of which jobs were deleted from outside.
pub type Deletions = Arc<Mutex<BTreeMap<String, Instant>>>;

/// What all parts of one run share.
struct Stage {
    bed: Bed,
    server: SourceServer,
    marks: Marks,
    jobs: Mutex<Vec<SoakJob>>,
    deletions: Deletions,
}

impl Soak {
    /// Runs it, with `program` as the one that is killed.
    ///
    /// # Errors
    /// Where it could not be done. What was found is in the summary.
    pub async fn run(&self, program: &Path) -> Result<Summary> {
        println!("soak: seed {}, {} kills, at most {:?}", self.seed, self.kills, self.time);
        let folder = tempfile::tempdir()?;
        let bed = Bed::new("soak").await?;
        let server = SourceServer::new(&folder.path().join("source.socket"))?;
        let marks = Marks::new(&marks::address(&bed.admin).await?).await?;
        let origin = Origin::Socket(server.socket().to_owned());
        let launcher = Launcher::new(program, &bed, origin, self.concurrent, folder.path()).await?;
        let stage =
            Arc::new(Stage { bed, server, marks, jobs: Mutex::default(), deletions: Deletions::default() });
        let kills = {
            let mut feeding = JoinSet::new();
            feeding.spawn(feed(Arc::clone(&stage), self.seed, self.concurrent + 1));
            self.kill(&stage, &launcher).await?
        };
        stage.server.ledger().close();
        let drained = drain(&launcher).await?;
        let left = left_of(&stage.bed, victim::NAME).await?;
        let summary = summary::judge(&stage, kills, drained, &left);
        if !summary.is_clean() {
            println!("the runners wrote {}", folder.keep().display());
        }
        if let Some(stage) = Arc::into_inner(stage) {
            let namespaces: Api<Namespace> = Api::all(stage.bed.admin.clone());
            namespaces.delete(&stage.bed.namespace, &DeleteParams::default()).await?;
        }
        Ok(summary)
    }

    async fn kill(&self, stage: &Stage, launcher: &Launcher) -> Result<usize> {
        let mut random = Random::new(self.seed ^ 0x6b69_6c6c);
        let end = Instant::now() + self.time;
        let mut kills = 0;
        while kills < self.kills && Instant::now() < end {
            let victim = self.one_life(&mut random, stage, launcher).await?;
            kills += 1;
            stage.server.ledger().holder_died(victim, Instant::now());
            if kills.is_multiple_of(10) {
                let ledger = stage.server.ledger();
                let (all, open) = (ledger.accounts().count(), ledger.open());
                println!("soak: {kills} kills, {} jobs ended, {open} open", all - open);
            }
            if random.below(2) == 0 {
                tokio::time::sleep(Duration::from_millis(random.below(5000))).await;
            }
        }
        Ok(kills)
    }

    /// One runner, from its start to its violent end.
    async fn one_life(&self, random: &mut Random, stage: &Stage, launcher: &Launcher) -> Result<u64> {
        let longest = Duration::from_millis(random.below(3000));
        let (death, trap, life) = match random.below(10) {
            0..6 => (None, None, longest),
            6..8 => (Some(Death::at(1 + random.below(25), random.below(2) == 0)), None, LONGEST_LIFE),
            _ => (None, Some(trap_of(random)), LONGEST_LIFE),
        };
        let victim = launcher.launch(death)?;
        if let Some((kind, moment)) = trap {
            let killer = victim.killer();
            stage.server.set(Some(Trap { kind, moment, act: Box::new(move || killer.kill()) }));
        }
        let fate = victim.live(life).await?;
        stage.server.set(None);
        if let Fate::Ended(status) = fate {
            stage.server.ledger().violated("-", format!("a runner ended by itself: {status}"));
        }
        Ok(victim.holder())
    }
}

fn trap_of(random: &mut Random) -> (CallKind, Moment) {
    let kinds = [CallKind::Next, CallKind::Accept, CallKind::Append, CallKind::Complete, CallKind::Complete];
    let kind = random.pick(&kinds);
    let moment = random.pick(&[Moment::Before, Moment::After]);
    (kind, moment)
}

/// Adds a job whenever there are fewer than `most`.
async fn feed(stage: Arc<Stage>, seed: u64, most: usize) {
    let mut random = Random::new(seed);
    let mut deleting = JoinSet::new();
    for number in 0.. {
        stage.server.until(|ledger| ledger.open() < most).await;
        let job = SoakJob::new(&mut random, number, stage.marks.address());
        stage.server.ledger().add(job.spec(), job.plan);
        stage.jobs.lock().unwrap_or_else(PoisonError::into_inner).push(job.clone());
        if let Kind::Deleted { after, grace } = job.kind {
            let stage = Arc::clone(&stage);
            deleting.spawn(async move {
                let is_accepted = |state| matches!(state, State::Accepted(_) | State::Ended);
                stage
                    .server
                    .until(|ledger| ledger.account(&job.id).is_none_or(|job| is_accepted(job.state)))
                    .await;
                tokio::time::sleep(after).await;
                let found = delete_pod_of(&stage.bed, &stage.deletions, (&job.id, &job.id), grace);
                if let Err(error) = found.await {
                    println!("soak: cannot delete the pod of {}: {error:#}", job.id);
                }
            });
        }
        while deleting.try_join_next().is_some() {}
    }
}

/// Lets a last runner end what is left. Returns whether it did.
async fn drain(launcher: &Launcher) -> Result<bool> {
    let victim = launcher.launch(None)?;
    Ok(matches!(victim.live(DRAIN).await?, Fate::Ended(status) if status.success()))
}

/// Deletes the pod of a job, and notes that under the first of the two names of it; the second one is that of its source.
async fn delete_pod_of(bed: &Bed, deletions: &Deletions, (job, id): (&str, &str), grace: u32) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let prefix = format!("runner-job-{id}-");
    let is_of_job = |pod: &Pod| pod.owner_references().iter().any(|owner| owner.name.starts_with(&prefix));
    let listed = pods.list(&ListParams::default()).await?;
    for pod in listed.items.iter().filter(|pod| is_of_job(pod)) {
        let parameters = DeleteParams { grace_period_seconds: Some(grace), ..DeleteParams::default() };
        deletions.lock().unwrap_or_else(PoisonError::into_inner).insert(job.to_owned(), Instant::now());
        pods.delete(&pod.name_any(), &parameters).await?;
    }
    Ok(())
}

/// What is left of the jobs of the manager of that name, once the cluster has removed what has no owner any more.
///
/// # Errors
/// Where the cluster does not answer.
pub async fn left_of(bed: &Bed, name: &str) -> Result<Vec<String>> {
    let is_ours = |secret: &Secret| secret.labels().get(MANAGER).is_some_and(|manager| manager == name);
    what_is_left(bed, |secrets, owner| {
        // A pod does not say whose it is; the Secret that owns it does, and one without is nobody else's.
        secrets.iter().find(|secret| secret.name_any() == owner).is_none_or(is_ours)
    })
    .await
}

/// What is left of those jobs, by their numbers at the source.
async fn left_of_jobs(bed: &Bed, ids: &[u64]) -> Result<Vec<String>> {
    let prefixes: Vec<String> = ids.iter().map(|id| format!("runner-job-{id}-")).collect();
    what_is_left(bed, |_, owner| prefixes.iter().any(|prefix| owner.starts_with(prefix))).await
}

/// The pods and Secrets of jobs whose first Secret `is_ours`, once the cluster has had a minute to remove them.
async fn what_is_left(bed: &Bed, is_ours: impl Fn(&[Secret], &str) -> bool) -> Result<Vec<String>> {
    let pods: Api<Pod> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let secrets: Api<Secret> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let of_jobs = ListParams::default().labels("app.kubernetes.io/managed-by=runner");
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let pods = pods.list(&of_jobs).await?.items;
        let secrets = secrets.list(&of_jobs).await?.items;
        let owner = |pod: &Pod| pod.owner_references().first().map(|owner| owner.name.clone());
        let pods = pods.iter().filter(|pod| owner(pod).is_none_or(|owner| is_ours(&secrets, &owner)));
        let pods = pods.map(|pod| format!("pod {}", pod.name_any()));
        let ours = secrets.iter().filter(|secret| is_ours(&secrets, &secret.name_any()));
        let ours = ours.map(|secret| format!("secret {}", secret.name_any()));
        let left: Vec<String> = pods.chain(ours).collect();
        if left.is_empty() || Instant::now() > end {
            return Ok(left);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
