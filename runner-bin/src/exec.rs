//! `runner exec`: from a command line to an exit status.

use std::{path::Path, sync::Arc, time::Duration};

use annotate_snippets::Level;
use runner_core::{
    EventSink, FailureReason, Finding, Runner, Severity,
    run::{RunnerConfig, Shutdown, ShutdownLevel},
    source::WishAction,
};
use runner_pipeline::{ArtifactFactory, PipelineJob, PipelineRun, PipelineSource, Snapshot};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    cli::{Exec, ExecutorName, Output},
    document::Document,
    exit_code::ExitStatus,
    fault::{self, Fault},
    graph,
    home::ProjectHome,
    ledger::{Ending, Entry, Ledger, Role, State, shown_from},
    log_files::LogFiles,
    narrator::{Cast, Narration, Narrator, Told},
    plan::Plan,
    signals::{Escalation, Signals},
    stdio::Stdio,
    summary::{Frame, summary},
    wire::{self, Parts},
};

/// How long jobs that are cancelled politely have for their `after_script` and what follows it.
const PATIENCE: Duration = Duration::from_mins(5);

/// Does what `options` ask for, and says how it went.
pub(crate) async fn exec(options: &Exec) -> ExitStatus {
    let stdio = Stdio::new(options.output, options.color, wire::taste());
    match try_exec(options, &stdio).await {
        Ok(status) => status,
        Err(fault) => {
            Stdio::error(&fault.text(stdio.error_palette().is_on()));
            if options.output == Output::Json {
                let file = fault.error.downcast_ref::<fault::WrongFile>();
                let diagnostics = file.map(|file| &file.diagnostics);
                Stdio::json(&Document::of_error(fault.status, fault.chain(), diagnostics));
            }
            fault.status
        }
    }
}

async fn try_exec(options: &Exec, stdio: &Stdio) -> Result<ExitStatus, Fault> {
    let plan = Plan::read(options).await?;
    for note in &plan.pipeline.notes {
        let text = fault::render(note, &plan.text, &Level::WARNING, stdio.error_palette().is_on());
        Stdio::error(&format!("{text}\n\n"));
    }
    let jobs = selected(options, &plan)?;
    if options.config.is_some() && options.executor == ExecutorName::Local {
        let text = "--config says how pods are made, and the jobs are to run on this machine";
        return Err(Fault::wrong_use(anyhow::anyhow!(text)).help("add --executor kubernetes"));
    }
    if options.list {
        list(options, plan, &jobs, stdio);
        return Ok(ExitStatus::Success);
    }
    run(options, plan, jobs, stdio).await
}

/// The jobs that `options` name, with what they need, stage by stage.
fn selected(options: &Exec, plan: &Plan) -> Result<Vec<PipelineJob>, Fault> {
    let source = source(options, plan, None, wire::artifacts(Path::new("")), &Narrator::deaf())?;
    let find = |name: &str| plan.pipeline.included().find(|job| job.name == name).cloned();
    Ok(source.progress().iter().filter_map(|job| find(&job.name)).collect())
}

fn source(
    options: &Exec,
    plan: &Plan,
    snapshot: Option<Arc<Snapshot>>,
    artifacts: ArtifactFactory,
    narrator: &Narrator,
) -> Result<PipelineSource, Fault> {
    let run = PipelineRun {
        pipeline: plan.pipeline.clone(),
        predefined: plan.predefined.clone(),
        snapshot,
        variables: plan.variables.clone(),
        jobs: options.jobs.clone(),
    };
    PipelineSource::new(run, artifacts, Arc::new(narrator.clone())).map_err(Fault::wrong_use)
}

fn list(options: &Exec, mut plan: Plan, jobs: &[PipelineJob], stdio: &Stdio) {
    if !options.jobs.is_empty() {
        plan.pipeline.jobs.retain(|job| jobs.iter().any(|selected| selected.name == job.name));
    }
    match options.output {
        Output::Human => stdio.text(&graph::text(&plan.pipeline, &plan.title, stdio.palette())),
        Output::Json => Stdio::json(&graph::Graph::new(&plan.pipeline, &plan.title)),
    }
}

