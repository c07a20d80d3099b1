//! One pod of a job, from its creation to the word on how it ended.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    course::Course,
    end::{Found, Verdict, of_record, without_record},
    view::{LAG, View},
};
use crate::{channel::Channel, record::StoredWish, status::Judgement, watch::FollowedPod};

mod agent;
mod creation;
mod steps;
mod wait;

use agent::HANDING_OVER;

/// How long the log of a job whose end is known is read.
const READING: Duration = Duration::from_secs(30);

/// What came of a pod.
#[derive(Debug)]
pub(super) enum Attempted {
    /// The job ended.
    Ended(Found),
    /// Another pod is to go on. The line says why.
    Again { line: String, why: Why },
}

/// What is known of a pod that is followed no more.
#[derive(Debug)]
pub(super) struct Remains {
    /// The numbers of the services that did not come up.
    pub(super) missing_services: Vec<usize>,
    /// The last status.
    pub(super) judgement: Option<Judgement>,
    /// The pod was gone before its log was read to its end.
    pub(super) lacks_end: bool,
    /// The job was to end at once, so that nobody waited for the log.
    pub(super) is_aborted: bool,
    /// The pod is being removed. Its helper stays for a while, so that its log can be read.
    pub(super) is_going: bool,
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
    /// A pod may have been made, though the server's answer was lost.
    may_be_there: bool,
    /// The agent was told to end, and what it still has to say is read.
    is_handed_over: bool,
    /// The agent had its time to hand over.
    agent_is_late: bool,
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
            may_be_there: false,
            is_handed_over: false,
            agent_is_late: false,
        }
    }

    /// Makes the pod where it is not there yet, and follows it until there is a word on how it ended.
    pub(super) async fn run(mut self) -> (Attempted, Remains) {
        let attempted = if self.course.has_pod { None } else { self.make().await };
        let attempted = match attempted {
            Some(attempted) => attempted,
            None => self.follow().await,
        };
        let (lacks_end, is_aborted) = (self.lacks_end(), self.is_aborted());
        let is_going = self.is_handed_over || self.view.is_going();
        let View { missing_services, judgement, .. } = self.view;
        (attempted, Remains { missing_services, judgement, lacks_end, is_aborted, is_going })
    }

    /// Reads what the agent wrote, for the log of a job whose end is known. Tells whether that was all.
    pub(super) async fn read_again(mut self) -> bool {
        self.view.see(self.followed.now());
        if self.course.agent_reports() {
            // It may still write by itself.
            self.is_handed_over = true;
            self.course.delete_pod(Some(HANDING_OVER)).await;
        }
        self.read_to_end().await;
        self.has_ended() && !self.lacks_end()
    }

    /// Looks at what is known, does what follows from it, and tells how it ended if it has.
    async fn decide(&mut self) -> Option<Attempted> {
        self.look_for_unseen().await;
        self.share_duty();
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

    /// Whether the pod was gone before all that the agent wrote was read. Nobody reads the log of an aborted job.
    fn lacks_end(&self) -> bool {
        if self.is_aborted() || !self.view.may_lack_log() {
            return false;
        }
        let written = self.view.record().and_then(|record| record.end.log).map(|log| log.size);
        let read = if self.course.agent_reports() {
            // It numbers the bytes before its own as well.
            self.course.journal.digest().size
        } else {
            self.course.journal.of_agent()
        };
        written.is_none_or(|written| written > read)
    }

    fn is_aborted(&self) -> bool {
        self.course.wished().is_some_and(|wished| wished.wish == StoredWish::Abort)
    }

    /// Whether nothing more will come of the agent.
    fn has_ended(&self) -> bool {
        self.view.told.is_some() || (self.view.is_over() && (self.view.is_read() || self.view.is_reported()))
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
        if needs_status && !record.end.reported && !self.view.has_settled() {
            return None;
        }
        Some(of_record(&record, wish, judgement).into())
    }

    fn may_have_begun(&self) -> bool {
        self.view.is_complete()
    }
}
