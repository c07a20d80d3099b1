//! The same with a GitLab server as the source: its manager is killed, the way to it is bad, and pods are slow to start.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};
use runner_testkit::gitlab::{Chaos, Endpoint, Fault, Settings};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant as Time, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Death, Deletions, Fate, Launcher, Marks, Origin, Random, SoakJob, Summary, left_of, marks, victim::NAME,
};
use crate::{Bed, gitlab::Server};

mod disturb;
mod judge;
mod payload;
mod silence;
mod simulated;

use disturb::Places;
use payload::Wait;
pub use simulated::SimulatedSoak;

/// How long the last of the managers may take to end what is left.
const DRAIN: Duration = Duration::from_mins(6);

/// How long a kill is waited for that waits for something.
const LONGEST_LIFE: Duration = Duration::from_secs(6);

/// What is done.
#[derive(Debug, Clone)]
pub struct GitLabSoak {
    /// Everything that is random follows from it, but for what the cluster does.
    pub seed: u64,
    /// So many kills.
    pub kills: usize,
    /// It ends after this time, even with fewer kills.
    pub time: Duration,
    /// So many jobs at a time.
    pub concurrent: usize,
}

/// A job that was queued, and what becomes of it besides kills.
#[derive(Debug, Clone)]
struct Queued {
    job: SoakJob,
    /// Its number at the server.
    id: u64,
    wait: Option<Wait>,
    /// When the server loses a byte of its log, after it was accepted.
    damage_after: Option<Duration>,
}

/// What all parts of one run share.
struct Stage {
    bed: Bed,
    server: Server,
    marks: Marks,
    /// Where pods wait; none where their kubelet lets them wait.
    places: Option<Places>,
    queued: Mutex<Vec<Queued>>,
    deletions: Deletions,
    lives: Mutex<Vec<Life>>,
}

/// The life of a manager.
#[derive(Debug, Clone, Copy)]
struct Life {
    begin: Time,
    end: Option<Time>,
    /// Whether it reports the jobs that it takes.
    relays: bool,
}

impl GitLabSoak {
    /// Runs it, with `program` as the one that is killed.
    ///
    /// # Errors
    /// Where it could not be done. What was found is in the summary.
    pub async fn run(&self, program: &Path) -> Result<Summary> {
        println!("soak: GitLab, seed {}, {} kills, at most {:?}", self.seed, self.kills, self.time);
        let folder = tempfile::tempdir()?;
        let stage = Arc::new(Stage::new(self.seed).await?);
        let gitlab = &stage.server.gitlab;
        let origin = Origin::GitLab { url: gitlab.url().into(), token: gitlab.runner_token().into() };
        let launcher = Launcher::new(program, &stage.bed, origin, self.concurrent, folder.path()).await?;
        let stop = CancellationToken::new();
        let mut feeding = JoinSet::new();
        feeding.spawn(feed(Arc::clone(&stage), self.seed, self.concurrent + 1, stop.clone()));
        let mut summary = self.kill(&stage, &launcher).await?;
        stop.cancel();
        let last = stage.launch(&launcher, None, false)?;
        let drained = async {
            let drained = timeout(DRAIN, feeding.join_all()).await.is_ok();
            (drained, left_of(&stage.bed, NAME).await)
        };
        let (drained, left) = tokio::select! {
            fate = last.live(DRAIN * 2) => anyhow::bail!("the last manager ended: {fate:?}"),
            drained = drained => drained,
        };
        drop(last);
        summary.note_end(drained, &left?);
        judge::judge(&stage, &mut summary);
        if let Some(places) = &stage.places {
            places.remove(&stage.bed).await?;
        }
        if !summary.is_clean() {
            println!("the managers wrote {}", folder.keep().display());
        }
        let namespaces: Api<Namespace> = Api::all(stage.bed.admin.clone());
        namespaces.delete(&stage.bed.namespace, &DeleteParams::default()).await?;
        Ok(summary)
    }

    async fn kill(&self, stage: &Stage, launcher: &Launcher) -> Result<Summary> {
        let mut random = Random::new(self.seed ^ 0x6b69_6c6c);
        let end = Instant::now() + self.time;
        let mut summary = Summary::default();
        while summary.kills < self.kills && Instant::now() < end {
            if let Fate::Ended(status) = stage.one_life(&mut random, launcher).await? {
                summary.other += 1;
                summary.faults.push(format!("a manager ended by itself: {status}"));
            }
            summary.kills += 1;
            if summary.kills.is_multiple_of(10) {
                let queued = stage.queued.lock().unwrap_or_else(PoisonError::into_inner).len();
                println!("soak: {} kills, {queued} jobs so far", summary.kills);
            }
            if random.below(2) == 0 {
                sleep(Duration::from_millis(random.below(5000))).await;
            }
        }
        Ok(summary)
    }
}

