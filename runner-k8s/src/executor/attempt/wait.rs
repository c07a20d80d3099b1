//! Why the pod of an attempt waits: speaking of it, and giving up where waiting is no use.

use std::time::{Duration, SystemTime};

use runner_core::{FailureReason, JobEvent};
use tokio::time::Instant;

use super::{Attempt, Attempted, Why};
use crate::{
    executor::{
        end::Found,
        missing::{self, Volumes},
    },
    status::{ImageTrouble, WaitCause, Waiting},
};

/// A wait that is shorter than this is not spoken of.
const SHORT_WAIT: Duration = Duration::from_secs(2);

/// The same for what every pod waits for: where many start at once it takes some seconds, and each line is a request.
const ORDINARY_WAIT: Duration = Duration::from_secs(5);

impl Attempt<'_> {
    /// Speaks of why the pod waits, and gives up where waiting is no use.
    pub(super) async fn look_at_waiting(&mut self) -> Option<Attempted> {
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
                } else if self.is_to_be_said(&waiting) {
                    if waiting.cause == WaitCause::Creating
                        && let Some(missing) = self.look_for_volumes().await
                    {
                        return Some(self.give_up(&missing).await);
                    }
                    self.say(&waiting).await;
                }
            }
            None => self.to_say = None,
        }
        None
    }

    /// Whether it is time to say a line: it was not said, and has been true for a moment.
    fn is_to_be_said(&mut self, Waiting { line, cause, .. }: &Waiting) -> bool {
        let now = Instant::now();
        let patience = if is_ordinary(cause) { ORDINARY_WAIT } else { SHORT_WAIT };
        match &self.to_say {
            _ if self.course.waits_for.as_ref() == Some(line) => self.to_say = None,
            Some((known, at)) if known == line => {
                if *at <= now {
                    self.to_say = None;
                    return true;
                }
            }
            _ => self.to_say = Some((line.clone(), now + patience)),
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

    /// Puts its line into the log and tells it as an event.
    pub(super) async fn say(&mut self, Waiting { line, cause, .. }: &Waiting) {
        if self.course.waits_for.as_ref() == Some(line) {
            return;
        }
        self.course.waits_for = Some(line.clone());
        self.course.event(JobEvent::Waiting { class: cause.class(), reason: line.clone() });
        if self.course.agent_reports() && (self.view.is_bound() || self.may_be_there) {
            // The log is the agent's, which says by itself what it waits for.
            return;
        }
        if self.course.was_said(line) {
            return;
        }
        let mut text = line.clone();
        for warning in self.course.warnings().await {
            text.extend(["\n", &warning]);
        }
        self.course.say(&text, SystemTime::now()).await;
        self.look_for_node().await;
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

    pub(super) fn too_late(&self, waiting: Option<&Waiting>) -> Attempted {
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
}

/// Whether every pod waits for that for a moment.
fn is_ordinary(cause: &WaitCause) -> bool {
    matches!(cause, WaitCause::Creating | WaitCause::Unscheduled)
}
