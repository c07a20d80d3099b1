//! An agent that reports its job by itself: when the manager keeps silent, and how it takes the job back.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::{
    super::end::{AgentEnd, of_record, without_record},
    Attempt, Attempted, READING,
};
use crate::{record::StoredWish, status::Begun, watch::Seen};

/// How many seconds an agent has to hand over its job.
pub(super) const HANDING_OVER: u32 = 10;

impl Attempt<'_> {
    /// Leaves to the agent what it reports.
    pub(super) fn share_duty(&self) {
        if self.course.agent_reports() {
            let may_be_there = self.course.has_pod || self.may_be_there;
            self.course.reporter.set_duty(self.view.duty(may_be_there, self.agent_is_late));
        }
    }

    /// Whether what the agent writes is to be read. While it reports by itself, nobody needs to.
    pub(super) fn reads_agent(&self) -> bool {
        !self.course.agent_reports()
            || self.is_handed_over
            || self.view.is_going()
            || (self.view.is_over() && !self.view.is_reported())
    }

    /// Looks whether the pod had no node yet when something was said: an agent that was about to start may not know of it,
    /// and then it is for the agent to send what it knows.
    pub(super) async fn look_for_node(&mut self) {
        if !self.course.agent_reports() || self.view.pod.is_none() {
            return;
        }
        let stored = &self.course.stored;
        match self.course.shared.cluster.pod(&stored.namespace, &stored.record.pod).await {
            Ok(Some(pod)) => self.view.see(Seen { pod: Some(Arc::new(pod)), gone: false }),
            Ok(None) => {}
            Err(error) => tracing::warn!(error = error.chain(), "a pod that waits cannot be looked at"),
        }
        self.share_duty();
    }

    /// Where the manager decides about a job whose agent still runs: has the agent end, and hears what it has to say. It may
    /// have gone further than the status showed.
    pub(super) async fn hand_over(&mut self, attempted: Attempted) -> Attempted {
        let wish = self.course.wished().map(|wished| wished.wish);
        let is_wanted = match &attempted {
            Attempted::Ended(found) => {
                self.course.agent_reports() && found.agent.is_none() && wish != Some(StoredWish::Abort)
            }
            Attempted::Again { .. } => true,
        };
        if !is_wanted || !self.view.has_log() || self.has_ended() {
            return attempted;
        }
        if let Attempted::Ended(found) = &attempted {
            self.course.store_end(found).await;
        }
        self.is_handed_over = true;
        self.course.delete_pod(Some(HANDING_OVER)).await;
        self.read_to_end().await;
        let judgement = self.view.judgement.as_ref();
        let Some(record) = self.view.record() else {
            let may_have_begun = judgement.is_none_or(|judgement| judgement.begun == Begun::MayHave);
            return match attempted {
                Attempted::Again { .. } if may_have_begun => without_record(wish, judgement).into(),
                attempted => attempted,
            };
        };
        match attempted {
            Attempted::Ended(mut found) if !record.end.reported => {
                found.agent = Some(AgentEnd { reported: false, log: record.end.log });
                Attempted::Ended(found)
            }
            Attempted::Again { .. } if !record.end.reported && !record.end.script_begun => attempted,
            _ => of_record(&record, wish, judgement).into(),
        }
    }

    /// Reads what the agent writes until it has ended, and takes the job back.
    pub(super) async fn read_to_end(&mut self) {
        let limit = Instant::now() + READING;
        loop {
            self.share_duty();
            self.open_stream();
            // What an agent wrote that has ended is read to its end, also where its source takes nothing for hours.
            let is_limited = !self.view.is_over() || self.is_aborted();
            if self.has_ended() || (is_limited && Instant::now() >= limit) {
                break;
            }
            tokio::select! {
                () = self.step() => {}
                () = sleep_until(limit), if is_limited => {}
            }
        }
        self.agent_is_late = !self.view.is_reported();
        self.share_duty();
    }
}
