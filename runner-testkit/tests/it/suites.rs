//! The fakes keep the promises of the traits; a broken one is caught.

#![expect(clippy::unwrap_used, reason = "a harness that cannot go on fails its test")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    Capacity, JobOutcome, JobQueue, JobReport, JobSource, JobSpec, Result,
    outcome::LogDigest,
    source::{Completion, JobState, LogAck, LogReply, Wish},
};
use runner_testkit::{RecordingReport, ScriptedSource, report_suite, source_suite};
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
struct Scripted;

#[async_trait]
impl source_suite::Harness for Scripted {
    async fn source(&self, count: usize) -> Arc<dyn JobSource> {
        ScriptedSource::new("fake", (0..count).map(|id| JobSpec::new(id.to_string(), "job")))
    }
}

#[tokio::test]
async fn the_scripted_source_keeps_the_promises_of_a_source() {
    source_suite::check(&Scripted).await.unwrap();
}

#[derive(Debug)]
struct Queue;

#[async_trait]
impl source_suite::Harness for Queue {
    async fn source(&self, count: usize) -> Arc<dyn JobSource> {
        let queue = JobQueue::new("queue", |_, _| {});
        for id in 0..count {
            queue.push(JobSpec::new(id.to_string(), "job"));
        }
        queue.close();
        queue
    }
}

#[tokio::test]
async fn the_queue_keeps_the_promises_of_a_source_but_for_resuming() {
    let broken = source_suite::check(&Queue).await.unwrap_err();
    assert_eq!(broken.0.len(), 1, "{broken:?}");
    assert!(broken.0[0].starts_with("a stored lease resumes the same job"), "{broken:?}");
}

#[derive(Debug, Default)]
struct QueueReports(Arc<Mutex<Vec<u8>>>);

#[async_trait]
impl report_suite::Harness for QueueReports {
    async fn report(&self) -> Arc<dyn JobReport> {
        self.0.lock().unwrap().clear();
        let log = Arc::clone(&self.0);
        let queue = JobQueue::new("queue", move |_, bytes| log.lock().unwrap().extend_from_slice(bytes));
        queue.push(JobSpec::new("1", "job"));
        let lease = queue.next(Capacity { free: 1 }, &CancellationToken::new()).await.unwrap().unwrap();
        lease.report
    }

    async fn applied(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn reports_of_the_queue_keep_the_promises_of_a_report() {
    report_suite::check(&QueueReports::default()).await.unwrap();
}

#[derive(Debug, Default)]
struct Recording(Mutex<Option<Arc<RecordingReport>>>);

#[async_trait]
impl report_suite::Harness for Recording {
    async fn report(&self) -> Arc<dyn JobReport> {
        let report = RecordingReport::new();
        *self.0.lock().unwrap() = Some(Arc::clone(&report));
        report
    }

    async fn applied(&self) -> Vec<u8> {
        self.0.lock().unwrap().as_ref().unwrap().log()
    }
}

#[tokio::test]
async fn the_recording_report_keeps_the_promises_of_a_report() {
    report_suite::check(&Recording::default()).await.unwrap();
}

/// Appends whatever comes, wherever it belongs.
#[derive(Debug, Default)]
struct Doubling(Mutex<Vec<u8>>);

#[async_trait]
impl JobReport for Doubling {
    async fn accept(&self) -> Result<Wish> {
        Ok(Wish::default())
    }

    async fn append_log(&self, _offset: u64, bytes: Bytes) -> Result<LogReply> {
        let mut log = self.0.lock().unwrap();
        log.extend_from_slice(&bytes);
        Ok(LogReply { ack: LogAck::UpTo(log.len() as u64), wish: Wish::default() })
    }

    async fn heartbeat(&self, _state: JobState) -> Result<Wish> {
        Ok(Wish::default())
    }

    async fn complete(&self, _outcome: &JobOutcome, _log: Option<LogDigest>) -> Result<Completion> {
        Ok(Completion::Done)
    }
}

#[derive(Debug, Default)]
struct Broken(Mutex<Option<Arc<Doubling>>>);

#[async_trait]
impl report_suite::Harness for Broken {
    async fn report(&self) -> Arc<dyn JobReport> {
        let report = Arc::new(Doubling::default());
        *self.0.lock().unwrap() = Some(Arc::clone(&report));
        report
    }

    async fn applied(&self) -> Vec<u8> {
        self.0.lock().unwrap().as_ref().unwrap().0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_report_that_doubles_bytes_is_caught() {
    let broken = report_suite::check(&Broken::default()).await.unwrap_err();
    assert_eq!(broken.0.len(), 2, "{broken:?}");
}
