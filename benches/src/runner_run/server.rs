//! The GitLab server, and what it saw of a job.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client, api::ListParams};
use runner_testkit::gitlab::{Endpoint, GitLab, JobPayload, JobRecord, JobState, Request, Settings};
use tokio::time::timeout;

use crate::pod_startup::{
    clock::{self, READ},
    report::MARK,
};

/// How long a job may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// What the server saw of a job, in milliseconds of our clock.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// It was put into the queue.
    pub(super) queued: f64,
    /// It was handed out.
    pub(super) assigned: f64,
    /// The first line of its script was here.
    pub(super) first_line_seen: f64,
    /// What that line says: the clock of the node, and the name of the pod.
    pub(super) first_line: (String, String),
    /// Its end was acknowledged.
    pub(super) finished: f64,
}

/// A server that pods reach.
pub(super) struct Server {
    pub(super) gitlab: GitLab,
}

impl Server {
    /// Starts one.
    pub(super) async fn start(admin: &Client) -> Result<Self> {
        let settings = Settings {
            address: (address(admin).await?, 0).into(),
            remembered_requests: 100_000,
            ..Settings::default()
        };
        Ok(Self { gitlab: GitLab::start_with(settings).await? })
    }

    /// Puts a job into the queue that tells when it runs and then does `then`.
    pub(super) fn queue(&self, image: &str, then: &[String]) -> u64 {
        let first = format!("{READ}; read pod </etc/hostname; echo \"{MARK} $up $pod\"");
        let script = [first].into_iter().chain(then.iter().cloned()).collect::<Vec<_>>();
        let payload = JobPayload::new("bench").image(image).variable("GIT_STRATEGY", "none");
        self.gitlab.queue(payload.script(script.iter().map(String::as_str)))
    }

    /// The address that it is reached at.
    pub(super) fn address(&self) -> Result<IpAddr> {
        let place = self.gitlab.url().trim_start_matches("http://");
        Ok(place.parse::<SocketAddr>().context("the address of the server")?.ip())
    }

    /// Waits until somebody asks for jobs once more.
    pub(super) async fn asked_again(&self) {
        let count = self.gitlab.count(Endpoint::Request);
        self.gitlab.wait_for_requests(Endpoint::Request, count + 1).await;
    }

    /// Waits until the script of a job has printed something.
    pub(super) async fn has_begun(&self, id: u64) -> Result<()> {
        let begun = self.gitlab.wait_for(id, |job| first_line(&job.text()).is_some());
        timeout(PATIENCE, begun).await.context("a job does not begin")?;
        Ok(())
    }

    /// Waits until a job has succeeded.
    pub(super) async fn succeeded(&self, id: u64) -> Result<Told> {
        let job = timeout(PATIENCE, self.gitlab.wait_until_over(id)).await;
        let job = job.with_context(|| {
            let job = self.gitlab.job(id);
            format!("a job does not end; it is {:?}, its log:\n{}", job.state, job.text())
        })?;
        let is_good = job.state == JobState::Success && job.runs == 1;
        ensure!(
            is_good,
            "a job ended as {:?}, {:?}; its log:\n{}",
            job.state,
            job.failure_reason,
            job.text()
        );
        self.told(&job)
    }

    fn told(&self, job: &JobRecord) -> Result<Told> {
        let first = |state: JobState| {
            let change = job.history.iter().find(|change| change.state == state);
            change.map(|change| clock::at(change.at)).with_context(|| format!("a job never was {state:?}"))
        };
        let log = job.text();
        let (end, uptime, pod) =
            first_line(&log).with_context(|| format!("a job did not tell when it ran; its log:\n{log}"))?;
        let requests = self.gitlab.requests();
        let seen = requests
            .iter()
            .filter(|request| request.job == Some(job.id) && request.endpoint == Endpoint::Trace)
            .find(|request| sent_until(request) >= Some(end))
            .context("the server forgot when a line came")?;
        Ok(Told {
            queued: first(JobState::Queued)?,
            assigned: first(JobState::Assigned)?,
            first_line_seen: clock::at(seen.at),
            first_line: (uptime.to_owned(), pod.to_owned()),
            finished: first(JobState::Success)?,
        })
    }
}

/// The byte after the last one that a patch carries.
fn sent_until(request: &Request) -> Option<usize> {
    let range = request.headers.get("content-range")?.to_str().ok()?;
    Some(range.split_once('-')?.1.parse::<usize>().ok()? + 1)
}

/// Where the line ends that a script prints first, and what it says. The command that prints it is in the log as well.
fn first_line(log: &str) -> Option<(usize, &str, &str)> {
    let mut end = 0;
    for line in log.split_inclusive('\n') {
        end += line.len();
        let Some((_, rest)) = line.split_once(MARK) else { continue };
        if let [uptime, pod] = rest.split_whitespace().collect::<Vec<_>>()[..]
            && uptime.starts_with(|first: char| first.is_ascii_digit())
            && line.ends_with('\n')
        {
            return Some((end, uptime, pod));
        }
    }
    None
}

/// The address of this machine as pods see it: `E2E_HOST`, or the one that it talks to the cluster's nodes with.
async fn address(admin: &Client) -> Result<IpAddr> {
    #[expect(clippy::disallowed_methods, reason = "a benchmark is told where it runs by its environment")]
    if let Ok(host) = std::env::var("E2E_HOST") {
        return host.parse().context("E2E_HOST is no address");
    }
    let nodes = Api::<Node>::all(admin.clone()).list(&ListParams::default()).await?.items;
    let addresses = nodes.into_iter().filter_map(|node| node.status?.addresses).flatten();
    let mut internal = addresses.filter(|address| address.type_ == "InternalIP");
    let node = internal.next().context("the node has no address: set E2E_HOST")?.address;
    // No packet is sent: this only chooses a way.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((node.as_str(), 9)).context("there is no way to the node: set E2E_HOST")?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_what_was_printed_and_not_what_prints_it() {
        let echo = "2026-01-01T00:00:00.000000Z 01O $ echo \"bench-began $up $pod\"\n";
        let log = format!("{echo}2026-01-01T00:00:00.000000Z 01O bench-began 12.34 pod-1\nmore\n");
        assert_eq!(first_line(&log), Some((log.len() - 5, "12.34", "pod-1")));
        assert_eq!(first_line(echo), None);
    }
}
