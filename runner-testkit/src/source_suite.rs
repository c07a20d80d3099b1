//! The promises of [`JobSource`].

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use runner_core::{Capacity, JobSource};
use tokio_util::sync::CancellationToken;

use crate::verdict::{Broken, Check, Verdict, same, worked};

/// Makes the sources to check.
#[async_trait]
pub trait Harness: Send + Sync + fmt::Debug {
    /// A source that has exactly `count` jobs to give, all of which may run at once, and no other later.
    async fn source(&self, count: usize) -> Arc<dyn JobSource>;
}

/// Checks all promises.
///
/// # Errors
/// Those that are broken.
pub async fn check(harness: &dyn Harness) -> Result<(), Broken> {
    let mut verdict = Verdict::default();
    verdict.add("each job is given once", each_job_once(harness).await);
    verdict.add("a stopped request ends and loses no job", a_stop_loses_nothing(harness).await);
    verdict.add("a dropped request loses no job", a_drop_loses_nothing(harness).await);
    verdict.add("a stored lease resumes the same job", a_lease_resumes(harness).await);
    verdict.finish()
}

const ROOM: Capacity = Capacity { free: 4 };

async fn collect(source: &dyn JobSource, count: usize) -> Result<BTreeSet<String>, String> {
    let stop = CancellationToken::new();
    let mut ids = BTreeSet::new();
    while ids.len() < count {
        if let Some(lease) = worked(source.next(ROOM, &stop).await)? {
            if !ids.insert(lease.job.id.as_str().to_owned()) {
                return Err(format!("job {} came twice", lease.job.id));
            }
        } else if source.is_exhausted() {
            return Err(format!("saw {} jobs instead of {count}", ids.len()));
        }
    }
    Ok(ids)
}

async fn each_job_once(harness: &dyn Harness) -> Check {
    let source = harness.source(3).await;
    collect(source.as_ref(), 3).await.map(drop)
}

async fn a_stop_loses_nothing(harness: &dyn Harness) -> Check {
    let source = harness.source(2).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let early = worked(source.next(ROOM, &stop).await)?;
    let rest = collect(source.as_ref(), 2 - usize::from(early.is_some())).await?;
    match early {
        Some(lease) if rest.contains(lease.job.id.as_str()) => {
            Err(format!("job {} came twice", lease.job.id))
        }
        _ => Ok(()),
    }
}

async fn a_drop_loses_nothing(harness: &dyn Harness) -> Check {
    let source = harness.source(3).await;
    let stop = CancellationToken::new();
    let mut given = 0;
    for polls in 0..8 {
        let request = source.next(ROOM, &stop);
        tokio::pin!(request);
        for _ in 0..polls {
            tokio::select! {
                biased;
                answer = &mut request => {
                    given += usize::from(worked(answer)?.is_some());
                    break;
                }
                () = tokio::task::yield_now() => {}
            }
        }
        if given == 3 {
            return Ok(());
        }
    }
    collect(source.as_ref(), 3 - given).await.map(drop)
}

async fn a_lease_resumes(harness: &dyn Harness) -> Check {
    let source = harness.source(1).await;
    let stop = CancellationToken::new();
    let Some(lease) = worked(source.next(ROOM, &stop).await)? else { return Err("no job came".into()) };
    let resumed = worked(source.resume(lease.saved.clone()).await)?;
    same(&resumed.job.id, &lease.job.id)
}
