//! Volumes that a config names and that are not there.

use anyhow::{Result, ensure};
use e2e::{Bed, job};
use runner_core::FailureReason;
use runner_k8s::config::{FileMap, Pvc};

use super::fails_at_once;

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_does_not_exist_fails_at_once() -> Result<()> {
    let bed = Bed::new("claim").await?;
    let mut settings = bed.settings();
    let claim = Pvc { name: "no-such-claim".into(), mount_path: "/data".into(), ..Pvc::default() };
    settings.config.volumes.pvc.push(claim);
    let (reason, message) = fails_at_once(&bed, settings, job("1", "echo never")).await?;
    assert_eq!(reason, FailureReason::ConfigurationError, "{message}");
    ensure!(message.contains("the volume claim no-such-claim does not exist"), "{message}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_a_volume_that_does_not_exist_fails_at_once() -> Result<()> {
    let bed = Bed::new("volume").await?;
    let mut settings = bed.settings();
    let secret = FileMap { name: "no-such-secret".into(), mount_path: "/data".into(), ..FileMap::default() };
    settings.config.volumes.secret.push(secret);
    let (reason, message) = fails_at_once(&bed, settings, job("1", "echo never")).await?;
    assert_eq!(reason, FailureReason::ConfigurationError, "{message}");
    ensure!(message.contains("the secret no-such-secret") && message.contains("does not exist"), "{message}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_of_a_volume_that_does_not_exist_is_named() -> Result<()> {
    let bed = Bed::new("map").await?;
    let mut settings = bed.settings();
    settings.config.poll_timeout = 15;
    let map = FileMap { name: "no-such-map".into(), mount_path: "/data".into(), ..FileMap::default() };
    settings.config.volumes.config_map.push(map);
    // The role does not let the runner look at config maps, so it can only say what may be wrong.
    let (_, message) = fails_at_once(&bed, settings, job("1", "echo never")).await?;
    ensure!(message.contains("15 s (poll_timeout)") && message.contains("no-such-map"), "{message}");
    bed.close().await
}
