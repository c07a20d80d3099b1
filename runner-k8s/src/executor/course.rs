//! The task that runs a job: one pod after the other until the job has ended, and then the word of it to its source.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use k8s_openapi::api::core::v1::Pod;
use runner_core::{
    ArtifactStore, Error, ErrorKind, FailureReason, JobContext, JobEnd, JobEvent, JobOutcome, JobSpec,
    Result, agent::Order, outcome::LogDigest, report::Reporter, source::WishAction,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    attempt::{Attempt, Attempted, Why},
    end::Found,
    services,
    stop::{Wished, Wishes},
};
use crate::{
    api::{Cluster, Created},
    channel::{Channel, Served},
    journal::{Insertion, Journal},
    pod::{PodNames, PodPlan, disruption_budget, pod_for},
    record::{Ending, Record, Stored, StoredWish, digest},
    relay::Relay,
    removal::Leftovers,
    settings::JobSettings,
    status::Waiting,
    watch::FollowedPod,
};

/// So many pods may be taken away from a job before its script begins.
const MOST_ATTEMPTS: u32 = 5;

/// How long the end of a job may take to be told that nobody waits for.
const LAST_WORD: Duration = Duration::from_secs(5);

/// What the clock cannot hold is this long.
const A_YEAR: Duration = Duration::from_hours(24 * 365);

/// How long until another pod is tried where the helper's image was not to be had.
const PAUSE: Duration = Duration::from_secs(5);

/// A job on its way.
pub(super) struct Course {
    pub(super) shared: Arc<Shared>,
    /// The cluster, with the rights that the job has there.
    pub(super) cluster: Cluster,
    pub(super) job: Arc<JobSpec>,
    pub(super) artifacts: Arc<dyn ArtifactStore>,
    pub(super) settings: JobSettings,
    pub(super) stored: Stored,
    pub(super) order: Order,
    pub(super) context: JobContext,
    pub(super) journal: Journal,
    pub(super) wishes: Wishes,
    pub(super) wish: watch::Receiver<Option<Wished>>,
    pub(super) leftovers: Arc<Mutex<Leftovers>>,
    /// Whether the pod of the current attempt is there or may be.
    pub(super) has_pod: bool,
    /// When a pod must be complete.
    pub(super) start_by: Option<Instant>,
    /// The last line about another pod.
    pub(super) said: Option<String>,
    /// The warnings about the pod that the log shows.
    pub(super) shown: Vec<String>,
    /// Not all of the log could be read again, so nobody knows its digest.
    pub(super) log_is_unknown: bool,
    /// The last line about why a pod waits.
    pub(super) waits_for: Option<String>,
    /// What the last pod had to be replaced for, where the next one may have the same trouble.
    pub(super) trouble: Option<Waiting>,
}

/// What carries a job's log and end to its source.
pub(super) struct Reporting {
    pub(super) reporter: Reporter,
    pub(super) end: watch::Sender<Option<JobEnd>>,
    pub(super) done: CancellationToken,
}

impl Course {
    /// Runs the job to its end and reports it.
    pub(super) async fn run(mut self, reporting: Reporting) {
        let Reporting { reporter, end: sender, done } = reporting;
        let finished = CancellationToken::new();
        let (wishes, timeout) = (self.wishes.clone(), self.job.timeout);
        let done = done.drop_guard();
        let work = async {
            let found = self.work().await;
            self.flush_patiently().await;
            finished.cancel();
            (found, self.journal.digest())
        };
        let work = async {
            tokio::select! {
                ended = work => ended,
                never = heed(&reporter, &wishes, timeout) => match never {},
            }
        };
        let ((found, log), ()) = tokio::join!(work, reporter.run(&finished));
        // What is made of the job is made; only the report is left.
        drop(done);
        let Found { outcome, script_begun, phases, .. } = found;
        let log = if self.log_is_unknown || reporter.is_behind() { LogDigest::default() } else { log };
        let reported = report_end(&reporter, &outcome, log).await;
        sender.send_replace(Some(JobEnd { outcome, reported, script_begun, log, phases }));
    }

    /// Waits until there is room for all of the log. Whoever wants the job gone waits only a moment for its log.
    async fn flush_patiently(&mut self) {
        let mut wish = self.wish.clone();
        let aborted = async {
            drop(wish.wait_for(|wish| wish.is_some_and(|wished| wished.wish == StoredWish::Abort)).await);
            sleep(LAST_WORD).await;
        };
        tokio::select! {
            biased;
            () = self.journal.flush() => {}
            () = aborted => {}
        }
    }

