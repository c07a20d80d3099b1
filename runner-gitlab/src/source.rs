//! Asks a GitLab server for jobs.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use runner_core::{
    Capacity, Error, ErrorKind, JobLease, JobSource, JobSpec, RemoteReport, Result, SavedLease,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    client::Client,
    remote::{KIND, RemoteJob, is_for_others, job as remote_job, state},
    report::{GitLabReport, JobKey},
    request::JobRequest,
    retry::Gate,
};

mod clone_url;
mod health;
mod pace;
mod poll;
mod refusal;
mod settings;

use health::Health;
use pace::Pace;
pub use settings::SourceSettings;

/// A request that nobody waits for is given so much time to end by itself: the server may be about to hand out a job.
const GRACE: Duration = Duration::from_secs(2);

/// How long the server may take to say whether it still knows a stored job.
const PATIENCE: Duration = Duration::from_secs(5);
/// A server that did not say it is not asked for so long.
const SILENCE: Duration = Duration::from_mins(1);

/// Jobs of a GitLab server.
///
/// # Cancellation
/// A request lives in a task of its own. One that nobody waits for any more is given two seconds and is then broken off,
/// which the server sees, so that it gives the job to somebody else; a job that arrives until then is kept alive at
/// the server and returned by the next call. Dropping the source ends all of it.
#[derive(Debug)]
pub struct GitLabSource {
    shared: Arc<Shared>,
    /// Ends the tasks.
    _tasks: DropGuard,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    settings: SourceSettings,
    state: Mutex<State>,
    gate: Gate,
    /// How many calls wait for a job.
    waiting: watch::Sender<usize>,
    /// There is a reason to look at the state again.
    changed: Notify,
    tasks: TaskTracker,
    closed: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// What the server gave to send with the next request.
    last_update: Option<String>,
    /// Requests that are under way.
    requests: usize,
    /// Jobs and errors that were not returned yet.
    answers: VecDeque<Result<JobLease>>,
    pace: Pace,
    health: Health,
    /// Until when the server is not asked for stored jobs.
    silent_until: Option<Instant>,
}

impl GitLabSource {
    /// A source. Nothing is asked yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the connection cannot be used as it is written, or what the server is told of the
    /// runner is longer than it reads.
    pub fn new(settings: SourceSettings) -> Result<Self> {
        let client = Client::new(&settings.connection)?;
        let (token, system_id, info) = (&settings.token, &settings.system_id, &settings.info);
        JobRequest { token, system_id, last_update: None, info }.check()?;
        let state = State {
            last_update: None,
            requests: 0,
            answers: VecDeque::new(),
            pace: Pace::new(settings.check_interval),
            health: Health::new(settings.unhealthy_requests_limit, settings.unhealthy_interval),
            silent_until: None,
        };
        let closed = CancellationToken::new();
        let shared = Shared {
            client,
            settings,
            state: Mutex::new(state),
            gate: Gate::default(),
            waiting: watch::Sender::new(0),
            changed: Notify::new(),
            tasks: TaskTracker::new(),
            closed: closed.clone(),
        };
        Ok(Self { shared: Arc::new(shared), _tasks: closed.drop_guard() })
    }

    /// The client that it asks with, for [`register`](crate::register).
    pub fn client(&self) -> &Client {
        &self.shared.client
    }
}

#[async_trait]
impl JobSource for GitLabSource {
    async fn next(&self, _capacity: Capacity, stop: &CancellationToken) -> Result<Option<JobLease>> {
        let shared = &self.shared;
        let line = Waiting::begin(shared);
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            answer = shared.answer(true) => Some(answer),
        };
        drop(line);
        if let Some(answer) = answer {
            return answer.map(Some);
        }
        if shared.state().requests == 0 {
            return shared.take_answer().transpose();
        }
        timeout(GRACE, shared.answer(false)).await.ok().transpose()
    }

    async fn resume(&self, saved: SavedLease) -> Result<JobLease> {
        if self.shared.is_gone(&saved.job).await {
            return Err(Error::new(ErrorKind::NotFound, "go on with a job: GitLab has ended it")
                .with("job", &saved.job.id));
        }
        Ok(self.shared.lease_of(saved))
    }
}

impl Shared {
    /// Waits for a job or an error, and asks for one where `may_ask`. Cancel safe.
    async fn answer(self: &Arc<Self>, may_ask: bool) -> Result<JobLease> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(answer) = self.take_answer() {
                return answer;
            }
            let not_before = if may_ask { self.ask_where_due() } else { None };
            tokio::select! {
                () = &mut changed => {}
                () = until(not_before) => {}
            }
        }
    }

    fn take_answer(&self) -> Option<Result<JobLease>> {
        self.state().answers.pop_front()
    }

    /// Begins a request where fewer are under way than calls wait for one. Returns when to look again where the server
    /// may not be asked yet.
    fn ask_where_due(self: &Arc<Self>) -> Option<Instant> {
        let mut state = self.state();
        if state.requests >= *self.waiting.borrow() {
            return None;
        }
        let now = Instant::now();
        let not_before =
            state.pace.not_before(now).max(state.health.not_before(now)).max(self.gate.closed_until());
        if not_before.is_none() {
            state.requests += 1;
            self.tasks.spawn(poll::run(Arc::clone(self)));
        }
        not_before
    }

    /// Whether the server certainly knows a stored job to be over. A server that does not answer is not asked for the next
    /// ones: a manager that starts goes on with all of its jobs soon, and their reports tell them what has become of them.
    async fn is_gone(&self, job: &JobSpec) -> bool {
        let is_silent = self.state().silent_until.is_some_and(|until| until > Instant::now());
        if is_silent {
            return false;
        }
        let asked = GitLabReport::new(self.client.clone(), job).is_gone(PATIENCE).await;
        asked.unwrap_or_else(|error| {
            tracing::debug!(job = %job.id, error = error.chain(), "a stored job is gone on with unseen");
            self.state().silent_until = Some(Instant::now() + SILENCE);
            false
        })
    }

    fn lease(&self, mut job: JobSpec) -> Result<JobLease> {
        if let Some(clone_url) = &self.settings.clone_url {
            clone_url::apply(&mut job, clone_url);
        }
        let state = state(&self.client, &job)?;
        Ok(self.lease_of(SavedLease { runner: self.settings.name.clone(), job: Arc::new(job), state }))
    }

    fn lease_of(&self, saved: SavedLease) -> JobLease {
        let RemoteJob { report, artifacts } = remote_job(&self.client, JobKey::of(&saved.job));
        let remote = is_for_others(&saved.state)
            .then(|| RemoteReport { kind: KIND.into(), state: saved.state.clone() });
        JobLease { job: Arc::clone(&saved.job), report, artifacts, saved, remote }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// A call that waits for a job, as long as it lives.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.waiting.send_modify(|waiting| *waiting += 1);
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}
