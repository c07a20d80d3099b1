//! One pod of a job, from its creation to the word on how it ended.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use runner_core::{
    FailureReason, JobEvent, Phase,
    agent::{AgentEvent, Frame, FrameBody},
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    course::{Course, changed},
    end::{Found, Verdict, of_record, without_record},
    missing::{self, Volumes},
    stop::Wished,
    view::{LAG, Stream, View},
};
use crate::{
    api::Created,
    channel::Channel,
    pod::HELPER,
    record::StoredWish,
    relay::{Relay, Relayed},
    status::{ImageTrouble, Judgement, Refusal, WaitCause, Waiting, refusal},
    watch::{FollowedPod, Seen},
};

/// A wait that is shorter than this is not spoken of.
const SHORT_WAIT: Duration = Duration::from_secs(2);

/// How long the log of a job whose end is known is read.
const READING: Duration = Duration::from_secs(30);

/// How long between two tries at creating a pod that is refused for a reason that passes.
const BETWEEN_TRIES: Duration = Duration::from_secs(5);

/// What came of a pod.
#[derive(Debug)]
pub(super) enum Attempted {
    /// The job ended.
    Ended(Found),
    /// Another pod is to go on. The line says why.
    Again { line: String, why: Why },
}

/// Why another pod is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The pod was taken away.
    TakenAway,
    /// An image is to be pulled with the next of the pull policies.
    NextPull,
    /// The helper's image was not to be had, and without it the pod is spoiled.
    NoHelper,
}

impl From<Verdict> for Attempted {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Ended(found) => Self::Ended(found),
            Verdict::Again(line) => Self::Again { line, why: Why::TakenAway },
        }
    }
}

/// One attempt.
pub(super) struct Attempt<'a> {
    course: &'a mut Course,
    followed: FollowedPod,
    view: View,
    channel: Option<Channel>,
    /// When the pod must be complete.
    start_by: Instant,
    /// The waiting that is to be spoken of, and when.
    to_say: Option<(String, Instant)>,
    /// What may be missing, and could not be looked for.
    unknown: Option<String>,
    /// When a pod that the watch does not show is looked for.
    unseen: Instant,
}

impl<'a> Attempt<'a> {
    /// An attempt of `course`, whose pod is not made yet or is there already.
    pub(super) fn new(course: &'a mut Course) -> Self {
        let followed = course.follow();
        let start_by = course.start_by();
        Self {
            course,
            followed,
            view: View::new(),
            channel: None,
            start_by,
            to_say: None,
            unknown: None,
            unseen: Instant::now() + LAG,
        }
    }

    /// Makes the pod where it is not there yet, and follows it until there is a word on how it ended. Also returns the
    /// numbers of the services that did not come up, and the last status.
    pub(super) async fn run(mut self) -> (Attempted, Vec<usize>, Option<Judgement>) {
        let attempted = if self.course.has_pod { None } else { self.make().await };
        let attempted = match attempted {
            Some(attempted) => attempted,
            None => self.follow().await,
        };
        (attempted, self.view.missing_services, self.view.judgement)
    }

    /// Reads what the agent wrote, for the log of a job whose end is known.
    pub(super) async fn read_again(mut self) {
        self.view.see(self.followed.now());
        let limit = Instant::now() + READING;
        while Instant::now() < limit && !self.has_ended() {
            self.open_stream();
            tokio::select! {
                () = self.step() => {}
                () = sleep_until(limit) => {}
            }
        }
    }

