//! Brings the sources of jobs to their pods.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use runner_core::{Error, ErrorKind, JobSpec, Result};
use runner_k8s::{ShippedFile, SourceShipper};
use runner_pipeline::Snapshot;
use tokio::fs::File;

/// Brings parts of a snapshot, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Shipper(OnceLock<Arc<Snapshot>>);

impl Shipper {
    /// The sources of all jobs. They are those of the first call.
    pub(crate) fn load(&self, snapshot: &Arc<Snapshot>) {
        self.0.get_or_init(|| Arc::clone(snapshot));
    }
}

#[async_trait]
impl SourceShipper for Shipper {
    async fn sources(&self, job: &JobSpec) -> Result<Vec<ShippedFile>> {
        const OPERATION: &str = "read the sources";
        let snapshot = self.0.get().ok_or_else(|| Error::new(ErrorKind::Internal, OPERATION))?;
        if matches!(job.variables.value("GIT_STRATEGY").as_str(), "none" | "empty") {
            return Ok(Vec::new());
        }
        let shipment = snapshot.shipment(&job.git).await?;
        let mut files = Vec::new();
        for path in shipment.files {
            let file = File::open(shipment.root.join(&path)).await;
            let file = file.map_err(|cause| Error::new(ErrorKind::Internal, OPERATION).because(cause))?;
            files.push(ShippedFile { path, content: Box::new(file) });
        }
        Ok(files)
    }
}
