//! The measurement: bare pods and jobs in turn, so that what else the machine does hits both.

use anyhow::{Context, Result, ensure};

use super::{
    audit::AuditLog,
    bed::Bed,
    clock::{Clocks, NodeTime, now},
    figures::{Alone, Burst, Figures, Floor, RequestFigures},
    floor::{self, BarePod, Kind},
    jobs::{Job, Jobs},
    options::Options,
    requests::Counts,
    statistics::Spread,
    usage,
};

/// Everything that was measured, with times as pods read them.
#[derive(Default)]
struct Measured {
    one_container: Vec<BarePod>,
    two_containers: Vec<BarePod>,
    jobs: Vec<Job>,
    bursts: Vec<(Vec<BarePod>, Vec<Job>)>,
    /// CPU time of this process while jobs ran, in milliseconds.
    cpu: f64,
    /// How many jobs there were in all.
    count: usize,
}

/// Measures everything.
///
/// # Errors
/// Where a pod or a job does not do what it should.
pub async fn measure(bed: &Bed, options: &Options) -> Result<Figures> {
    let audit = AuditLog::from_now();
    let jobs = Jobs::new(bed, options);
    say("the first of each, which is not counted, since it may pull images");
    floor::run(bed, Kind::OneContainer, &options.image, 1).await.context("a bare pod")?;
    jobs.run("first", 1, &[]).await.context("a job")?;
    let mut measured = Measured { count: 1, ..Measured::default() };
    alone(bed, options, &jobs, &mut measured).await?;
    bursts(bed, options, &jobs, &mut measured).await?;
    let peak_rss_kb = usage::peak_memory()?;
    let quiet = quiet(bed, options, &jobs).await?;
    measured.count += 1;
    drop(jobs);
    say("the clocks of the nodes");
    let clocks = Clocks::measure(bed, &options.image, measured.times()).await?;
    let audited = audit.and_then(|audit| audit.requests_of(&bed.user));
    let requests = RequestFigures {
        audited: audited.is_some(),
        jobs: measured.count,
        counts: audited.unwrap_or_else(|| bed.requests.between(0.0, now())),
        quiet: (options.quiet, quiet),
    };
    #[expect(clippy::cast_precision_loss, reason = "a number of jobs is small")]
    let cpu_ms_per_job = measured.cpu / (measured.count - 2) as f64;
    let (floor, alone, burst) = measured.figures(&clocks, options.burst)?;
    Ok(Figures { floor, alone, burst, requests, peak_rss_kb, cpu_ms_per_job })
}

/// What is going on, for who waits.
fn say(text: &str) {
    #[expect(clippy::print_stderr, reason = "the result alone is on the standard output")]
    {
        eprintln!("pod_startup: {text}");
    }
}

async fn alone(bed: &Bed, options: &Options, jobs: &Jobs<'_>, measured: &mut Measured) -> Result<()> {
    say(&format!("{} jobs one at a time, in turn with bare pods", options.jobs));
    for round in 0..options.jobs {
        measured.one_container.extend(floor::run(bed, Kind::OneContainer, &options.image, 1).await?);
        measured.two_containers.extend(floor::run(bed, Kind::TwoContainers, &options.image, 1).await?);
        let before = usage::cpu_time()?;
        measured.jobs.extend(jobs.run(&format!("alone-{round}"), 1, &[]).await?);
        measured.cpu += usage::cpu_time()? - before;
        measured.count += 1;
    }
    Ok(())
}

async fn bursts(bed: &Bed, options: &Options, jobs: &Jobs<'_>, measured: &mut Measured) -> Result<()> {
    for round in 0..options.bursts {
        say(&format!("burst {} of {}: {} bare pods, then jobs", round + 1, options.bursts, options.burst));
        let bare = floor::run(bed, Kind::TwoContainers, &options.image, options.burst).await?;
        let before = usage::cpu_time()?;
        let ours = jobs.run(&format!("burst-{round}"), options.burst, &[]).await?;
        measured.cpu += usage::cpu_time()? - before;
        measured.count += options.burst;
        measured.bursts.push((bare, ours));
    }
    Ok(())
}

