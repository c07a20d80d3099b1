//! `runner run`: takes jobs of GitLab servers and runs them until it is told to end.

use std::{convert::Infallible, path::Path, process, sync::Arc};

use anyhow::anyhow;
use runner_config::{Config, ConfigFile, LoadError, Machine, Reload, Surroundings, SystemId};
use runner_core::{
    Runner,
    run::{RunSummary, Shutdown},
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{
        Color, Output,
        accounts::{Run, Variables},
    },
    exit_code::ExitStatus,
    fault::{Fault, WrongFile},
    monitor::Monitor,
    stdio::Stdio,
    traces::Traces,
    wire,
};

mod board;
mod crew;
mod prepare;
mod signals;

use board::Board;
use crew::Crew;
use prepare::Surrounding;
use signals::{AtTheEnd, Signals};

/// Runs until it is told to end.
pub(crate) async fn run(options: &Run) -> ExitStatus {
    let stdio = Stdio::new(Output::Human, Color::Auto, wire::taste());
    match run_or_fail(options).await {
        Ok(()) => ExitStatus::Success,
        Err(fault) => {
            Stdio::error(&fault.text(stdio.error_palette().is_on()));
            fault.status
        }
    }
}

async fn run_or_fail(options: &Run) -> Result<(), Fault> {
    if let Some(folder) = &options.working_directory {
        std::env::set_current_dir(folder).map_err(Fault::wrong_use)?;
    }
    let variables = wire::variables();
    let path = options.config.path(&variables, wire::is_root());
    let file = ConfigFile::new(&path, Surroundings::new(variables.clone()), runner_config::SECRETS);
    let (reload, mut configs) = Reload::start(file).map_err(unusable)?;
    let config = Arc::clone(&configs.borrow_and_update());
    let folder = path.parent().unwrap_or_else(|| Path::new(".")).to_owned();
    let id = SystemId::load(&folder, &Machine::read(wire::host_name()));
    let traces = Traces::from_environment(&variables, &id.id).map_err(Fault::wrong_use)?;
    let board = Board::new(&id.id, &config, traces);
    board.lines.listen();
    for finding in id.finding.iter().chain(&config.findings) {
        board.lines.finding(finding);
    }
    let address = options.listen_address.clone().or_else(|| variables.get("LISTEN_ADDRESS").cloned());
    let monitor = board.monitor(address.or_else(|| config.listen_address.clone())).await?;
    let signals = Signals::listen().map_err(Fault::ours)?;
    let runner = Arc::new(Runner::builder().events(board.sink()).build());
    let replica = replica(&variables, &id.id);
    let crew = Crew::new(Arc::clone(&runner), Surrounding { system_id: id.id, replica, variables, folder });
    crew.set(&config);
    let (shutdown, asked, ended) = (Shutdown::new(), Notify::new(), CancellationToken::new());
    let at_the_end = watch::Sender::new(AtTheEnd::of(&config));
    let heard = at_the_end.subscribe();
    let summary = tokio::select! {
        summary = runner.run(&shutdown) => Ok(summary),
        () = reload.run(&asked, &ended, |event| board.reloaded(&event)) => Err("the config is watched no more"),
        () = serve(monitor, &ended) => Err("metrics are served no more"),
        never = follow(configs, &crew, &board, &at_the_end) => match never {},
        never = signals.heed(&shutdown, &asked, &heard) => match never {},
    };
    if let Ok(RunSummary { succeeded, failed, canceled, left }) = &summary {
        tracing::info!(succeeded, failed, canceled, left, "ended");
    }
    board.close().await;
    summary.map(drop).map_err(|text| Fault::ours(anyhow!(text)))
}

/// What this process is called among those that share jobs. In a pod it keeps its name when its container is started again,
/// and so goes on at once with the jobs that it had. Elsewhere two may run on one machine.
fn replica(variables: &Variables, system_id: &str) -> String {
    let named = variables.get("POD_NAME").filter(|name| !name.is_empty()).cloned();
    let is_in_pod = variables.contains_key("KUBERNETES_SERVICE_HOST");
    let host = || Some(wire::host_name()).filter(|name| is_in_pod && !name.is_empty());
    named.or_else(host).unwrap_or_else(|| format!("{system_id}-{}", process::id()))
}

async fn serve(monitor: Option<Monitor>, ended: &CancellationToken) {
    match monitor {
        Some(monitor) => monitor.serve(ended).await,
        None => std::future::pending().await,
    }
}

/// Hands each new config to the runners.
async fn follow(
    mut configs: watch::Receiver<Arc<Config>>,
    crew: &Crew,
    board: &Board,
    at_the_end: &watch::Sender<AtTheEnd>,
) -> Infallible {
    while configs.changed().await.is_ok() {
        let config = Arc::clone(&configs.borrow_and_update());
        board.configured(&config);
        config.findings.iter().for_each(|finding| board.lines.finding(finding));
        at_the_end.send_replace(AtTheEnd::of(&config));
        crew.set(&config);
    }
    // Whatever watches the config is polled beside this, and says why it ended.
    std::future::pending().await
}

fn unusable(error: LoadError) -> Fault {
    match error {
        LoadError::Wrong(mistakes) => Fault::wrong_use(WrongFile::from(mistakes)),
        error => Fault::wrong_use(error),
    }
}
