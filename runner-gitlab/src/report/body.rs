//! What is sent of a job's state.

use runner_core::{FailureReason, JobOutcome, Secret, outcome::LogDigest};
use serde::Serialize;

use super::judge;

/// The body of an update of a job. What is empty is left out.
#[derive(Debug, Serialize)]
pub(super) struct Update<'a> {
    token: &'a Secret,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<FailureReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Output>,
}

#[derive(Debug, Serialize)]
struct Output {
    checksum: String,
    bytesize: u64,
}

impl<'a> Update<'a> {
    /// The job is in `state`.
    pub(super) fn state(token: &'a Secret, state: &'static str) -> Self {
        Self { token, state, failure_reason: None, exit_code: None, checksum: None, output: None }
    }

    /// The job has ended. `known` are the reasons that the server knows; none: all.
    pub(super) fn end(
        token: &'a Secret,
        outcome: &JobOutcome,
        log: Option<LogDigest>,
        known: &[FailureReason],
    ) -> Self {
        let mut update = Self::state(token, judge::state(outcome));
        match outcome {
            JobOutcome::Succeeded => {}
            JobOutcome::Canceled => update.failure_reason = Some(FailureReason::UnknownFailure),
            JobOutcome::Failed(failure) => {
                let is_known = known.is_empty() || known.contains(&failure.reason);
                update.failure_reason =
                    Some(if is_known { failure.reason } else { FailureReason::UnknownFailure });
                update.exit_code = failure.exit_code.filter(|code| *code != 0);
            }
        }
        if let Some(log) = log.filter(|log| log.size > 0) {
            let checksum = format!("crc32:{:08x}", log.crc32);
            update.output = Some(Output { checksum: checksum.clone(), bytesize: log.size });
            update.checksum = Some(checksum);
        }
        update
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn end(outcome: &JobOutcome, log: Option<LogDigest>, known: &[FailureReason]) -> Value {
        serde_json::to_value(Update::end(&Secret::new("t"), outcome, log, known)).unwrap()
    }

    #[test]
    fn what_is_empty_is_left_out() {
        let body = end(&JobOutcome::Succeeded, None, &[]);
        assert_eq!(body, json!({"token": "t", "state": "success"}));
    }

    #[test]
    fn the_checksum_has_eight_digits_and_stands_twice() {
        let body = end(&JobOutcome::Succeeded, Some(LogDigest { size: 9, crc32: 0xabc }), &[]);
        let checksum = "crc32:00000abc";
        let output = json!({"checksum": checksum, "bytesize": 9});
        assert_eq!(body, json!({"token": "t", "state": "success", "checksum": checksum, "output": output}));
    }

    #[test]
    fn a_reason_that_the_server_does_not_know_is_not_sent() {
        let failed = JobOutcome::failed(FailureReason::ImagePullFailure, "");
        let reason = |known: &[_]| end(&failed, None, known)["failure_reason"].clone();
        assert_eq!(reason(&[]), "image_pull_failure");
        assert_eq!(reason(&[FailureReason::ImagePullFailure]), "image_pull_failure");
        assert_eq!(reason(&[FailureReason::ScriptFailure]), "unknown_failure");
    }

    #[test]
    fn a_script_ends_with_its_code_and_a_canceled_job_as_failed() {
        let body = end(&JobOutcome::script_failed(3), None, &[]);
        assert_eq!(body["exit_code"], 3);
        assert_eq!(body["failure_reason"], "script_failure");
        let canceled = end(&JobOutcome::Canceled, None, &[]);
        assert_eq!(canceled, json!({"token": "t", "state": "failed", "failure_reason": "unknown_failure"}));
    }
}
