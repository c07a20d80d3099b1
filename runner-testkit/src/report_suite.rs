//! The promises of [`JobReport`].

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    JobOutcome,
    outcome::LogDigest,
    source::{Completion, JobReport, JobState, LogAck},
};

use crate::verdict::{Broken, Check, Verdict, same, worked};

/// Makes the reports to check.
#[async_trait]
pub trait Harness: Send + Sync + fmt::Debug {
    /// The report of a fresh job that was handed out and not accepted yet.
    async fn report(&self) -> Arc<dyn JobReport>;

    /// The log that the source has of the job whose report was made last.
    async fn applied(&self) -> Vec<u8>;
}

/// Checks all promises.
///
/// # Errors
/// Those that are broken.
pub async fn check(harness: &dyn Harness) -> Result<(), Broken> {
    let mut verdict = Verdict::default();
    verdict.add("bytes in order are applied once", in_order(harness).await);
    verdict.add("repeated bytes are not doubled", a_repeat(harness).await);
    verdict.add("a gap rewinds", a_gap(harness).await);
    verdict.add("a heartbeat answers before and after acceptance", heartbeats(harness).await);
    verdict.add("a repeated end is done", a_repeated_end(harness).await);
    verdict.add("an end without a digest is done, and keeps the log", an_unknown_log(harness).await);
    verdict.finish()
}

async fn in_order(harness: &dyn Harness) -> Check {
    let report = harness.report().await;
    worked(report.accept().await)?;
    for (offset, part) in [(0, "one\n"), (4, "two\n"), (8, "three\n")] {
        let reply = worked(report.append_log(offset, Bytes::from_static(part.as_bytes())).await)?;
        same(&reply.ack, &LogAck::UpTo(offset + part.len() as u64))?;
    }
    same(&harness.applied().await, &b"one\ntwo\nthree\n".to_vec())
}

async fn a_repeat(harness: &dyn Harness) -> Check {
    let report = harness.report().await;
    worked(report.accept().await)?;
    let line = Bytes::from_static(b"once\n");
    worked(report.append_log(0, line.clone()).await)?;
    let reply = worked(report.append_log(0, line).await)?;
    if !matches!(reply.ack, LogAck::UpTo(5) | LogAck::Rewind(5)) {
        return Err(format!("saw {:?}", reply.ack));
    }
    same(&harness.applied().await, &b"once\n".to_vec())
}

async fn a_gap(harness: &dyn Harness) -> Check {
    let report = harness.report().await;
    worked(report.accept().await)?;
    let reply = worked(report.append_log(7, Bytes::from_static(b"later\n")).await)?;
    same(&reply.ack, &LogAck::Rewind(0))?;
    same(&harness.applied().await, &Vec::new())
}

async fn heartbeats(harness: &dyn Harness) -> Check {
    let report = harness.report().await;
    worked(report.heartbeat(JobState::Pending).await)?;
    worked(report.accept().await)?;
    worked(report.heartbeat(JobState::Running).await).map(drop)
}

async fn a_repeated_end(harness: &dyn Harness) -> Check {
    let report = harness.report().await;
    worked(report.accept().await)?;
    worked(report.append_log(0, Bytes::from_static(b"end\n")).await)?;
    let digest = Some(LogDigest { size: 4, crc32: crc32fast::hash(b"end\n") });
    same(&worked(report.complete(&JobOutcome::Succeeded, digest).await)?, &Completion::Done)?;
    let again = worked(report.complete(&JobOutcome::Succeeded, digest).await)?;
    if matches!(again, Completion::Done | Completion::Gone) { Ok(()) } else { Err(format!("saw {again:?}")) }
}

async fn an_unknown_log(harness: &dyn Harness) -> Check {
    let report = harness.report().await;
    worked(report.accept().await)?;
    worked(report.append_log(0, Bytes::from_static(b"a part\n")).await)?;
    same(&worked(report.complete(&JobOutcome::Canceled, None).await)?, &Completion::Done)?;
    same(&harness.applied().await, &b"a part\n".to_vec())
}
