//! What the answers to reports mean: pure functions of status and headers.

use std::time::Duration;

use reqwest::StatusCode;
use runner_core::{
    JobOutcome,
    source::{Completion, LogAck, LogReply, Wish, WishAction},
};

use crate::answer::Head;

/// How long to wait for an end that is not applied yet, where the server does not say.
const NOT_YET: Duration = Duration::from_secs(1);

/// What the server wants of the job.
pub(super) fn wish(head: &Head) -> Wish {
    let action = match head.job_status() {
        Some("canceling") => WishAction::CancelGracefully,
        Some("canceled" | "failed") => WishAction::Abort,
        _ => WishAction::GoOn,
    };
    Wish { action, interval: head.interval() }
}

fn abort(head: &Head) -> Wish {
    Wish { action: WishAction::Abort, ..wish(head) }
}

/// Whether the server, and not a proxy before it, refuses the job.
fn is_refused(head: &Head) -> bool {
    head.status == StatusCode::FORBIDDEN && head.is_of_gitlab()
}

/// The answer to `running` of a job that is to be taken; `None`: not taken.
pub(super) fn acceptance(head: &Head) -> Option<Wish> {
    head.status.is_success().then(|| wish(head))
}

/// The answer to `running` or `pending`; `None`: an error.
pub(super) fn heartbeat(head: &Head) -> Option<Wish> {
    match head.status {
        status if status.is_success() => Some(wish(head)),
        _ if is_refused(head) => Some(abort(head)),
        _ => None,
    }
}

/// The answer to a part of the log that begins at `offset` and has `length` bytes; `None`: an error.
pub(super) fn log(head: &Head, offset: u64, length: u64) -> Option<LogReply> {
    let size = head.log_size();
    let (ack, wish) = match head.status {
        status if status.is_success() => (LogAck::UpTo(size.unwrap_or(offset + length)), wish(head)),
        // The size comes with it, and the job's state does not.
        StatusCode::RANGE_NOT_SATISFIABLE => (LogAck::Rewind(size?), wish(head)),
        // Such as a log that is too long for the server, which has failed the job for it.
        _ if is_refused(head) => (LogAck::Closed, abort(head)),
        // Only the answer to the end says that the job is gone; until then it goes on.
        StatusCode::NOT_FOUND if head.is_of_gitlab() => (LogAck::Closed, wish(head)),
        _ => return None,
    };
    Some(LogReply { ack, wish })
}

/// The answer to the end of a job; `None`: an error.
pub(super) fn completion(head: &Head, outcome: &JobOutcome) -> Option<Completion> {
    match head.status {
        StatusCode::ACCEPTED => Some(Completion::NotYet(head.interval().unwrap_or(NOT_YET))),
        // Its state is the one that was just reported, so it says nothing new.
        status if status.is_success() => Some(Completion::Done),
        StatusCode::PRECONDITION_FAILED => Some(Completion::ResendLog(0)),
        // An earlier report of the same end arrived, and its answer did not.
        _ if is_refused(head) && head.job_status() == Some(state(outcome)) => Some(Completion::Done),
        _ if is_refused(head) => Some(Completion::Gone),
        StatusCode::NOT_FOUND if head.is_of_gitlab() => Some(Completion::Gone),
        _ => None,
    }
}

/// Whether the server certainly knows no such job that still runs or waits, so that nobody needs to go on with it.
///
/// GitLab refuses a job that is over, and one that it does not know, and never says that it does not find one: that is
/// said by whatever stands between, or by a wrong address.
pub(super) fn is_gone(head: &Head) -> bool {
    let goes_on = matches!(head.job_status(), Some("pending" | "running" | "canceling"));
    is_refused(head) && !goes_on
}