impl Stage {
    async fn new(seed: u64) -> Result<Self> {
        let bed = Bed::new("soak-gitlab").await?;
        let settings = Settings {
            // What a manager takes with it to its grave comes back soon.
            acknowledge_within: Duration::from_secs(15),
            remembered_requests: 200_000,
            ..Settings::default()
        };
        let server = Server::start_with(&bed, settings).await?;
        let places = Some(Places::new(&bed).await?);
        Self::with(bed, server, places, seed).await
    }

    /// One whose server disturbs the way to it as the seed says.
    async fn with(bed: Bed, server: Server, places: Option<Places>, seed: u64) -> Result<Self> {
        server.gitlab.fail_randomly(Some(Chaos {
            seed,
            per_mille: 150,
            // Uploads are given up after some tries, and then a job has failed rightly.
            endpoints: vec![Endpoint::Request, Endpoint::Update, Endpoint::Trace],
            faults: vec![
                Fault::Status(500),
                Fault::Status(502),
                Fault::Status(503),
                Fault::RetryAfter(1),
                Fault::ResetBefore,
                Fault::ResetAfter,
                Fault::TruncatedBody,
                Fault::Slow(Duration::from_secs(2)),
            ],
        }));
        let marks = Marks::new(&marks::address(&bed.admin).await?).await?;
        let (queued, deletions, lives) = (Mutex::default(), Deletions::default(), Mutex::default());
        Ok(Self { bed, server, marks, places, queued, deletions, lives })
    }

    /// Starts a manager.
    fn launch(&self, launcher: &Launcher, death: Option<Death>, relays: bool) -> Result<super::Victim> {
        let life = Life { begin: Time::now(), end: None, relays };
        self.lives.lock().unwrap_or_else(PoisonError::into_inner).push(life);
        launcher.launch_as(death, relays)
    }

    /// One manager, from its start to its violent end.
    async fn one_life(&self, random: &mut Random, launcher: &Launcher) -> Result<Fate> {
        let gitlab = &self.server.gitlab;
        if random.below(8) == 0 {
            gitlab.outage(Duration::from_millis(random.below(1500)));
        }
        let relays = random.below(2) == 0;
        let longest = Duration::from_millis(random.pick(&[1500, 3000, 8000]));
        let longest = Duration::from_millis(random.below(8000)).min(longest);
        let (death, trap, life) = match random.below(10) {
            0..6 => (None, None, longest),
            6..8 => (Some(Death::at(1 + random.below(25), random.below(2) == 0)), None, LONGEST_LIFE),
            _ => (
                None,
                Some(random.pick(&[Endpoint::Request, Endpoint::Update, Endpoint::Trace])),
                LONGEST_LIFE,
            ),
        };
        let victim = self.launch(launcher, death, relays)?;
        let killer = victim.killer();
        let trapped = async {
            if let Some(endpoint) = trap {
                gitlab.wait_for_requests(endpoint, gitlab.count(endpoint) + 1).await;
                killer.kill();
            }
            std::future::pending::<()>().await;
        };
        let fate = tokio::select! {
            fate = victim.live(life) => fate,
            () = trapped => Ok(Fate::Killed),
        };
        if let Some(life) = self.lives.lock().unwrap_or_else(PoisonError::into_inner).last_mut() {
            life.end = Some(Time::now());
        }
        fate
    }
}

/// Queues a job whenever fewer than `most` are not over, and waits for all of them when it is to stop.
async fn feed(stage: Arc<Stage>, seed: u64, most: usize, stop: CancellationToken) {
    let mut random = Random::new(seed);
    let places = Arc::new(Semaphore::new(most));
    let mut jobs = JoinSet::new();
    for number in 0.. {
        let place = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let job = SoakJob::of_gitlab(&mut random, number, stage.marks.address());
        let wait = Wait::draw(&mut random);
        let defers = random.pick(&[0, 0, 0, 0, 1, 2]);
        let id = stage.server.gitlab.queue(stage.payload(&job, wait));
        stage.server.gitlab.defer_updates(id, defers);
        let queued = Queued { job, id, wait, damage_after: None };
        stage.queued.lock().unwrap_or_else(PoisonError::into_inner).push(queued.clone());
        let stage = Arc::clone(&stage);
        jobs.spawn(async move {
            stage.disturb(&queued).await;
            drop(place);
        });
        while jobs.try_join_next().is_some() {}
    }
    jobs.join_all().await;
}
