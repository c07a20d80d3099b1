//! A runner on a cluster: the process that the tests kill.
//!
//! `victim SOURCE NAMESPACE NAME HOLDER CONCURRENT [before|after REQUEST]`: with the last two it kills itself right before
//! it sends its n-th request to the API server, or when the answer is there. The source is a socket, or the address of a
//! GitLab server, with the runner's token in `E2E_RUNNER_TOKEN`; with `E2E_RELAYS=1` this process reports the jobs of that
//! one, and their agents do not. With `E2E_NODE` its pods are on the simulated node of that name.

use std::{
    num::NonZeroUsize,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use e2e::source::SocketSource;
use kube::{Config, client::ClientBuilder};
use runner_core::{
    Event, EventSink, JobEvent, JobSource, Runner, Secret,
    executor::LogLimits,
    run::{RunnerConfig, Shutdown},
};
use runner_gitlab::{Connection, GitLabSource, RunnerInfo, SourceSettings};
use runner_k8s::{KubernetesExecutor, KubernetesSettings};
use runner_testkit::kubelet::TAINT;
use tower::{Layer, Service};

/// When this process dies.
#[derive(Debug, Clone, Copy)]
struct Death {
    request: u64,
    before: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [origin, namespace, name, holder, concurrent, death @ ..] = arguments.as_slice() else {
        bail!("usage: victim SOURCE NAMESPACE NAME HOLDER CONCURRENT [before|after REQUEST]");
    };
    let death = match death {
        [] => None,
        [moment, request] => Some(Death { request: request.parse()?, before: moment == "before" }),
        _ => bail!("what comes after CONCURRENT is a moment and a number"),
    };
    let mut config = Config::infer().await?;
    if let Ok(token) = std::env::var("E2E_TOKEN") {
        config.auth_info = kube::config::AuthInfo { token: Some(token.into()), ..Default::default() };
    }
    let client =
        ClientBuilder::try_from(config)?.with_layer(&Mortality { death, count: Arc::default() }).build();
    let mut settings = KubernetesSettings::new(name);
    settings.token = "e2etoken".into();
    settings.grace = Duration::from_secs(2);
    settings.config.namespace.clone_from(namespace);
    settings.config.image = e2e::BUSYBOX.into();
    settings.config.node_selector_overwrite_allowed = ".".into();
    if let Ok(node) = std::env::var("E2E_NODE") {
        settings.config.node_selector.insert(TAINT.into(), node.clone());
        settings.config.node_tolerations.insert(format!("{TAINT}={node}"), "NoSchedule".into());
    }
    settings.relays = std::env::var("E2E_RELAYS").is_ok_and(|relays| relays == "1");
    let executor = KubernetesExecutor::new(client, settings);
    let source = source_of(origin, holder)?;
    let mut runner = RunnerConfig::new("e2e", source, executor);
    runner.log =
        LogLimits { timestamps: false, interval: Duration::from_millis(200), ..LogLimits::default() };
    let concurrent: NonZeroUsize = concurrent.parse().context("the number of jobs")?;
    let events = EventSink::new(tell);
    let summary = Runner::builder().concurrent(concurrent).runner(runner).events(events).build();
    let summary = summary.run(&Shutdown::new()).await;
    eprintln!("{summary:?}");
    Ok(())
}

fn source_of(origin: &str, holder: &str) -> Result<Arc<dyn JobSource>> {
    if !origin.starts_with("http") {
        return Ok(SocketSource::new(origin.into(), "e2e", holder.parse()?));
    }
    let token = Secret::new(std::env::var("E2E_RUNNER_TOKEN").context("E2E_RUNNER_TOKEN")?);
    let (connection, info) = (Connection::new(origin), RunnerInfo::new("kubernetes"));
    Ok(Arc::new(GitLabSource::new(SourceSettings::new("e2e", connection, token, "s_e2e", info))?))
}

/// What a person wants to read who looks for a fault.
fn tell(event: Event) {
    match event {
        Event::Job {
            job,
            event: event @ (JobEvent::Notice(_) | JobEvent::Waiting { .. } | JobEvent::Ended(_)),
        } => {
            eprintln!("{job}: {event:?}");
        }
        Event::SourceFailed { error, .. } => eprintln!("source: {error}"),
        _ => {}
    }
}

/// Counts requests, and ends the process at one of them.
#[derive(Debug, Clone)]
struct Mortality {
    death: Option<Death>,
    count: Arc<AtomicU64>,
}

impl<S> Layer<S> for Mortality {
    type Service = Mortal<S>;

    fn layer(&self, inner: S) -> Mortal<S> {
        Mortal { inner, mortality: self.clone() }
    }
}

#[derive(Debug, Clone)]
struct Mortal<S> {
    inner: S,
    mortality: Mortality,
}

impl<S, B> Service<http::Request<B>> for Mortal<S>
where
    S: Service<http::Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let number = self.mortality.count.fetch_add(1, Ordering::Relaxed) + 1;
        let dies = self.mortality.death.filter(|death| death.request == number);
        if let Some(death) = dies {
            let moment = if death.before { "before" } else { "after" };
            eprintln!("dies {moment} request {number}: {} {}", request.method(), request.uri());
        }
        if dies.is_some_and(|death| death.before) {
            die();
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            if dies.is_some() {
                die();
            }
            answer
        })
    }
}

/// Ends this process as `kill -9` does.
fn die() -> ! {
    let _alive = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    std::process::abort();
}