async fn run(options: &Exec, plan: Plan, jobs: Vec<PipelineJob>, stdio: &Stdio) -> Result<ExitStatus, Fault> {
    let began = Instant::now();
    if jobs.is_empty() {
        Stdio::error("note: the pipeline has no jobs for this event; see --list\n");
    }
    let root = plan.repository.root().to_owned();
    let home = ProjectHome::open(&root, || Stdio::error("note: waiting for another run of this project\n"));
    let home = home.map_err(Fault::ours)?;
    let parts = Parts::new(options, &plan, &jobs).await?;
    let snapshot = Snapshot::take(&plan.repository, &plan.predefined, &parts.scratch).await;
    let snapshot = Arc::new(snapshot.map_err(Fault::of_core)?);
    parts.load(&snapshot);

    let logs = LogFiles::new(&home.logs, jobs.iter().map(|job| job.name.as_str()));
    home.forget(jobs.iter().map(|job| job.name.as_str())).await.map_err(Fault::of_core)?;
    let (painter, terminal, palette) = (stdio.painter(), stdio.terminal(), stdio.palette());
    let cast = Cast {
        jobs: jobs.iter().map(|job| role(job, &jobs)).collect(),
        logs,
        painter,
        terminal,
        palette,
        is_local: parts.is_local(),
    };
    let (narrator, narration) = Narrator::new(cast);
    for note in snapshot.notes().iter().cloned().chain(parts.left_out.clone()) {
        narrator.note(note);
    }
    for finding in parts.check().await {
        tell_finding(&finding, &narrator)?;
    }
    let source = source(options, &plan, Some(snapshot), wire::artifacts(&home.artifacts), &narrator)?;
    let mut told = play(options, parts.clone(), source, narrator, narration).await?;

    for entry in &mut told.ledger.entries {
        let directory = home.artifacts_of(&entry.name);
        entry.artifacts = directory.is_dir().then_some(directory);
    }
    if parts.is_local() && !options.keep {
        // Where it is not empty, another run of the project has it, or a job left what may not be removed.
        drop(fs_err::remove_dir(&parts.builds));
    }
    let any_artifacts = told.ledger.entries.iter().any(|entry| entry.artifacts.is_some());
    let frame = Frame {
        wall: began.elapsed(),
        directory: &root,
        artifacts: any_artifacts.then_some(home.artifacts.as_path()),
        kept: (parts.is_local() && options.keep).then_some(parts.builds.as_path()),
    };
    stdio.text(&summary(&told.ledger, frame, palette));
    if options.output == Output::Json {
        let artifacts = frame.artifacts.map(|path| shown_from(&root, path));
        let status = status(&told.ledger);
        let document = Document::of_run(&told.ledger, status, frame.wall, &root).with(told.notes, artifacts);
        Stdio::json(&document);
    }
    Ok(status(&told.ledger))
}

/// Runs all jobs to their end, and tells everything.
async fn play(
    options: &Exec,
    parts: Parts,
    source: PipelineSource,
    narrator: Narrator,
    narration: Narration,
) -> Result<Told, Fault> {
    let mut telling = JoinSet::new();
    telling.spawn_blocking(move || narration.run());
    let mut aside = JoinSet::new();
    let shutdown = Shutdown::new();
    let signals = Signals::listen().map_err(Fault::ours)?;
    let (ends, cancels, tells) = (shutdown.clone(), source.clone(), narrator.clone());
    aside.spawn(signals.drive(move |escalation| match escalation {
        Escalation::Cancel => {
            tells.note("canceling: after_script still runs; press Ctrl-C again to stop at once");
            cancels.cancel_all(WishAction::CancelGracefully);
            ends.raise(ShutdownLevel::Cancel(PATIENCE));
        }
        Escalation::Abort => {
            tells.note("stopping at once; press Ctrl-C again to leave without cleaning up");
            cancels.cancel_all(WishAction::Abort);
            ends.raise(ShutdownLevel::Abort);
        }
    }));
    let ticks = narrator.clone();
    aside.spawn(async move { ticks.tick().await });
    let events = narrator.clone();
    let config = RunnerConfig {
        cache: parts.cache.clone(),
        log: parts.log_limits(),
        ..RunnerConfig::new("exec", parts.configured(source), parts.executor)
    };
    let runner = Runner::builder()
        .concurrent(wire::jobs_at_once(options))
        .runner(config)
        .events(EventSink::new(move |event| events.event(event)))
        .build();
    runner.run(&shutdown).await;
    narrator.over();
    let told = telling.join_next().await;
    aside.shutdown().await;
    match told {
        Some(Ok(told)) => Ok(told),
        Some(Err(error)) => Err(Fault::ours(error)),
        None => Err(Fault::ours(anyhow::anyhow!("the output was lost"))),
    }
}

fn role(job: &PipelineJob, all: &[PipelineJob]) -> (Role, Option<String>) {
    let is_there = |name: &&String| all.iter().any(|other| other.name == **name);
    let needs = job.needs.as_ref();
    let needs = needs.map(|needs| needs.iter().map(|need| &need.job).filter(is_there).cloned().collect());
    let image = job.spec.image.as_ref().map(|image| image.name.clone());
    (Role { name: job.name.clone(), stage: job.stage.clone(), needs }, image)
}

fn tell_finding(finding: &Finding, narrator: &Narrator) -> Result<(), Fault> {
    let text = if finding.mend.is_empty() {
        finding.message.clone()
    } else {
        format!("{}: {}", finding.message.trim_end_matches('.'), finding.mend)
    };
    if finding.severity == Severity::Fatal {
        return Err(Fault::ours(anyhow::anyhow!("{}", finding.message)).help(finding.mend.clone()));
    }
    narrator.note(text);
    Ok(())
}

/// What the program ends with after a run: a fault of ours counts more than a job's.
fn status(ledger: &Ledger) -> ExitStatus {
    let is_ours = |entry: &Entry| match &entry.state {
        State::Ended(Ending::Failed { failure, allowed: false }) => {
            failure.reason == FailureReason::RunnerSystemFailure
        }
        _ => false,
    };
    if ledger.entries.iter().any(is_ours) {
        ExitStatus::OurFault
    } else if ledger.failed() {
        ExitStatus::JobFailed
    } else {
        ExitStatus::Success
    }
}