/// The requests during a job that does nothing for some time.
async fn quiet(bed: &Bed, options: &Options, jobs: &Jobs<'_>) -> Result<Counts> {
    say(&format!("a job that sleeps for {} s", options.quiet));
    let then = [format!("sleep {}", options.quiet)];
    let job = jobs.run("quiet", 1, &then).await?.pop().context("one job gives one result")?;
    // Its end belongs to the requests of a job, and so may a watch that is due for renewal within the last second.
    Ok(bed.requests.between(job.first_line_seen, job.finished - 500.0))
}

impl Measured {
    fn times(&self) -> impl Iterator<Item = &NodeTime> {
        let bare = self.bursts.iter().flat_map(|(bare, _)| bare);
        let bare = bare.chain(&self.one_container).chain(&self.two_containers).map(|pod| &pod.began);
        let jobs = self.bursts.iter().flat_map(|(_, jobs)| jobs).chain(&self.jobs).map(|job| &job.began);
        bare.chain(jobs)
    }

    fn figures(&self, clocks: &Clocks, burst: usize) -> Result<(Floor, Alone, Burst)> {
        let bare = |pods: &[BarePod]| pods.iter().map(|pod| began(clocks, pod)).collect::<Result<Vec<_>>>();
        let ours = |jobs: &[Job]| jobs.iter().map(|job| job_began(clocks, job)).collect::<Result<Vec<_>>>();
        let seen = |pod: &BarePod| pod.ended - pod.created;
        let mut walls = (Vec::new(), Vec::new());
        let mut last_began = (Vec::new(), Vec::new());
        for (pods, jobs) in &self.bursts {
            let first = least(pods.iter().map(|pod| pod.created));
            walls.0.push(greatest(pods.iter().map(|pod| pod.ended)) - first);
            let offsets = pods.iter().map(|pod| pod.created - first);
            last_began.0.push(greatest(bare(pods)?.into_iter().zip(offsets).map(|(began, at)| began + at)));
            let first = least(jobs.iter().map(|job| job.taken));
            walls.1.push(greatest(jobs.iter().map(|job| job.finished)) - first);
            let offsets = jobs.iter().map(|job| job.taken - first);
            last_began.1.push(greatest(ours(jobs)?.into_iter().zip(offsets).map(|(began, at)| began + at)));
        }
        let floor = Floor {
            one_container: Spread::of(bare(&self.one_container)?),
            two_containers: Spread::of(bare(&self.two_containers)?),
            two_containers_seen: Spread::of(self.two_containers.iter().map(seen)),
            two_containers_gone: Spread::of(self.two_containers.iter().map(|pod| pod.removal)),
            burst_wall: Spread::of(walls.0),
            burst_last_began: Spread::of(last_began.0),
        };
        let since =
            |what: fn(&Job) -> f64| Spread::of(self.jobs.iter().map(move |job| what(job) - job.taken));
        let alone = Alone {
            started: since(|job| job.started),
            first_line: Spread::of(ours(&self.jobs)?),
            first_line_seen: since(|job| job.first_line_seen),
            finished: since(|job| job.finished),
            gone: Spread::of(self.jobs.iter().map(|job| job.removal)),
        };
        let gone = Spread::of(self.bursts.iter().flat_map(|(_, jobs)| jobs).map(|job| job.removal));
        let burst =
            Burst { jobs: burst, wall: Spread::of(walls.1), last_began: Spread::of(last_began.1), gone };
        Ok((floor, alone, burst))
    }
}

/// How long after its creation a pod's command ran.
fn began(clocks: &Clocks, pod: &BarePod) -> Result<f64> {
    between(clocks, &pod.began, pod.created, pod.ended)
}

/// How long after it was taken a job's script began.
fn job_began(clocks: &Clocks, job: &Job) -> Result<f64> {
    between(clocks, &job.began, job.taken, job.first_line_seen)
}

/// How long after `from` that was. It must have been before `to`, give or take what a clock is exact to.
fn between(clocks: &Clocks, time: &NodeTime, from: f64, to: f64) -> Result<f64> {
    const EXACT: f64 = 20.0;
    let at = clocks.ours(time)?;
    let is_possible = (from - EXACT..to + EXACT).contains(&at);
    ensure!(
        is_possible,
        "/proc/uptime on {} is no clock of the node: containers there seem to have one of their own",
        time.node
    );
    Ok(at - from)
}

fn least(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}

fn greatest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NEG_INFINITY, f64::max)
}
