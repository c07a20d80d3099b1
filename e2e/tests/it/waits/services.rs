//! What is shown of services.

use anyhow::{Result, ensure};
use e2e::{Bed, job, start};
use runner_core::{
    JobId,
    job::{Image, Service, Variable},
};

use super::{lines, succeeds};

fn listener(variables: &[(&str, &str)]) -> Service {
    let mut service = Service {
        image: Image { name: "localhost/listener:1".into(), ..Image::default() },
        aliases: vec!["db".into()],
        ..Service::default()
    };
    for (key, value) in variables {
        service.variables.push(Variable::raw(*key, *value));
    }
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_service_is_shown_where_it_is_asked_for() -> Result<()> {
    let bed = Bed::new("debug").await?;
    let executor = bed.executor();
    let mut spec = job("1", "nc -w 2 db 5432 </dev/null; echo ran-the-script");
    spec.services.push(listener(&[("HEALTHCHECK_TCP_PORT", "5432")]));
    let log = succeeds(&start(&*executor, spec.clone()).await?).await?;
    ensure!(!log.contains("[service:"), "{log}");
    spec.id = JobId::new("2");
    spec.variables.push(Variable::raw("CI_DEBUG_SERVICES", "true"));
    let log = succeeds(&start(&*executor, spec).await?).await?;
    ensure!(log.contains("ran-the-script\n"), "{log}");
    ensure!(!lines(&log, "[service:localhost/listener:1] ").is_empty(), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_listens_is_warned_of_and_the_job_goes_on() -> Result<()> {
    let bed = Bed::new("deaf").await?;
    let executor = bed.executor();
    let mut spec = job("1", "echo ran-the-script");
    spec.services.push(listener(&[("HEALTHCHECK_TCP_PORT", "5433")]));
    let log = succeeds(&start(&*executor, spec).await?).await?;
    ensure!(log.contains("ran-the-script\n"), "{log}");
    let words = "service localhost/listener:1 did not accept a connection on port 5433";
    assert_eq!(lines(&log, words).len(), 1, "{log}");
    ensure!(!lines(&log, "[service:localhost/listener:1] ").is_empty(), "{log}");
    bed.close().await
}