/// The state that an end is reported as. There is none for a canceled job.
pub(super) fn state(outcome: &JobOutcome) -> &'static str {
    if outcome.is_success() { "success" } else { "failed" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::tests::head;

    type Headers<'a> = &'a [(&'static str, &'a str)];

    const HTML: (&str, &str) = ("content-type", "text/html");

    fn action(headers: Headers<'_>) -> WishAction {
        wish(&head(200, headers)).action
    }

    #[test]
    fn the_state_of_the_job_is_what_the_server_wants() {
        assert_eq!(action(&[("job-status", "running")]), WishAction::GoOn);
        assert_eq!(action(&[("job-status", "canceling")]), WishAction::CancelGracefully);
        assert_eq!(action(&[("job-status", "canceled")]), WishAction::Abort);
        assert_eq!(action(&[("job-status", "failed")]), WishAction::Abort);
        assert_eq!(action(&[]), WishAction::GoOn);
    }

    #[test]
    fn a_refused_heartbeat_is_a_hard_cancel_and_that_of_a_proxy_is_none() {
        let canceled = heartbeat(&head(403, &[("job-status", "canceled")])).unwrap();
        assert_eq!(canceled.action, WishAction::Abort);
        assert_eq!(heartbeat(&head(403, &[])).unwrap().action, WishAction::Abort);
        assert_eq!(heartbeat(&head(403, &[HTML])), None);
        assert_eq!(heartbeat(&head(404, &[])), None);
        assert_eq!(heartbeat(&head(502, &[HTML])), None);
    }

    #[test]
    fn a_job_that_was_canceled_before_it_began_is_not_taken() {
        assert_eq!(acceptance(&head(403, &[("job-status", "canceled")])), None);
        let wish = acceptance(&head(200, &[("x-gitlab-trace-update-interval", "60")])).unwrap();
        assert_eq!(wish.interval, Some(Duration::from_mins(1)));
    }

    #[test]
    fn the_log_goes_on_from_what_the_server_has() {
        let ack = |status, headers: Headers<'_>| log(&head(status, headers), 10, 5).map(|reply| reply.ack);
        assert_eq!(ack(202, &[("range", "0-15")]), Some(LogAck::UpTo(15)));
        assert_eq!(ack(202, &[]), Some(LogAck::UpTo(15)));
        assert_eq!(ack(416, &[("range", "0-7")]), Some(LogAck::Rewind(7)));
        assert_eq!(ack(416, &[("range", "0-70")]), Some(LogAck::Rewind(70)));
        assert_eq!(ack(416, &[]), None);
        assert_eq!(ack(500, &[]), None);
    }

    #[test]
    fn a_log_that_is_refused_aborts_and_one_that_is_not_found_does_not() {
        let reply = |status, headers: Headers<'_>| log(&head(status, headers), 10, 5);
        for headers in [&[][..], &[("job-status", "failed")], &[("job-status", "canceled")]] {
            let refused = reply(403, headers).unwrap();
            assert_eq!((refused.ack, refused.wish.action), (LogAck::Closed, WishAction::Abort));
        }
        let unknown = reply(404, &[]).unwrap();
        assert_eq!((unknown.ack, unknown.wish.action), (LogAck::Closed, WishAction::GoOn));
        assert_eq!(reply(404, &[HTML]), None);
    }

    #[test]
    fn an_end_is_done_also_where_an_earlier_report_of_it_arrived() {
        let failed = JobOutcome::script_failed(1);
        let end = |status, headers: Headers<'_>| completion(&head(status, headers), &failed);
        let is_failed = ("job-status", "failed");
        assert_eq!(end(200, &[is_failed]), Some(Completion::Done));
        assert_eq!(end(403, &[is_failed]), Some(Completion::Done));
        assert_eq!(end(403, &[("job-status", "success")]), Some(Completion::Gone));
        assert_eq!(end(403, &[("job-status", "canceled")]), Some(Completion::Gone));
        assert_eq!(end(404, &[]), Some(Completion::Gone));
        assert_eq!(end(404, &[HTML]), None);
        assert_eq!(end(502, &[HTML]), None);
    }

    #[test]
    fn an_end_that_is_not_applied_is_asked_for_again_when_the_server_says() {
        let interval = ("x-gitlab-trace-update-interval", "4");
        let end = |status, headers: Headers<'_>| completion(&head(status, headers), &JobOutcome::Succeeded);
        assert_eq!(end(202, &[interval]), Some(Completion::NotYet(Duration::from_secs(4))));
        assert_eq!(end(202, &[]), Some(Completion::NotYet(Duration::from_secs(1))));
        assert_eq!(end(412, &[]), Some(Completion::ResendLog(0)));
    }

    #[test]
    fn a_job_is_gone_only_where_that_is_certain() {
        assert!(is_gone(&head(403, &[])));
        assert!(is_gone(&head(403, &[("job-status", "success")])));
        assert!(!is_gone(&head(403, &[HTML])));
        assert!(!is_gone(&head(404, &[])));
        assert!(!is_gone(&head(403, &[("job-status", "running")])));
        assert!(!is_gone(&head(404, &[HTML])));
        assert!(!is_gone(&head(400, &[])));
        assert!(!is_gone(&head(500, &[])));
    }
}