    async fn make(&mut self) -> Option<Attempted> {
        // Whether one may have been made whose answer was lost.
        let mut may_be_there = false;
        loop {
            if let Some(wished) = self.course.wished() {
                return Some(match without_record(Some(wished.wish), None) {
                    Verdict::Ended(found) => Attempted::Ended(Found { script_begun: may_be_there, ..found }),
                    again @ Verdict::Again(_) => again.into(),
                });
            }
            let pod = match self.course.pod() {
                Ok(pod) => pod,
                Err(error) => {
                    let text = format!("failed to {}", error.chain());
                    return Some(Attempted::Ended(Found::failed(
                        FailureReason::ConfigurationError,
                        text,
                        false,
                    )));
                }
            };
            match self.course.create(&pod).await {
                Ok(Created::New(_) | Created::Exists) => {
                    self.followed.is_made();
                    self.unseen = Instant::now() + LAG;
                    self.course.pod_is_made();
                    self.course.protect().await;
                    return None;
                }
                Err(error) => {
                    let waiting = refusal_of(&error);
                    if waiting.permanent {
                        let found = Found::failed(waiting.reason, waiting.line, may_be_there);
                        return Some(Attempted::Ended(found));
                    }
                    if Instant::now() + BETWEEN_TRIES > self.start_by {
                        return Some(self.too_late(Some(&waiting)));
                    }
                    may_be_there |= !is_refused(&error);
                    self.say(&waiting.line).await;
                }
            }
            let Course { wish, journal, .. } = &mut *self.course;
            let pause = async {
                journal.flush().await;
                sleep(BETWEEN_TRIES).await;
            };
            tokio::select! {
                () = pause => {}
                () = changed(wish) => {}
            }
        }
    }

    async fn follow(&mut self) -> Attempted {
        self.view.see(self.followed.now());
        if let Some(wished) = self.course.wished() {
            self.end_pod(wished).await;
        }
        loop {
            if let Some(attempted) = self.decide().await {
                return attempted;
            }
            self.step().await;
        }
    }

    /// Waits for the next thing that happens, and takes it.
    async fn step(&mut self) {
        let unseen = self.view.pod.is_none().then_some(self.unseen);
        let said = self.to_say.as_ref().map(|(_, at)| *at);
        let look = [self.view.next_look(), said, self.start_limit(), unseen];
        let look = look.into_iter().flatten().min();
        let is_flushed = self.course.journal.is_flushed();
        let Course { wish, journal, .. } = &mut *self.course;
        let happened = tokio::select! {
            biased;
            () = changed(wish) => Happened::Wished,
            seen = self.followed.changed() => Happened::Seen(seen),
            () = journal.flush(), if !is_flushed => return,
            relayed = next(&mut self.view.stream), if is_flushed => Happened::Relayed(relayed),
            () = until(look) => return,
        };
        match happened {
            Happened::Wished => {
                if let Some(wished) = self.course.wished() {
                    self.end_pod(wished).await;
                }
            }
            Happened::Seen(seen) => self.view.see(seen),
            Happened::Relayed(relayed) => self.take(relayed),
        }
    }

    fn start_limit(&self) -> Option<Instant> {
        (!self.view.is_complete()).then_some(self.start_by)
    }

    fn take(&mut self, relayed: Option<Relayed>) {
        match relayed {
            Some(Relayed::Frame(frame)) => self.take_frame(frame),
            // The container ended before its stream did.
            Some(Relayed::Broke) if self.view.is_over() => self.view.stream = Stream::Read,
            Some(Relayed::Broke) => {}
            None => self.view.stream = Stream::Read,
        }
    }

    fn take_frame(&mut self, frame: Frame) {
        self.view.take(&frame);
        match frame.body {
            FrameBody::Log { offset, bytes } => self.course.journal.agent(offset, bytes),
            FrameBody::Event(event) => self.tell(event),
            FrameBody::End(_) => self.view.stream = Stream::Read,
        }
    }

    fn tell(&mut self, event: AgentEvent) {
        let event = match event {
            AgentEvent::PhaseStarted(phase) => {
                if phase == Phase::Script {
                    // From here on no other pod may go on with this job.
                    self.course.journal.keep_no_more();
                }
                JobEvent::PhaseStarted(phase)
            }
            AgentEvent::PhaseEnded(record) => JobEvent::PhaseEnded(record),
            AgentEvent::Notice(text) => JobEvent::Notice(text),
            AgentEvent::Alive | AgentEvent::ServiceMissing(_) => return,
        };
        self.course.event(event);
    }

