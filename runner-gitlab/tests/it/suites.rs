//! The promises of the traits.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use runner_core::{JobReport, JobSource};
use runner_testkit::{
    gitlab::{GitLab, JobPayload},
    report_suite, source_suite,
};

use crate::bench::{source, taken};

/// Keeps the servers for as long as their sources are used.
#[derive(Debug, Default)]
struct Servers(Mutex<Vec<(Arc<GitLab>, u64)>>);

impl Servers {
    fn keep(&self, gitlab: Arc<GitLab>, job: u64) {
        self.0.lock().unwrap().push((gitlab, job));
    }
}

#[async_trait]
impl source_suite::Harness for Servers {
    async fn source(&self, count: usize) -> Arc<dyn JobSource> {
        let gitlab = Arc::new(GitLab::start().await.unwrap());
        for number in 0..count {
            gitlab.queue(JobPayload::new(&format!("job-{number}")));
        }
        self.keep(Arc::clone(&gitlab), 0);
        source(&gitlab)
    }
}

#[async_trait]
impl report_suite::Harness for Servers {
    async fn report(&self) -> Arc<dyn JobReport> {
        let gitlab = Arc::new(GitLab::start().await.unwrap());
        let (id, lease) = taken(&gitlab, JobPayload::new("build")).await;
        self.keep(gitlab, id);
        lease.report
    }

    async fn applied(&self) -> Vec<u8> {
        let (gitlab, job) = self.0.lock().unwrap().last().cloned().unwrap();
        gitlab.job(job).trace
    }
}

#[tokio::test]
async fn the_source_keeps_all_promises() {
    source_suite::check(&Servers::default()).await.unwrap();
}

#[tokio::test]
async fn the_report_keeps_all_promises() {
    report_suite::check(&Servers::default()).await.unwrap();
}
