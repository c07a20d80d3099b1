//! The task that runs a job: one pod after the other until the job has ended, and then the word of it to its source.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use runner_core::{
    ArtifactStore, Error, FailureReason, JobContext, JobEnd, JobEvent, JobOutcome, JobSpec,
    agent::{Order, Reports},
    report::{Duty, Reporter},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    attempt::{Attempt, Attempted, Why},
    end::{AgentEnd, Found, Verdict, without_record},
    pods::pod_name,
    services,
    stop::{Wished, Wishes},
    telling::{LAST_WORD, heed, report_end},
};
use crate::{
    api::Cluster,
    journal::{Insertion, Journal},
    record::{Ending, Record, Stored, StoredWish},
    removal::Leftovers,
    settings::JobSettings,
    status::Waiting,
};

/// So many pods may be taken away from a job before its script begins.
const MOST_ATTEMPTS: u32 = 5;

/// What the log says where nobody could read it to its end.
const END_MISSING: &str =
    "\u{1b}[33;1m... the end of this log may be missing: it was lost with the pod of the job ...\u{1b}[0;m";

/// What the clock cannot hold is this long.
const A_YEAR: Duration = Duration::from_hours(24 * 365);

/// How often it is looked whether the source has the log.
const SENDING: Duration = Duration::from_millis(200);

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
    /// Why no pod can be made for the job any more.
    pub(super) unfit: Option<Error>,
    pub(super) stored: Stored,
    pub(super) order: Order,
    pub(super) context: JobContext,
    pub(super) reporter: Arc<Reporter>,
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
    /// What is here is not byte by byte what the agent has sent.
    pub(super) log_differs: bool,
    /// The last line about why a pod waits.
    pub(super) waits_for: Option<String>,
    /// The last that an earlier process said in the log, as long as this one says nothing.
    pub(super) said_before: Option<String>,
    /// What the last pod had to be replaced for, where the next one may have the same trouble.
    pub(super) trouble: Option<Waiting>,
    /// Triggered when the job is another manager's. Then nothing of this goes on.
    pub(super) given_up: CancellationToken,
}

/// What carries a job's log and end to its source.
pub(super) struct Reporting {
    pub(super) end: watch::Sender<Option<JobEnd>>,
    pub(super) done: CancellationToken,
}

