//! Serves the side channel of a job's agent: brings the sources, and takes and gives artifacts.
//!
//! It needs the right to execute in pods, which a manager does not have: only who asks for it by
//! [`KubernetesSettings::channel`](crate::KubernetesSettings::channel) uses it, such as a person who runs a pipeline
//! out of a work tree.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use runner_core::{
    ArtifactStore, EventSink, JobEvent, JobSpec, Result, agent::ChannelLink, artifact::ByteStream,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{api::Cluster, pod::HELPER};

mod serve;

use serve::serve;

/// What joins the channel to its own standard streams, in the helper.
const COMMAND: [&str; 2] = ["/usr/bin/runner-agent", "channel"];

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A connection that held for so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// Brings the sources of jobs that their pods cannot fetch.
#[async_trait]
pub trait SourceShipper: Send + Sync + fmt::Debug {
    /// The files of a bare repository that the job fetches from in place of its own address. None: the pod can reach
    /// that address. Asked again where a connection breaks before all files were sent.
    ///
    /// # Errors
    /// The job fails.
    async fn sources(&self, job: &JobSpec) -> Result<Vec<ShippedFile>>;
}

/// A file of a repository.
pub struct ShippedFile {
    /// Where it is in the repository, with `/` between its parts.
    pub path: String,
    /// What is in it.
    pub content: ByteStream,
}

impl fmt::Debug for ShippedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ShippedFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What is served to one job.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) job: Arc<JobSpec>,
    pub(crate) artifacts: Arc<dyn ArtifactStore>,
    pub(crate) shipper: Arc<dyn SourceShipper>,
    pub(crate) events: EventSink,
}

/// The channel of one pod, served until this is dropped.
#[derive(Debug)]
pub(crate) struct Channel {
    _task: JoinSet<()>,
}

impl Channel {
    /// Connects to the helper of `pod`, again and again. Must be called within a runtime.
    pub(crate) fn serve(cluster: Cluster, namespace: String, pod: String, served: Served) -> Self {
        let mut task = JoinSet::new();
        task.spawn(async move { Server { cluster, namespace, pod, served }.run().await });
        Self { _task: task }
    }
}

struct Server {
    cluster: Cluster,
    namespace: String,
    pod: String,
    served: Served,
}

/// What came of one connection.
enum Ended {
    /// Another one may hold.
    Broke(String),
    /// There will be no other one. The text says why, where a person should know.
    ForGood(Option<String>),
}

impl Server {
    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let start = Instant::now();
            match self.connect().await {
                Ended::Broke(why) => tracing::debug!(pod = self.pod, why, "the channel to a helper broke"),
                Ended::ForGood(why) => {
                    if let Some(why) = why {
                        self.served.events.job(&self.served.job.id, JobEvent::Notice(why));
                    }
                    return;
                }
            }
            if start.elapsed() > GOOD {
                pause = FIRST_PAUSE;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self) -> Ended {
        let mut process = match self.cluster.exec(&self.namespace, &self.pod, HELPER, &COMMAND).await {
            Ok(process) => process,
            Err(error) => return self.refused(&error),
        };
        let (Some(source), Some(sink)) = (process.stdout(), process.stdin()) else {
            return Ended::Broke("there are no streams".into());
        };
        match serve(&mut ChannelLink::new(source, sink), &self.served).await {
            Ok(never) => match never {},
            Err(error) => Ended::Broke(error.chain()),
        }
    }

    fn refused(&self, error: &kube::Error) -> Ended {
        match crate::api::status_code(error) {
            Some(404) => Ended::ForGood(None),
            Some(401 | 403) => Ended::ForGood(Some(format!(
                "sources and artifacts cannot reach the pod: you may not execute in pods of {} (pods/exec): {error}",
                self.namespace
            ))),
            _ => Ended::Broke(error.to_string()),
        }
    }
}
