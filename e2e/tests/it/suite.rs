//! The promises of every executor.

use std::sync::Arc;

use async_trait::async_trait;
use e2e::{Bed, job};
use runner_core::{Executor, JobSpec};
use runner_testkit::executor_suite::{self, Harness};

struct KubernetesHarness(Bed);

impl std::fmt::Debug for KubernetesHarness {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KubernetesHarness")
    }
}

#[async_trait]
impl Harness for KubernetesHarness {
    async fn executor(&self) -> Arc<dyn Executor> {
        self.0.executor()
    }

    fn job(&self, id: &str, script: &str) -> JobSpec {
        job(id, script)
    }

    async fn leftovers(&self) -> Vec<String> {
        self.0.leftovers().await.unwrap_or_else(|error| vec![format!("{error:#}")])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_executor_keeps_all_promises() -> anyhow::Result<()> {
    let harness = KubernetesHarness(Bed::new("suite").await?);
    executor_suite::check(&harness).await.map_err(|broken| anyhow::anyhow!("{broken:?}"))?;
    harness.0.close().await
}