    async fn work(&mut self) -> Found {
        if let Some(Ending { outcome, script_begun }) = self.stored.record.ending.clone() {
            return self.tell_again(outcome, script_begun).await;
        }
        loop {
            let (attempted, missing, judgement) = Attempt::new(self).run().await;
            match attempted {
                Attempted::Ended(mut found) => {
                    let text = services::epilogue(self, &missing, judgement.as_ref()).await;
                    let text = text.into_iter().chain(found.line.take()).collect::<Vec<_>>().join("\n");
                    if !text.is_empty() {
                        self.store_ending(&found, &text).await;
                    }
                    // Services are ended by nobody but us.
                    self.note_end(found.agent_ended && self.settings.services.is_empty());
                    return found;
                }
                Attempted::Again { line, why } => {
                    if let Some(found) = self.next_attempt(&line, why).await {
                        return found;
                    }
                }
            }
        }
    }

    /// An earlier process found the end and stored it. What the agent wrote before it may still be there.
    async fn tell_again(&mut self, outcome: JobOutcome, script_begun: bool) -> Found {
        if self.has_pod && !matches!(outcome, JobOutcome::Canceled) {
            Attempt::new(self).read_again().await;
        }
        Found { outcome, script_begun, phases: Vec::new(), line: None, agent_ended: false }
    }

    /// Prepares another pod, or ends the job where there were enough.
    async fn next_attempt(&mut self, line: &str, why: Why) -> Option<Found> {
        if let Some(wished) = self.wished() {
            let verdict = super::end::without_record(Some(wished.wish), None);
            if let super::end::Verdict::Ended(found) = verdict {
                return Some(Found { script_begun: false, ..found });
            }
        }
        if self.stored.record.attempt >= MOST_ATTEMPTS && why == Why::TakenAway {
            let text = format!("{line}; that was pod number {MOST_ATTEMPTS} of this job");
            return Some(Found::failed(FailureReason::RunnerInterrupted, text, false));
        }
        self.delete_pod(Some(1)).await;
        if let Err(error) = self.wait_until_gone().await {
            let text = format!("{line}; failed to {}", error.chain());
            return Some(Found::failed(FailureReason::RunnerSystemFailure, text, false));
        }
        let how = match why {
            Why::TakenAway => "starting another pod",
            Why::NextPull => "trying the next pull policy",
            Why::NoHelper => "trying again with another pod",
        };
        self.say_once(&format!("{line}: {how}")).await;
        if why == Why::TakenAway {
            self.start_by = None;
            self.waits_for = None;
            self.trouble = None;
        }
        if why == Why::NoHelper {
            sleep(PAUSE).await;
        }
        let (before, inserted) = self.journal.next_agent(self.stored.record.before);
        let mut record = self.stored.record.clone();
        record.attempt += 1;
        record.pull += usize::from(why == Why::NextPull);
        record.pod = pod_name(&self.shared, &self.job, self.stored.name(), &record);
        record.pod_made = false;
        record.before = before;
        record.inserted = inserted;
        self.order.attempt = record.attempt;
        self.has_pod = false;
        match self.store(record).await {
            Ok(()) => {
                self.note_leftovers();
                None
            }
            Err(error) => {
                let text = format!("{line}; failed to {}", error.chain());
                Some(Found::failed(FailureReason::RunnerSystemFailure, text, false))
            }
        }
    }

    async fn wait_until_gone(&self) -> Result<()> {
        let mut followed = self.follow();
        followed.is_made();
        let is_gone = async { while !followed.now().gone && !followed.changed().await.gone {} };
        let (namespace, pod) = (&self.stored.namespace, &self.stored.record.pod);
        if self.cluster.pod(namespace, pod).await?.is_none() {
            return Ok(());
        }
        tokio::time::timeout(Duration::from_mins(2), is_gone)
            .await
            .map_err(|_| Error::new(ErrorKind::TimedOut, "see the pod gone").with("pod", pod))
    }

