//! Many short runs of a few jobs each, in simulated pods: each has a server of its own on a bad way, and managers that are
//! killed; pods wait before their helper and between helper and build.
//!
//! Minutes of the real world are seconds here, and the silence that a server takes for the end of a job is scaled with
//! them: it is the `LONGEST_WAIT` of those who judge, and some pods wait for longer than that before their helper, and some
//! between helper and build.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Api, ResourceExt, api::DeleteParams};
use runner_testkit::{
    gitlab::{Endpoint, Fault, Settings},
    kubelet::{Kubelet, KubeletSettings, Pace, Play},
};
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{Queued, Stage, judge};
use crate::{
    Bed,
    gitlab::Server,
    program,
    soak::{Fate, Kind, Launcher, Origin, Random, SoakJob, Summary, host, left_of_jobs},
};

/// How long the last manager of a run may take to end what is left.
const DRAIN: Duration = Duration::from_mins(4);

/// So many jobs of one run at a time.
const CONCURRENT: usize = 4;

/// The numbers of the jobs of one run begin so much after those of the run before it: all are in one namespace.
const JOBS_OF_A_RUN: u64 = 100;

/// A namespace with a simulated node, for runs.
pub struct SimulatedSoak {
    bed: Bed,
    kubelet: Kubelet,
    program: PathBuf,
    folder: TempDir,
}

impl SimulatedSoak {
    /// One whose managers are `program`.
    ///
    /// # Errors
    /// Where there is no cluster, or pods cannot be played: that needs root.
    pub async fn new(program: &Path) -> Result<Self> {
        let bed = Bed::new("soak-simulated").await?;
        let address = host(&bed.admin).await?.parse().context("the address of this machine")?;
        let settings = KubeletSettings {
            pods: 500,
            play: Play::Processes { agent: program::agent()? },
            pacing: Arc::new(pace),
            ..KubeletSettings::new(&format!("{}-node", bed.namespace), address)
        };
        let kubelet = Kubelet::start(bed.admin.clone(), settings).await?;
        Ok(Self { bed, kubelet, program: program.to_owned(), folder: tempfile::tempdir()? })
    }

    /// Does one run, which follows from its seed but for what the machine is busy with. `number` is not that of another
    /// run of this namespace.
    ///
    /// # Errors
    /// Where it could not be done. What was found is in the summary.
    pub async fn run(&self, seed: u64, number: u64) -> Result<Summary> {
        let mut random = Random::new(seed);
        let stage = Arc::new(self.stage(seed, number).await?);
        let folder = self.folder.path().join(format!("run-{number}"));
        std::fs::create_dir_all(&folder)?;
        let gitlab = &stage.server.gitlab;
        let origin = Origin::GitLab { url: gitlab.url().into(), token: gitlab.runner_token().into() };
        let launcher = Launcher::new(&self.program, &self.bed, origin, CONCURRENT, &folder).await?;
        let launcher = launcher.named(format!("run-{number}")).on_node(self.kubelet.name());
        let mut jobs = JoinSet::new();
        // An upload is given up after some seconds, and then its job has failed rightly.
        let has_outages = seed.is_multiple_of(2);
        for number in 0..2 + random.below(3) {
            jobs.spawn(one_job(Arc::clone(&stage), (random.next_number(), has_outages), number));
        }
        let mut summary = Summary::default();
        let kills = 1 + random.below(3);
        let jobs = async {
            for _ in 0..kills {
                if let Fate::Ended(status) = stage.one_life(&mut random, &launcher).await? {
                    summary.other += 1;
                    summary.faults.push(format!("a manager ended by itself: {status}"));
                }
                summary.kills += 1;
                sleep(Duration::from_millis(random.pick(&[0, 0, 500, 3000]))).await;
            }
            let last = stage.launch(&launcher, None, random.below(2) == 0)?;
            tokio::select! {
                fate = last.live(DRAIN * 2) => anyhow::bail!("the last manager ended: {fate:?}"),
                drained = timeout(DRAIN, jobs.join_all()) => {
                    let ids = stage.ids();
                    anyhow::Ok((drained.is_ok(), left_of_jobs(&stage.bed, &ids).await?))
                }
            }
        };
        let (drained, left) = jobs.await?;
        summary.note_end(drained, &left);
        judge::judge(&stage, &mut summary);
        if !summary.is_clean() {
            println!("soak: seed {seed}, {summary}; the managers wrote:\n{}", launcher.output()?);
        }
        summary.faults.iter_mut().for_each(|fault| *fault = format!("seed {seed}: {fault}"));
        Ok(summary)
    }

