//! What is known of one pod of a job.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use runner_core::{
    agent::{AgentEvent, EndRecord, Frame, FrameBody},
    report::Duty,
};
use tokio::time::Instant;

use crate::{
    relay::Relay,
    status::{ContainerState, Judgement},
    watch::Seen,
};

/// How long a status may lag behind what the agent says of the same thing.
pub(super) const LAG: Duration = Duration::from_secs(5);

/// How much longer than its grace period a pod that is to go may take until it is given up: its node may be gone.
const OVERDUE: Duration = Duration::from_mins(1);

/// The agent's stream.
#[derive(Debug)]
pub(super) enum Stream {
    /// It was not asked for yet.
    Unread,
    /// It is being read.
    Open(Box<Relay>),
    /// Everything that there is was read.
    Read,
}

/// What is known of one pod.
#[derive(Debug)]
pub(super) struct View {
    pub(super) pod: Option<Arc<Pod>>,
    pub(super) judgement: Option<Judgement>,
    /// The pod is no more.
    pub(super) gone: bool,
    pub(super) stream: Stream,
    /// The end, as the agent told it, and when it did.
    pub(super) told: Option<(EndRecord, Instant)>,
    /// The agent has written something.
    pub(super) heard: bool,
    /// The numbers of services that did not come up.
    pub(super) missing_services: Vec<usize>,
    /// When the helper was first seen to have ended.
    helper_ended: Option<Instant>,
    /// Since when the pod is seen to be on its way out.
    going: Option<Instant>,
    /// Since when nothing came of the stream of an agent that has ended.
    silent: Option<Instant>,
    /// The stream was given up before it had come to its end.
    cut: bool,
}

impl View {
    pub(super) fn new() -> Self {
        Self {
            pod: None,
            judgement: None,
            gone: false,
            stream: Stream::Unread,
            told: None,
            heard: false,
            missing_services: Vec::new(),
            helper_ended: None,
            going: None,
            silent: None,
            cut: false,
        }
    }

    /// Takes what a watch has seen.
    pub(super) fn see(&mut self, seen: Seen) {
        self.gone |= seen.gone;
        let Some(pod) = seen.pod else { return };
        let now = Instant::now();
        let mut judgement = Judgement::of(&pod);
        if let Some(earlier) = &self.judgement {
            judgement = judgement.after(earlier);
        }
        if is_over(&judgement.helper) {
            self.helper_ended.get_or_insert(now);
        }
        // A node that did not answer for a while may answer again.
        let is_going = pod.metadata.deletion_timestamp.is_some() || judgement.ending.is_some();
        self.going = is_going.then(|| self.going.unwrap_or(now));
        self.judgement = Some(judgement);
        self.pod = Some(pod);
    }

    /// Takes a frame, apart from its part of the log.
    pub(super) fn take(&mut self, frame: &Frame) {
        self.heard = true;
        self.silent = None;
        match &frame.body {
            FrameBody::Event(AgentEvent::ServiceMissing(number)) => self.missing_services.push(*number),
            FrameBody::End(record) => {
                self.told.get_or_insert_with(|| ((**record).clone(), Instant::now()));
            }
            FrameBody::Event(_) | FrameBody::Log { .. } => {}
        }
    }

    /// Whether the agent runs or has run.
    pub(super) fn has_agent(&self) -> bool {
        let helper = self.judgement.as_ref().map(|judgement| &judgement.helper);
        helper.is_some_and(|helper| matches!(helper, ContainerState::Running) || helper.has_run())
    }

    /// Whether the agent's log can be had.
    pub(super) fn has_log(&self) -> bool {
        !self.gone && self.has_agent()
    }

    /// Whether the pod has a node, so that its containers may start at any moment.
    pub(super) fn is_bound(&self) -> bool {
        let node = self.pod.as_ref().and_then(|pod| pod.spec.as_ref()?.node_name.as_deref());
        node.is_some_and(|node| !node.is_empty())
    }

    /// What of a job the manager reports whose agent reports by itself. `may_be_there`: the pod is made, or may be, whether it
    /// is seen or not. `is_late`: the agent had its time to end.
    ///
    /// From when the pod has a node, the agent may begin at any moment, and knows only what the log held before; heartbeats
    /// are the manager's until the agent runs.
    pub(super) fn duty(&self, may_be_there: bool, is_late: bool) -> Duty {
        let has_left = (self.told.is_some() || self.is_over()) && !self.is_reported();
        if has_left || is_late {
            Duty::Everything
        } else if self.has_agent() {
            Duty::Nothing
        } else if self.is_bound() || (may_be_there && self.pod.is_none()) {
            Duty::Heartbeats
        } else {
            Duty::Everything
        }
    }