    /// Looks at what is known, does what follows from it, and tells how it ended if it has.
    async fn decide(&mut self) -> Option<Attempted> {
        self.look_for_unseen().await;
        self.open_stream();
        if let Some(wished) = self.course.wished()
            && wished.wish == StoredWish::Abort
        {
            return Some(without_record(Some(wished.wish), self.view.judgement.as_ref()).into());
        }
        if let Some(ended) = self.ended() {
            return Some(ended);
        }
        self.look_at_waiting().await
    }

    fn open_stream(&mut self) {
        if self.channel.is_none() && self.view.has_log() && !self.view.is_over() {
            self.channel = self.course.serve_channel();
        }
        if matches!(self.view.stream, Stream::Unread) && self.view.has_log() {
            self.view.stream = Stream::Open(Box::new(self.course.relay(HELPER)));
        }
        if self.view.is_stuck() && matches!(self.view.stream, Stream::Open(_)) {
            self.view.stream = Stream::Read;
        }
    }

    /// Whether nothing more will come of the agent.
    fn has_ended(&self) -> bool {
        self.view.told.is_some() || (self.view.is_over() && self.view.is_read())
    }

    fn ended(&self) -> Option<Attempted> {
        if !self.has_ended() {
            return None;
        }
        let wish = self.course.wished().map(|wished| wished.wish);
        let judgement = self.view.judgement.as_ref();
        let Some(record) = self.view.record() else { return Some(without_record(wish, judgement).into()) };
        // Only the status knows why the agent was told to end, or why what it talks to is gone.
        let needs_status = record.build_lost || (record.stopped_from_outside && wish.is_none());
        if needs_status && !self.view.has_settled() {
            return None;
        }
        Some(of_record(&record, wish, judgement).into())
    }

    /// Asks for a pod that the watch does not show: one of an earlier process may have gone before this one watched.
    async fn look_for_unseen(&mut self) {
        if self.view.pod.is_some() || self.view.gone || Instant::now() < self.unseen {
            return;
        }
        self.unseen = Instant::now() + LAG;
        let stored = &self.course.stored;
        match self.course.shared.cluster.pod(&stored.namespace, &stored.record.pod).await {
            Ok(Some(pod)) => self.view.see(Seen { pod: Some(Arc::new(pod)), gone: false }),
            Ok(None) => self.view.gone = true,
            Err(error) => {
                tracing::warn!(error = error.chain(), "a pod that is not seen cannot be looked for");
            }
        }
    }

    /// Speaks of why the pod waits, and gives up where waiting is no use.
    async fn look_at_waiting(&mut self) -> Option<Attempted> {
        if self.course.wished().is_some() || self.view.is_over() {
            return None;
        }
        let waiting = self.view.judgement.as_ref().and_then(|judgement| judgement.waiting.clone());
        let is_late = !self.view.is_complete() && Instant::now() >= self.start_by;
        match waiting {
            // Any trouble with an image is a reason to try the next pull policy, as long as there is one.
            Some(waiting) if self.can_pull_otherwise(&waiting) => {
                return Some(Attempted::Again { line: waiting.line, why: Why::NextPull });
            }
            Some(waiting) if self.view.lacks_agent() && !waiting.permanent && !is_late => {
                self.course.trouble = Some(waiting.clone());
                return Some(Attempted::Again { line: waiting.line, why: Why::NoHelper });
            }
            Some(waiting) if waiting.permanent => return Some(self.give_up(&waiting).await),
            waiting if is_late => return Some(self.too_late(waiting.as_ref())),
            Some(waiting) => {
                // While the agent writes, it says itself that it waits for the build container.
                if is_ordinary(&waiting.cause) && self.view.heard {
                    self.to_say = None;
                } else if self.is_to_be_said(&waiting.line) {
                    if waiting.cause == WaitCause::Creating
                        && let Some(missing) = self.look_for_volumes().await
                    {
                        return Some(self.give_up(&missing).await);
                    }
                    self.say(&waiting.line).await;
                }
            }
            None => self.to_say = None,
        }
        None
    }

