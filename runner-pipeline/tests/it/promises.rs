//! The conformance suites of the testkit.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use runner_core::{Capacity, JobReport, JobSource};
use runner_testkit::{report_suite, source_suite};
use tokio_util::sync::CancellationToken;

use crate::fake_run::{FakeRun, job, pipeline};

#[derive(Debug, Default)]
struct Harness {
    run: Mutex<Option<Arc<FakeRun>>>,
}

impl Harness {
    fn make(&self, count: usize) -> Arc<FakeRun> {
        let jobs = (0..count).map(|number| job(&format!("job{number}"))).collect();
        let run = FakeRun::new(pipeline(jobs), &[]).map_or_else(|error| unreachable!("{error}"), Arc::new);
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&run));
        run
    }
}

#[async_trait]
impl source_suite::Harness for Harness {
    async fn source(&self, count: usize) -> Arc<dyn JobSource> {
        Arc::new(self.make(count).source.clone())
    }
}

#[async_trait]
impl report_suite::Harness for Harness {
    async fn report(&self) -> Arc<dyn JobReport> {
        let stop = CancellationToken::new();
        match self.make(1).source.next(Capacity { free: 1 }, &stop).await {
            Ok(Some(lease)) => lease.report,
            other => unreachable!("{other:?}"),
        }
    }

    async fn applied(&self) -> Vec<u8> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let logs =
            run.as_ref().map(|run| run.output.logs.lock().unwrap_or_else(PoisonError::into_inner).clone());
        logs.unwrap_or_default().remove("job0").unwrap_or_default()
    }
}

#[tokio::test]
async fn a_pipeline_keeps_the_promises_of_a_source() {
    source_suite::check(&Harness::default()).await.unwrap();
}

#[tokio::test]
async fn a_job_of_a_pipeline_keeps_the_promises_of_a_report() {
    report_suite::check(&Harness::default()).await.unwrap();
}
