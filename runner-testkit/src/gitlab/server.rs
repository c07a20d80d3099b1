//! The server as a test holds it: what the test does to it, and what it reads.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::TcpListener;

use super::{
    fault::{Chaos, Fault},
    job::{Job, JobRecord, JobState},
    listener,
    payload::JobPayload,
    record::{Endpoint, Request},
    runners,
    service::Face,
    settings::{Settings, Tls},
    shared::Shared,
    tls::{self, Identity, Trust},
};

/// The token of the runner that every server knows from its start.
const RUNNER_TOKEN: &str = "glrt-t1_test-runner-0001";

/// A GitLab server that runs until it is dropped.
///
/// Dropping it ends every connection. It panics then if a token was sent to the object store: the test has failed.
#[derive(Debug)]
pub struct GitLab {
    shared: Arc<Shared>,
    url: String,
    trust: Option<Trust>,
}

impl GitLab {
    /// Starts a server with the default settings.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Settings::default()).await
    }

    /// Starts a server.
    ///
    /// # Errors
    /// Where the address cannot be listened on.
    pub async fn start_with(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.address).await?;
        let address = listener.local_addr()?;
        let (acceptor, trust) = if settings.tls == Tls::None {
            (None, None)
        } else {
            let (acceptor, trust) =
                tls::acceptor(settings.tls, vec![address.ip().to_string(), "localhost".into()])?;
            (Some(acceptor), Some(trust))
        };
        let scheme = if trust.is_some() { "https" } else { "http" };
        let store = if settings.has_object_store {
            Some(TcpListener::bind(SocketAddr::new(address.ip(), 0)).await?)
        } else {
            None
        };
        let store_url = match &store {
            Some(store) => Some(format!("{scheme}://{}", store.local_addr()?)),
            None => None,
        };
        let url = format!("{scheme}://{address}");
        let shared = Arc::new(Shared::new(settings, &url, store_url));
        shared.change(|world| runners::add(world, RUNNER_TOKEN));
        if let Some(store) = store {
            shared.spawn(listener::listen(store, acceptor.clone(), Arc::clone(&shared), Face::Store));
        }
        shared.spawn(listener::listen(listener, acceptor, Arc::clone(&shared), Face::GitLab));
        Ok(Self { shared, url, trust })
    }

    /// Its address, as `url` of a runner's configuration.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the authority that signed the server's, as PEM. None without TLS.
    pub fn authority(&self) -> Option<&str> {
        self.trust.as_ref().map(|trust| trust.authority.as_str())
    }

    /// What a client shows where it must show a certificate. None without TLS.
    pub fn client_identity(&self) -> Option<&Identity> {
        self.trust.as_ref().map(|trust| &trust.client)
    }

    /// The token of a runner that is known.
    pub fn runner_token(&self) -> &'static str {
        RUNNER_TOKEN
    }

    /// The token with which new runners can register.
    pub fn registration_token(&self) -> String {
        self.shared.read(|world| world.registration_token.clone())
    }

    /// Makes another runner known.
    pub fn add_runner(&self, token: &str) {
        self.shared.change(|world| runners::add(world, token));
    }

    /// Knows a runner no more; its jobs go on.
    pub fn revoke_runner(&self, token: &str) {
        self.shared.change(|world| world.runners.remove(token));
    }

    /// Puts a job at the end of the queue, and gives its id.
    pub fn queue(&self, payload: JobPayload) -> u64 {
        self.shared.change(|world| world.queue(payload.into_value()))
    }

    /// Cancels a job as a person does: gracefully if it runs on a runner that can do so, otherwise at once.
    pub fn cancel(&self, id: u64) {
        self.with_job(id, |job| {
            let is_graceful = job.record.state == JobState::Running && job.cancels_gracefully;
            job.enter(if is_graceful { JobState::Canceling } else { JobState::Canceled });
        });
    }

    /// Cancels a job at once: its token is refused from now on.
    pub fn cancel_hard(&self, id: u64) {
        self.with_job(id, |job| job.enter(JobState::Canceled));
    }

    /// Fails a job from the server's side, as GitLab does with one that is stuck or over its time.
    pub fn drop_job(&self, id: u64, failure_reason: &str) {
        self.with_job(id, |job| {
            job.record.failure_reason = Some(failure_reason.to_owned());
            job.enter(JobState::Failed);
        });
    }

    /// Deletes a job: the server knows neither it nor its token any more.
    pub fn delete(&self, id: u64) {
        self.with_job(id, |job| job.is_deleted = true);
    }

    /// Asks for this many seconds between two patches of a job.
    pub fn set_trace_interval(&self, id: u64, seconds: u64) {
        self.with_job(id, |job| job.interval = Some(seconds));
    }

    /// Answers the next `count` final updates of a job with 202, as while its trace is being stored.
    pub fn defer_updates(&self, id: u64, count: u32) {
        self.with_job(id, |job| {
            job.updates_to_defer = count;
            job.updates_deferred = 0;
        });
    }

    /// Damages the first byte of a trace, so that its checksum is found to be wrong.
    pub fn damage_trace(&self, id: u64) {
        self.with_job(id, |job| {
            if let Some(byte) = job.record.trace.first_mut() {
                *byte ^= 0x20;
            }
        });
    }

    fn with_job(&self, id: u64, change: impl FnOnce(&mut Job)) {
        self.shared.change(|world| world.jobs.get_mut(&id).map(change));
    }

    /// Disturbs the next requests to an endpoint, one fault each.
    pub fn fail(&self, endpoint: Endpoint, faults: impl IntoIterator<Item = Fault>) {
        self.shared.change(|world| {
            faults.into_iter().for_each(|fault| world.faults.plan(endpoint, None, fault));
        });
    }

    /// Disturbs the next requests of one job to an endpoint.
    pub fn fail_job(&self, id: u64, endpoint: Endpoint, faults: impl IntoIterator<Item = Fault>) {
        self.shared.change(|world| {
            faults.into_iter().for_each(|fault| world.faults.plan(endpoint, Some(id), fault));
        });
    }

    /// How many planned faults did not happen yet.
    pub fn faults_left(&self) -> usize {
        self.shared.read(|world| world.faults.planned())
    }

    /// Disturbs requests at random from now on, or no more.
    pub fn fail_randomly(&self, chaos: Option<Chaos>) {
        self.shared.change(|world| world.faults.draw(chaos));
    }

    /// Resets what is held, and every connection and request that comes within this time.
    pub fn outage(&self, duration: Duration) {
        self.shared.change(|world| world.faults.go_out(duration));
        self.shared.outage.notify_waiters();
    }

    /// What is known of a job.
    ///
    /// # Panics
    /// Where there is no such job.
    pub fn job(&self, id: u64) -> JobRecord {
        let job = self.shared.read(|world| world.jobs.get(&id).map(|job| job.record.clone()));
        job.unwrap_or_else(|| no_job(id))
    }

    /// Every job, oldest first.
    pub fn jobs(&self) -> Vec<JobRecord> {
        self.shared.read(|world| world.jobs.values().map(|job| job.record.clone()).collect())
    }

    /// Forgets a job that is over, so that a long run of jobs needs no more memory than a short one.
    pub fn forget(&self, id: u64) {
        self.shared.change(|world| world.jobs.remove(&id));
    }

    /// The requests that are remembered, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.read(|world| world.requests().cloned().collect())
    }

    /// How many requests came to an endpoint.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.shared.read(|world| world.count(endpoint))
    }

    /// Waits until a job is in a state. A runner that does nothing is waited for without an end: give it a time limit.
    ///
    /// # Panics
    /// Where there is no such job, or where it is over in another state.
    pub async fn wait_until(&self, id: u64, state: JobState) -> JobRecord {
        let job = self.wait_for(id, |job| job.state == state || job.state.is_final()).await;
        if job.state == state { job } else { other_end(&job, state) }
    }

    /// Waits until a job is over, in whichever state.
    ///
    /// # Panics
    /// Where there is no such job.
    pub async fn wait_until_over(&self, id: u64) -> JobRecord {
        self.wait_for(id, |job| job.state.is_final()).await
    }

    /// Waits until something is true of a job. What judges it must not ask the server: that is locked meanwhile.
    ///
    /// # Panics
    /// Where there is no such job.
    pub async fn wait_for(&self, id: u64, is_so: impl Fn(&JobRecord) -> bool + Send + Sync) -> JobRecord {
        let found = self.shared.wait(|world| match world.jobs.get(&id) {
            None => Some(None),
            Some(job) => is_so(&job.record).then(|| Some(job.record.clone())),
        });
        found.await.unwrap_or_else(|| no_job(id))
    }

    /// Waits until `count` requests came to an endpoint.
    pub async fn wait_for_requests(&self, endpoint: Endpoint, count: usize) {
        self.shared.wait(|world| (world.count(endpoint) >= count).then_some(())).await;
    }

    /// Tokens that were sent where they do not belong.
    pub fn leaks(&self) -> Vec<String> {
        self.shared.read(|world| world.leaks.clone())
    }

    /// Takes the leaks, so that dropping the server does not fail the test.
    pub fn take_leaks(&self) -> Vec<String> {
        self.shared.change(|world| std::mem::take(&mut world.leaks))
    }
}

impl Drop for GitLab {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        let leaks = self.leaks();
        if !std::thread::panicking() {
            assert!(leaks.is_empty(), "secrets were sent where they do not belong: {leaks:?}");
        }
    }
}

#[expect(clippy::panic, reason = "the test has failed, and would wait without an end")]
fn other_end(job: &JobRecord, state: JobState) -> ! {
    let (id, end, reason) = (job.id, job.state, &job.failure_reason);
    panic!("job {id} is {end:?} ({reason:?}) and will never be {state:?}; its trace:\n{}", job.text())
}

#[expect(clippy::panic, reason = "a test that asks for a job that it never queued is wrong")]
fn no_job(id: u64) -> ! {
    panic!("no job {id} was queued")
}