    async fn stage(&self, seed: u64, number: u64) -> Result<Stage> {
        let settings = Settings {
            // What a manager takes with it to its grave comes back soon.
            acknowledge_within: Duration::from_secs(5),
            remembered_requests: 20_000,
            first_job: 1000 + number * JOBS_OF_A_RUN,
            ..Settings::default()
        };
        let server = Server::start_with(&self.bed, settings).await?;
        Stage::with(self.bed.clone(), server, None, seed).await
    }

    /// Removes the node and the namespace.
    ///
    /// # Errors
    /// Those of the cluster.
    pub async fn close(self) -> Result<()> {
        self.kubelet.remove().await?;
        let namespaces: Api<Namespace> = Api::all(self.bed.admin.clone());
        namespaces.delete(&self.bed.namespace, &DeleteParams::default()).await?;
        Ok(())
    }
}

impl Stage {
    fn ids(&self) -> Vec<u64> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|queued| queued.id).collect()
    }
}

/// One job, from the queue to its end, with the faults of its own.
async fn one_job(stage: Arc<Stage>, (seed, has_outages): (u64, bool), number: u64) {
    let mut random = Random::new(seed);
    sleep(Duration::from_millis(random.below(3000))).await;
    let mut job = SoakJob::of_simulated(&mut random, number, stage.marks.address());
    if has_outages && job.kind == Kind::Uploading {
        job = SoakJob::of_kind(&mut random, number, Kind::Talking, stage.marks.address());
    }
    let damage_after = (random.below(10) == 0).then(|| Duration::from_millis(random.below(8000)));
    let gitlab = &stage.server.gitlab;
    let queued = {
        // Nobody may see the job before its faults are planned.
        let mut all = stage.queued.lock().unwrap_or_else(PoisonError::into_inner);
        let id = gitlab.queue(stage.payload(&job, None));
        gitlab.defer_updates(id, random.pick(&[0, 0, 0, 0, 1, 2]));
        let faults = usize::try_from(random.pick(&[0, 0, 0, 1, 3])).unwrap_or(0);
        gitlab.fail_job(id, Endpoint::Trace, std::iter::repeat_n(Fault::Status(416), faults));
        let queued = Queued { job, id, wait: None, damage_after };
        all.push(queued.clone());
        queued
    };
    if has_outages && random.below(3) == 0 {
        sleep(Duration::from_millis(random.below(6000))).await;
        gitlab.outage(Duration::from_millis(random.below(6000)));
    }
    stage.disturb(&queued).await;
}

/// How long the pod of a job waits, the same for the same Secret: most do not, and some longer than a server may hear
/// nothing of a job.
fn pace(pod: &Pod) -> Pace {
    let owner = pod.owner_references().first().map(|owner| owner.name.clone()).unwrap_or_default();
    let seed = owner.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mut random = Random::new(seed);
    let mut wait = || {
        let longest = match random.below(16) {
            0..9 => 200,
            9..13 => 2000,
            13..15 => 10_000,
            _ => 80_000,
        };
        Duration::from_millis(random.below(longest))
    };
    Pace { before_first: wait(), between: wait(), lag: Duration::from_millis(random.below(1000)) }
}
