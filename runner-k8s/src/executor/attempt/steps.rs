//! Following the pod of an attempt: waiting for what happens next, and taking it.

use std::sync::Arc;

use runner_core::{
    JobEvent, Phase,
    agent::{AgentEvent, Frame, FrameBody},
};
use tokio::time::{Instant, sleep_until};

use super::{Attempt, Attempted};
use crate::{
    executor::{
        course::{Course, changed},
        stop::Wished,
        view::{LAG, Stream},
    },
    pod::HELPER,
    relay::{Relay, Relayed},
    watch::Seen,
};

impl Attempt<'_> {
    pub(super) async fn follow(&mut self) -> Attempted {
        self.view.see(self.followed.now());
        if let Some(wished) = self.course.wished() {
            self.end_pod(wished).await;
        }
        loop {
            if let Some(attempted) = self.decide().await {
                return self.hand_over(attempted).await;
            }
            self.step().await;
        }
    }

    /// Waits for the next thing that happens, and takes it.
    pub(super) async fn step(&mut self) {
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
            Some(Relayed::Ended) if self.view.is_over() => self.view.stream = Stream::Read,
            Some(Relayed::Ended | Relayed::Broke) => {}
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

    pub(super) fn open_stream(&mut self) {
        if self.channel.is_none() && self.view.has_log() && !self.view.is_over() {
            self.channel = self.course.serve_channel();
        }
        if matches!(self.view.stream, Stream::Unread) && self.view.has_log() && self.reads_agent() {
            self.view.stream = Stream::Open(Box::new(self.course.relay(HELPER)));
        }
        self.view.cut_if_silent(self.course.journal.is_flushed());
    }

    /// Asks for a pod that the watch does not show: one of an earlier process may have gone before this one watched.
    pub(super) async fn look_for_unseen(&mut self) {
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

    /// Tells the pod to end, and stores why first.
    async fn end_pod(&mut self, wished: Wished) {
        self.course.store_wish(wished.wish).await;
        self.is_handed_over = true;
        self.course.delete_pod(Some(wished.grace())).await;
    }
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