    /// Whether the pod is about to go, or cannot go on.
    pub(super) fn is_going(&self) -> bool {
        self.going.is_some()
    }

    /// Whether the source has the end from the agent.
    pub(super) fn is_reported(&self) -> bool {
        self.record().is_some_and(|record| record.end.reported)
    }

    /// Whether a script can begin.
    pub(super) fn is_complete(&self) -> bool {
        self.judgement.as_ref().is_some_and(|judgement| {
            matches!(judgement.build, ContainerState::Running) || judgement.build.has_run()
        })
    }

    /// Whether the build container was started before the helper, whose image was not there: nothing will come of it.
    pub(super) fn lacks_agent(&self) -> bool {
        self.judgement
            .as_ref()
            .is_some_and(|judgement| judgement.build.failed_to_start() && !judgement.helper.has_run())
    }

    /// Whether nothing more will come of the pod.
    pub(super) fn is_over(&self) -> bool {
        self.gone || self.helper_ended.is_some() || self.is_terminal() || self.is_overdue()
    }

    /// Whether everything that the agent wrote was read, or cannot be read.
    pub(super) fn is_read(&self) -> bool {
        match self.stream {
            Stream::Read => true,
            Stream::Unread => !self.has_log(),
            Stream::Open(_) => false,
        }
    }

    /// The end as the agent recorded it, in its stream or in its termination message.
    pub(super) fn record(&self) -> Option<EndRecord> {
        let recorded = || {
            let text = self.judgement.as_ref()?.record.as_deref()?;
            EndRecord::from_text(text)
        };
        self.told.as_ref().map(|(record, _)| record.clone()).or_else(recorded)
    }

    /// When to look again, though nothing was seen.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let told = self.told.as_ref().map(|(_, at)| *at + LAG);
        let overdue = self.going.map(|going| going + self.longest_way());
        let ended = self.helper_ended.map(|ended| ended + LAG * 2);
        let silent = self.silent.map(|silent| silent + LAG * 2);
        let now = Instant::now();
        [told, overdue, ended, silent].into_iter().flatten().filter(|time| *time > now).min()
    }

    /// Whether the agent's end was told so long ago that the status must say all that it will.
    pub(super) fn has_settled(&self) -> bool {
        let told = self.told.as_ref().map(|(_, at)| *at);
        let since = told.or(self.helper_ended);
        self.gone || self.is_terminal() || since.is_some_and(|at| at.elapsed() >= LAG)
    }

    /// Gives up the stream of an agent that has ended where nothing more comes of it. One that waits here, since there is no
    /// room for what it brings, is not given up.
    pub(super) fn cut_if_silent(&mut self, has_room: bool) {
        if !has_room || !self.is_over() || !matches!(self.stream, Stream::Open(_)) {
            self.silent = None;
            return;
        }
        let since = *self.silent.get_or_insert_with(Instant::now);
        if since.elapsed() >= LAG * 2 {
            self.stream = Stream::Read;
            self.cut = true;
        }
    }

    /// Whether the agent may have written more than was to be had.
    pub(super) fn may_lack_log(&self) -> bool {
        (self.gone || self.cut) && self.told.is_none() && self.has_agent()
    }

    fn is_terminal(&self) -> bool {
        let phase = self.pod.as_ref().and_then(|pod| pod.status.as_ref()?.phase.as_deref());
        matches!(phase, Some("Failed" | "Succeeded"))
    }

    fn is_overdue(&self) -> bool {
        let ending = self.judgement.as_ref().and_then(|judgement| judgement.ending.as_ref());
        let never_ends = ending.is_some_and(|ending| ending.cause.may_recover());
        let to_be_gone = self.pod.as_ref().is_some_and(|pod| pod.metadata.deletion_timestamp.is_some());
        (to_be_gone || never_ends) && self.going.is_some_and(|going| going.elapsed() >= self.longest_way())
    }

    fn longest_way(&self) -> Duration {
        let grace = self.pod.as_ref().and_then(|pod| pod.metadata.deletion_grace_period_seconds);
        OVERDUE + Duration::from_secs(grace.and_then(|grace| u64::try_from(grace).ok()).unwrap_or(0))
    }
}

fn is_over(state: &ContainerState) -> bool {
    matches!(state, ContainerState::Ended { .. })
}

#[cfg(test)]
mod tests;
