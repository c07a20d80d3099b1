//! The measurement: bare pods and jobs in turn, so that what else the machine does hits both.

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use tokio::time::{Duration, sleep};

use super::{
    figures::{Alone, Burst, Figures, Floor, Manager},
    many,
    options::Options,
    pods::Pods,
    process::Process,
    server::{Server, Told},
};
use crate::pod_startup::{
    Bed, Counts, RequestFigures, Spread,
    audit::AuditLog,
    clock::{Clocks, NodeTime},
    floor::{self, BarePod, Kind},
};

/// How long it takes until a manager that has just started is at rest.
const REST: Duration = Duration::from_secs(3);

/// How long a job goes on, in seconds, whose first line is waited for: longer than from one patch of its log to the next.
const LASTING: u64 = 4;

/// A job with the time as its pod read it.
struct Job {
    told: Told,
    began: NodeTime,
}

/// Where and with what it is measured.
pub(super) struct Scene<'a> {
    pub(super) bed: &'a Bed,
    pub(super) options: &'a Options,
    pub(super) server: Server,
    pods: Pods,
}

/// Everything that was measured, with times as pods read them.
#[derive(Default)]
struct Measured {
    bare: Vec<BarePod>,
    jobs: Vec<Job>,
    lasting: Vec<Job>,
    bursts: Vec<(Vec<BarePod>, Vec<Job>)>,
    /// CPU time of the manager while jobs ran, in milliseconds.
    cpu: f64,
}

/// Measures everything.
///
/// # Errors
/// Where a pod or a job does not do what it should.
pub async fn measure(bed: &Bed, options: &Options) -> Result<Figures> {
    let runner = options.runner()?;
    let server = Server::start(&bed.admin).await?;
    let scene = Scene { bed, options, server, pods: Pods::watch(bed.pods()) };
    let manager = Process::start(&runner, &scene.config(options.pods.burst, ""), &bed.kubeconfig)?;
    scene.asks(&manager).await?;
    say(&format!("the manager waits for jobs, for {} s", options.pods.quiet));
    sleep(REST).await;
    let (before, length) = (manager.usage()?, Duration::from_secs(options.pods.quiet));
    sleep(length).await;
    let idle = manager.usage()?;
    let idle_cpu = (idle.cpu - before.cpu) / length.as_secs_f64() * 60.0;
    say("the first of each, which is not counted, since it may pull images");
    floor::run(bed, Kind::TwoContainers, &options.pods.image, 1).await.context("a bare pod")?;
    scene.run(1, &[]).await.context("a job")?;
    let audit = AuditLog::from_now();
    let mut measured = Measured::default();
    alone(&scene, &manager, &mut measured).await?;
    bursts(&scene, &manager, &mut measured).await?;
    let burst_memory = manager.usage()?.peak;
    let counts = audit.and_then(|audit| audit.requests_of(&bed.user));
    let requests = match counts {
        Some(counts) => Some(RequestFigures {
            audited: true,
            jobs: measured.count(),
            counts,
            quiet: (options.pods.quiet, quiet(&scene).await?),
        }),
        None => None,
    };
    manager.end().await?;
    say("the clocks of the nodes");
    let clocks = Clocks::measure(bed, &options.pods.image, measured.times()).await?;
    #[expect(clippy::cast_precision_loss, reason = "a number of jobs is small")]
    let cpu = measured.cpu / measured.count() as f64;
    let (floor, alone, burst) = measured.figures(&clocks, options.pods.burst)?;
    let manager =
        Manager { idle_memory: idle.memory, idle_own_memory: idle.own, burst_memory, cpu, idle_cpu };
    let many = if options.many == 0 { None } else { Some(many::measure(&scene, &runner).await?) };
    Ok(Figures { floor, alone, burst, requests, manager, many })
}

/// What is going on, for who waits.
pub(super) fn say(text: &str) {
    #[expect(clippy::print_stderr, reason = "the result alone is on the standard output")]
    {
        eprintln!("manager: {text}");
    }
}

impl Scene<'_> {
    /// A config as people write it, for so many jobs at once. `more` goes into the section of the executor.
    pub(super) fn config(&self, concurrent: usize, more: &str) -> String {
        let Options { pods, .. } = self.options;
        let helper = pods.helper_image.as_ref().map(|image| format!("    helper_image = {image:?}\n"));
        format!(
            "concurrent = {concurrent}\n[[runners]]\n  name = \"bench\"\n  url = {:?}\n  token = {:?}\n  \
             executor = \"kubernetes\"\n  [runners.kubernetes]\n    namespace = {:?}\n    image = {:?}\n{}{more}",
            self.server.gitlab.url(),
            self.server.gitlab.runner_token(),
            self.bed.namespace,
            pods.image,
            helper.unwrap_or_default()
        )
    }

    /// Waits until a manager that was started asks for jobs.
    pub(super) async fn asks(&self, manager: &Process) -> Result<()> {
        let asked = self.server.asked_again();
        let asked = tokio::time::timeout(Duration::from_secs(30), asked).await;
        asked.with_context(|| format!("the manager asks for no jobs:\n{}", manager.output()))
    }

    /// Queues `count` jobs at once, waits for their ends, and until nothing is left of them.
    async fn run(&self, count: usize, then: &[String]) -> Result<Vec<Job>> {
        let queued: Vec<u64> =
            (0..count).map(|_| self.server.queue(&self.options.pods.image, then)).collect();
        let told = try_join_all(queued.into_iter().map(|id| self.server.succeeded(id))).await?;
        let jobs = try_join_all(told.into_iter().map(async |told| {
            let (uptime, pod) = &told.first_line;
            let began = NodeTime::read(&self.pods.node_of(pod).await?, uptime)?;
            anyhow::Ok(Job { told, began })
        }));
        let jobs = jobs.await?;
        self.pods.until_gone().await?;
        Ok(jobs)
    }
}