impl Course {
    /// Runs the job to its end and reports it.
    pub(super) async fn run(mut self, reporting: Reporting) {
        let Reporting { end: sender, done } = reporting;
        let reporter = Arc::clone(&self.reporter);
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
        let Found { outcome, script_begun, phases, agent, .. } = found;
        let is_known = !self.log_is_unknown && !self.log_differs && !reporter.is_behind();
        let mut end = JobEnd { outcome, reported: true, script_begun, log: is_known.then_some(log), phases };
        if let Some(AgentEnd { reported: true, log }) = agent {
            end.log = log;
        } else {
            end.reported = report_end(&reporter, &end.outcome, end.log).await;
        }
        sender.send_replace(Some(end));
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
        if let Some(ending) = self.stored.record.ending.clone() {
            return self.tell_again(ending).await;
        }
        // An earlier process may have ended between the two pods.
        if !self.has_pod
            && let Err(error) = self.remove_replaced().await
        {
            let text = format!("failed to {}", error.chain());
            return Found::failed(FailureReason::RunnerSystemFailure, text, false);
        }
        loop {
            let (attempted, seen) = Attempt::new(self).run().await;
            match attempted {
                Attempted::Ended(mut found) => {
                    if let Some(AgentEnd { reported, log }) = found.agent.filter(|_| self.agent_reports()) {
                        if reported {
                            self.note_end(self.settings.services.is_empty());
                            return found;
                        }
                        self.log_differs = log != Some(self.journal.digest());
                    } else if self.agent_reports() && self.has_pod && (seen.is_aborted || seen.lacks_end) {
                        // Nobody has read all that the agent has sent.
                        self.log_differs = true;
                    }
                    let lost = (self.log_is_unknown || seen.lacks_end).then(|| END_MISSING.to_owned());
                    let text =
                        services::epilogue(self, &seen.missing_services, seen.judgement.as_ref()).await;
                    let text = lost.into_iter().chain(text).chain(found.line.take());
                    let text = text.collect::<Vec<_>>().join("\n");
                    if !text.is_empty() {
                        self.store_ending(&found, &text).await;
                    }
                    // Services are ended by nobody but us.
                    let ends = found.agent.is_some() && !seen.is_going;
                    self.note_end(ends && self.settings.services.is_empty());
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
    async fn tell_again(&mut self, ending: Ending) -> Found {
        let Ending { outcome, script_begun, line } = ending;
        if self.log_is_unknown {
            let mut found = Found::untold(outcome, script_begun);
            let lines: Vec<String> = [END_MISSING.to_owned()].into_iter().chain(found.line.take()).collect();
            self.store_ending(&found, &lines.join("\n")).await;
            return found;
        }
        let reads = self.has_pod && !matches!(outcome, JobOutcome::Canceled);
        let is_read = if reads { Attempt::new(self).read_again().await } else { !self.has_pod };
        let lost = (reads && !is_read).then(|| END_MISSING.to_owned());
        // What was not read the source may have from the agent, and then the log here is not the one there.
        self.log_differs = self.agent_reports() && !is_read;
        for line in lost.into_iter().chain(line) {
            let insertion = self.journal.insertion(&line, SystemTime::now());
            self.journal.insert(insertion);
        }
        Found { outcome, script_begun, phases: Vec::new(), line: None, agent: None }
    }

    /// Whether the agent writes the log to the source by itself.
    pub(super) fn agent_reports(&self) -> bool {
        self.order.reports != Reports::Nothing
    }

    /// Prepares another pod, or ends the job where there were enough. That there is to be another one is stored before
    /// this one is removed: to a later process a pod that is gone is otherwise one that may have run the job.
    async fn next_attempt(&mut self, line: &str, why: Why) -> Option<Found> {
        if let Some(found) = self.ended_by_wish() {
            return Some(found);
        }
        if self.stored.record.attempt >= MOST_ATTEMPTS && why == Why::TakenAway {
            let text = format!("{line}; that was pod number {MOST_ATTEMPTS} of this job");
            return Some(Found::failed(FailureReason::RunnerInterrupted, text, false));
        }
        // Nobody else writes the log until the next pod has a node.
        self.reporter.set_duty(Duty::Everything);
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
        let (before, inserted) = self.journal.next_agent(self.stored.record.before);
        if before != self.stored.record.before {
            // Of this part the next agent has no text, and neither has a later manager.
            self.wait_until_sent(before.size).await;
            if let Some(found) = self.ended_by_wish() {
                return Some(found);
            }
        }
        let mut record = self.stored.record.clone();
        record.attempt += 1;
        record.pull += usize::from(why == Why::NextPull);
        record.pod = pod_name(&self.shared, &self.job, self.stored.name(), &record);
        record.pod_made = false;
        record.replaced = Some(self.stored.record.pod.clone());
        record.before = before;
        record.inserted = inserted;
        self.order.attempt = record.attempt;
        let replaced = async {
            self.store(record).await?;
            self.has_pod = false;
            self.remove_replaced().await
        };
        if let Err(error) = replaced.await {
            let text = format!("{line}; failed to {}", error.chain());
            return Some(Found::failed(FailureReason::RunnerSystemFailure, text, false));
        }
        self.note_leftovers();
        if why == Why::NoHelper {
            self.pause(PAUSE).await;
            return self.ended_by_wish();
        }
        None
    }

    /// How the job ended if it is to end and there is no pod that could tell.
    fn ended_by_wish(&self) -> Option<Found> {
        match without_record(Some(self.wished()?.wish), None) {
            Verdict::Ended(found) => Some(Found { script_begun: false, ..found }),
            Verdict::Again(_) => None,
        }
    }

    /// Waits that long, or until there is another wish. The log goes on meanwhile.
    pub(super) async fn pause(&mut self, length: Duration) {
        let Self { wish, journal, .. } = self;
        let over = async {
            journal.flush().await;
            sleep(length).await;
        };
        tokio::select! {
            biased;
            () = changed(wish) => {}
            () = over => {}
        }
    }

    /// Waits until the source has the log before byte `size`, or there is a wish.
    async fn wait_until_sent(&mut self, size: u64) {
        while !self.reporter.has_sent(size) && self.wished().is_none() {
            self.pause(SENDING).await;
        }
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
}

/// Waits for another wish. Cancel safe.
pub(super) async fn changed(wish: &mut watch::Receiver<Option<Wished>>) {
    if wish.changed().await.is_err() {
        // The course holds a sender.
        std::future::pending::<()>().await;
    }
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
