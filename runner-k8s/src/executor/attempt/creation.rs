//! Making the pod of an attempt.

use std::time::Duration;

use runner_core::FailureReason;
use tokio::time::Instant;

use super::{Attempt, Attempted};
use crate::{
    api::Created,
    executor::{
        end::{Found, Verdict, without_record},
        view::LAG,
    },
    status::{Refusal, WaitCause, Waiting, refusal},
};

/// How long between two tries at creating a pod that is refused for a reason that passes.
const BETWEEN_TRIES: Duration = Duration::from_secs(5);

impl Attempt<'_> {
    pub(super) async fn make(&mut self) -> Option<Attempted> {
        loop {
            self.share_duty();
            if let Some(wished) = self.course.wished() {
                return Some(match without_record(Some(wished.wish), None) {
                    Verdict::Ended(found) => {
                        Attempted::Ended(Found { script_begun: self.may_be_there, ..found })
                    }
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
                        let found = Found::failed(waiting.reason, waiting.line, self.may_be_there);
                        return Some(Attempted::Ended(found));
                    }
                    if Instant::now() + BETWEEN_TRIES > self.start_by {
                        return Some(self.too_late(Some(&waiting)));
                    }
                    self.may_be_there |= !is_refused(&error);
                    self.say(&waiting).await;
                }
            }
            self.course.pause(BETWEEN_TRIES).await;
        }
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