async fn alone(scene: &Scene<'_>, manager: &Process, measured: &mut Measured) -> Result<()> {
    let options = &scene.options.pods;
    say(&format!("{} jobs one at a time, in turn with bare pods", options.jobs));
    for _ in 0..options.jobs {
        measured.bare.extend(floor::run(scene.bed, Kind::TwoContainers, &options.image, 1).await?);
        let before = manager.usage()?.cpu;
        measured.jobs.extend(scene.run(1, &[]).await?);
        measured.cpu += manager.usage()?.cpu - before;
    }
    let count = options.jobs.div_ceil(3);
    say(&format!("{count} jobs one at a time that go on for {LASTING} s"));
    for _ in 0..count {
        let before = manager.usage()?.cpu;
        measured.lasting.extend(scene.run(1, &[format!("sleep {LASTING}")]).await?);
        measured.cpu += manager.usage()?.cpu - before;
    }
    Ok(())
}

async fn bursts(scene: &Scene<'_>, manager: &Process, measured: &mut Measured) -> Result<()> {
    let options = &scene.options.pods;
    for round in 0..options.bursts {
        say(&format!("burst {} of {}: {} bare pods, then jobs", round + 1, options.bursts, options.burst));
        let bare = floor::run(scene.bed, Kind::TwoContainers, &options.image, options.burst).await?;
        let before = manager.usage()?.cpu;
        let jobs = scene.run(options.burst, &[]).await?;
        measured.cpu += manager.usage()?.cpu - before;
        measured.bursts.push((bare, jobs));
    }
    Ok(())
}

/// The requests during a job that does nothing for some time.
async fn quiet(scene: &Scene<'_>) -> Result<Counts> {
    let seconds = scene.options.pods.quiet;
    say(&format!("a job that does nothing for {seconds} s"));
    // Its first line may come with the second patch of its log, and statuses of its start a second later.
    let length = seconds + LASTING + 3;
    let id = scene.server.queue(&scene.options.pods.image, &[format!("sleep {length}")]);
    scene.server.has_begun(id).await?;
    sleep(Duration::from_millis(1500)).await;
    let audit = AuditLog::from_now();
    sleep(Duration::from_secs(seconds)).await;
    let counts = audit.and_then(|audit| audit.requests_of(&scene.bed.user)).unwrap_or_default();
    scene.server.succeeded(id).await?;
    scene.pods.until_gone().await?;
    Ok(counts)
}

impl Measured {
    fn count(&self) -> usize {
        let burst: usize = self.bursts.iter().map(|(_, jobs)| jobs.len()).sum();
        self.jobs.len() + self.lasting.len() + burst
    }

    fn times(&self) -> impl Iterator<Item = &NodeTime> {
        let bare = self.bursts.iter().flat_map(|(bare, _)| bare).chain(&self.bare).map(|pod| &pod.began);
        let jobs = self.bursts.iter().flat_map(|(_, jobs)| jobs).chain(&self.jobs).map(|job| &job.began);
        bare.chain(jobs)
    }

    fn figures(&self, clocks: &Clocks, burst: usize) -> Result<(Floor, Alone, Burst)> {
        let bare = self.bare.iter().map(|pod| between(clocks, &pod.began, pod.created, pod.ended));
        let ours =
            self.jobs.iter().map(|job| between(clocks, &job.began, job.told.assigned, job.told.finished));
        let (bare, ours) = (bare.collect::<Result<Vec<_>>>()?, ours.collect::<Result<Vec<_>>>()?);
        let since = |what: fn(&Told) -> f64| {
            Spread::of(self.jobs.iter().map(move |job| what(&job.told) - job.told.assigned))
        };
        let wall = |of: fn(&Told) -> f64| {
            Spread::of(self.bursts.iter().map(move |(_, jobs)| {
                let first = jobs.iter().map(|job| job.told.queued).fold(f64::INFINITY, f64::min);
                jobs.iter().map(|job| of(&job.told)).fold(f64::NEG_INFINITY, f64::max) - first
            }))
        };
        let floor = Floor {
            began: Spread::of(bare),
            ended: Spread::of(self.bare.iter().map(|pod| pod.ended - pod.created)),
            burst_wall: Spread::of(self.bursts.iter().map(|(pods, _)| {
                let first = pods.iter().map(|pod| pod.created).fold(f64::INFINITY, f64::min);
                pods.iter().map(|pod| pod.ended).fold(f64::NEG_INFINITY, f64::max) - first
            })),
        };
        let alone = Alone {
            queued: Spread::of(self.jobs.iter().map(|job| job.told.assigned - job.told.queued)),
            began: Spread::of(ours),
            first_line: since(|told| told.first_line_seen),
            finished: since(|told| told.finished),
            lasting: Spread::of(self.lasting.iter().map(|job| job.told.first_line_seen - job.told.assigned)),
        };
        let handed_out = wall(|told| told.assigned);
        let burst = Burst { jobs: burst, handed_out, wall: wall(|told| told.finished) };
        Ok((floor, alone, burst))
    }
}

/// How long after `from` that was. It must have been before `to`, give or take what a clock is exact to.
fn between(clocks: &Clocks, time: &NodeTime, from: f64, to: f64) -> Result<f64> {
    const EXACT: f64 = 20.0;
    let at = clocks.ours(time)?;
    ensure!(
        (from - EXACT..to + EXACT).contains(&at),
        "/proc/uptime on {} is no clock of the node",
        time.node
    );
    Ok(at - from)
}