    /// Does `make` with the plan of the pod of the current attempt.
    fn planned<T>(&self, make: impl FnOnce(&PodPlan<'_>) -> T) -> T {
        let record = &self.stored.record;
        let setup = &self.shared.settings;
        let names = PodNames {
            pod: record.pod.clone(),
            secrets: self.stored.names(),
            owner_uid: self.stored.uid().to_owned(),
            services_secret: services::secret_name(&self.stored, &self.settings),
            pull_secret: self.stored.has_logins().then(|| self.stored.name().to_owned()),
        };
        make(&PodPlan {
            config: &setup.config,
            settings: &self.settings,
            job: &self.job,
            names: &names,
            attempt: record.attempt,
            pull: u32::try_from(record.pull).unwrap_or(u32::MAX).saturating_add(1),
            slot: record.slot,
            runner_token: &setup.token,
            patch_files: &setup.patch_files,
            has_channel: self.order.channel,
        })
    }

    /// The pod of the current attempt.
    pub(super) fn pod(&self) -> Result<Pod> {
        let mut pod = self.planned(pod_for)?;
        let labels = crate::record::labels(&self.shared.settings.manager, "pod");
        pod.metadata.labels.get_or_insert_default().extend(labels);
        Ok(pod)
    }

    pub(super) async fn create(&self, pod: &Pod) -> Result<Created<Pod>, kube::Error> {
        self.cluster.create_pod(&self.stored.namespace, pod).await
    }

    /// Makes the budget that lets a drain of the node wait for the job, where the config asks for it. A job runs without
    /// it as well.
    pub(super) async fn protect(&self) {
        let Some(budget) = self.planned(disruption_budget) else { return };
        if let Err(error) = self.cluster.create_budget(&self.stored.namespace, &budget).await {
            self.event(JobEvent::Notice(format!(
                "a drain does not wait for the job: failed to {}",
                error.chain()
            )));
        }
    }

    /// The warnings that the cluster has about the pod and that were not shown, where the config asks for them.
    pub(super) async fn warnings(&mut self) -> Vec<String> {
        if !self.settings.shows_events {
            return Vec::new();
        }
        let told = self.cluster.warnings(&self.stored.namespace, &self.stored.record.pod).await;
        let mut lines =
            told.unwrap_or_else(|error| vec![format!("events are not shown: failed to {}", error.chain())]);
        lines.retain(|line| !self.shown.contains(line));
        self.shown.extend(lines.iter().cloned());
        lines
    }

    pub(super) fn pod_is_made(&mut self) {
        self.has_pod = true;
        self.stored.record.pod_made = true;
        self.note_leftovers();
    }

    fn note_leftovers(&self) {
        let mut leftovers = self.leftovers.lock().unwrap_or_else(PoisonError::into_inner);
        leftovers.pod = self.has_pod.then(|| self.stored.record.pod.clone());
    }

    fn note_end(&self, ends_by_itself: bool) {
        self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).ends_by_itself = ends_by_itself;
    }

    pub(super) fn follow(&self) -> FollowedPod {
        self.shared.watches.follow(&self.stored.namespace, &self.stored.record.pod)
    }

    pub(super) fn relay(&self, container: &'static str) -> Relay {
        let (namespace, pod) = (self.stored.namespace.clone(), self.stored.record.pod.clone());
        Relay::follow(self.cluster.clone(), namespace, pod, container)
    }

    /// Serves the side channel of the pod, where there is one.
    pub(super) fn serve_channel(&self) -> Option<Channel> {
        let shipper = self.shared.settings.channel.as_ref().filter(|_| self.order.channel)?;
        let (namespace, pod) = (self.stored.namespace.clone(), self.stored.record.pod.clone());
        let served = Served {
            job: Arc::clone(&self.job),
            artifacts: Arc::clone(&self.artifacts),
            shipper: Arc::clone(shipper),
            events: self.context.events.clone(),
        };
        Some(Channel::serve(self.cluster.clone(), namespace, pod, served))
    }

    /// When a pod must be complete: the budget is one for all pods that are made because of images.
    pub(super) fn start_by(&mut self) -> Instant {
        let now = Instant::now();
        let latest = now.checked_add(self.start_budget()).unwrap_or(now + A_YEAR);
        *self.start_by.get_or_insert(latest)
    }

    /// Says something that may be said again for each pod, once.
    async fn say_once(&mut self, text: &str) {
        if self.said.as_deref() != Some(text) {
            self.said = Some(text.to_owned());
            self.say(text, SystemTime::now()).await;
        }
    }

    pub(super) fn start_budget(&self) -> Duration {
        self.settings.start_budget
    }

    pub(super) fn has_next_pull(&self) -> bool {
        let containers = [&self.settings.build, &self.settings.helper];
        let containers =
            containers.into_iter().chain(self.settings.services.iter().map(|service| &service.container));
        let most = containers.map(|container| container.pull_policies.attempts()).max();
        most.unwrap_or(1) > self.stored.record.pull + 1
    }

    pub(super) fn event(&self, event: JobEvent) {
        self.context.events.job(&self.job.id, event);
    }

    /// What is wanted of the job now.
    pub(super) fn wished(&self) -> Option<Wished> {
        *self.wish.borrow()
    }