    /// Whether it is time to say `line`: it was not said, and has been true for a moment.
    fn is_to_be_said(&mut self, line: &str) -> bool {
        let now = Instant::now();
        match &self.to_say {
            _ if self.course.waits_for.as_deref() == Some(line) => self.to_say = None,
            Some((known, at)) if known == line => {
                if *at <= now {
                    self.to_say = None;
                    return true;
                }
            }
            _ => self.to_say = Some((line.to_owned(), now + SHORT_WAIT)),
        }
        false
    }

    /// Looks for what keeps volumes from being mounted.
    async fn look_for_volumes(&mut self) -> Option<Waiting> {
        let pod = self.view.pod.clone()?;
        let Volumes { missing, unknown } = missing::of_volumes(self.course, &pod).await;
        self.unknown = unknown;
        missing
    }

    /// Puts a line into the log and tells it as an event.
    async fn say(&mut self, line: &str) {
        if self.course.waits_for.as_deref() == Some(line) {
            return;
        }
        self.course.waits_for = Some(line.to_owned());
        self.course.event(JobEvent::Waiting { reason: line.to_owned() });
        let mut text = line.to_owned();
        for warning in self.course.warnings().await {
            text.extend(["\n", &warning]);
        }
        self.course.say(&text, SystemTime::now()).await;
    }

    fn can_pull_otherwise(&self, waiting: &Waiting) -> bool {
        matches!(waiting.cause, WaitCause::Image(_))
            && !self.view.is_complete()
            && self.course.has_next_pull()
    }

    /// What stands in the way does not go away by itself.
    async fn give_up(&self, waiting: &Waiting) -> Attempted {
        let mut line = waiting.line.clone();
        let wants_login = matches!(
            waiting.cause,
            WaitCause::Image(ImageTrouble::Unauthorized | ImageTrouble::Denied | ImageTrouble::NotFound)
        );
        if wants_login
            && let Some(pod) = &self.view.pod
            && let Some(missing) = missing::pull_secrets(self.course, pod).await
        {
            line = format!("{line}; {missing}");
        }
        Attempted::Ended(Found::failed(waiting.reason, line, self.may_have_begun()))
    }

    fn too_late(&self, waiting: Option<&Waiting>) -> Attempted {
        // Where nothing is known of this pod, the reason why there is another one is still the best.
        let known = waiting.filter(|waiting| !is_ordinary(&waiting.cause));
        let (reason, line) = match known.or(self.course.trouble.as_ref()).or(waiting) {
            Some(waiting) => (waiting.reason, waiting.line.as_str()),
            None => (FailureReason::RunnerSystemFailure, "nothing says why"),
        };
        let budget = self.course.start_budget().as_secs();
        let unknown = self.unknown.as_ref().map(|unknown| format!("; {unknown}")).unwrap_or_default();
        let text = format!("the pod did not start within {budget} s (poll_timeout): {line}{unknown}");
        Attempted::Ended(Found::failed(reason, text, self.may_have_begun()))
    }

    fn may_have_begun(&self) -> bool {
        self.view.is_complete()
    }

    /// Tells the pod to end, and stores why first.
    async fn end_pod(&mut self, wished: Wished) {
        self.course.store_wish(wished.wish).await;
        self.course.delete_pod(Some(wished.grace())).await;
    }
}

/// Whether every pod waits for that for a moment.
fn is_ordinary(cause: &WaitCause) -> bool {
    matches!(cause, WaitCause::Creating | WaitCause::Unscheduled)
}

/// What a step takes.
enum Happened {
    Wished,
    Seen(Seen),
    Relayed(Option<Relayed>),
}

async fn next(stream: &mut Stream) -> Option<Relayed> {
    match stream {
        Stream::Open(relay) => Relay::next(relay).await,
        Stream::Unread | Stream::Read => std::future::pending().await,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Whether the server has said that there is no such pod.
fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 408)
}

fn refusal_of(error: &kube::Error) -> Waiting {
    match error {
        kube::Error::Api(status) => refusal(status),
        error => Waiting {
            cause: WaitCause::Refused(Refusal::Busy),
            line: format!("the API server does not answer: {error}"),
            permanent: false,
            reason: FailureReason::RunnerSystemFailure,
            container: None,
        },
    }
}