    /// Says something in the log, after it is stored.
    pub(super) async fn say(&mut self, text: &str, time: SystemTime) {
        let insertion = self.journal.insertion(text, time);
        let mut record = self.stored.record.clone();
        record.inserted.push(insertion.clone());
        self.store_or_warn(record).await;
        self.journal.insert(insertion);
    }

    /// Stores why the pod is about to be told to end.
    pub(super) async fn store_wish(&mut self, wish: StoredWish) {
        if self.stored.record.wish.is_some_and(|known| known >= wish) {
            return;
        }
        let record = Record { wish: Some(wish), ..self.stored.record.clone() };
        self.store_or_warn(record).await;
    }

    async fn store_ending(&mut self, found: &Found, text: &str) {
        let insertion = self.journal.insertion(text, SystemTime::now());
        let mut record = self.stored.record.clone();
        record.inserted.push(insertion.clone());
        record.ending = Some(Ending { outcome: found.outcome.clone(), script_begun: found.script_begun });
        self.store_or_warn(record).await;
        self.journal.insert(insertion);
    }

    async fn store_or_warn(&mut self, record: Record) {
        if let Err(error) = self.store(record).await {
            tracing::warn!(job = %self.job.id, error = error.chain(), "the state of a job is not stored");
        }
    }

    async fn store(&mut self, record: Record) -> Result<()> {
        let secret = self.stored.changed(&record, &self.order)?;
        self.stored.record = record;
        let (cluster, namespace) = (&self.cluster, &self.stored.namespace);
        let stored = match cluster.replace_secret(namespace, &secret).await {
            // Nobody else writes it: an earlier try of this very change was applied, and its answer was lost.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let Some(newer) = cluster.secret(namespace, self.stored.name()).await? else {
                    return Err(error);
                };
                let mut secret = secret;
                secret.metadata.resource_version = newer.metadata.resource_version;
                cluster.replace_secret(namespace, &secret).await?
            }
            stored => stored?,
        };
        self.stored.secret = stored;
        Ok(())
    }

    /// Tells the pod to end. What is not there ends by itself.
    pub(super) async fn delete_pod(&self, grace: Option<u32>) {
        let (namespace, pod) = (&self.stored.namespace, &self.stored.record.pod);
        if self.has_pod
            && let Err(error) = self.cluster.delete_pod(namespace, pod, grace).await
        {
            tracing::warn!(job = %self.job.id, error = error.chain(), "a pod could not be told to end");
        }
    }
}

/// Waits for another wish. Cancel safe.
pub(super) async fn changed(wish: &mut watch::Receiver<Option<Wished>>) {
    if wish.changed().await.is_err() {
        // The course holds a sender.
        std::future::pending::<()>().await;
    }
}

/// The name of the pod of an attempt: the same for the same attempt.
pub(super) fn pod_name(shared: &Shared, job: &JobSpec, secret: &str, record: &Record) -> String {
    let random = digest(&[secret, &record.attempt.to_string(), record.state.expose()]);
    crate::pod::name(&shared.settings.token, job.project.id, record.slot, &random)
}

/// Where the log of a stored job begins, and what is to be inserted into it.
pub(super) fn journal_of(
    record: &Record,
    spool: Arc<dyn runner_core::log::LogSpool>,
    timestamps: bool,
) -> Journal {
    let mut journal = Journal::new(spool, timestamps, record.before);
    for Insertion { at, text } in record.inserted.clone() {
        journal.insert(Insertion { at, text });
    }
    journal
}

/// Does what the source wants of the job.
async fn heed(reporter: &Reporter, wishes: &Wishes, timeout: Duration) -> std::convert::Infallible {
    let mut wanted = reporter.wishes();
    loop {
        let action = *wanted.borrow_and_update();
        if let Some(wished) = Wished::by_source(action, timeout) {
            wishes.ask(wished);
        }
        if wanted.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Reports the end; tells whether nobody else needs to.
async fn report_end(reporter: &Reporter, outcome: &JobOutcome, log: LogDigest) -> bool {
    let is_aborted = *reporter.wishes().borrow() == WishAction::Abort;
    let reporting = reporter.complete(outcome, log);
    if is_aborted {
        // Nobody waits for it, and the log is not complete. It is no harm to say it once.
        let said = tokio::time::timeout(LAST_WORD, reporting).await;
        tracing::debug!(?said, "a job that its source aborted has ended");
        return true;
    }
    match reporting.await {
        Ok(_) => true,
        Err(error) => {
            tracing::error!(error = error.chain(), "the end of a job could not be reported");
            false
        }
    }
}
