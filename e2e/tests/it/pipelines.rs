//! The pipelines of `examples/pipelines` that people have on a server, as they stand, in pods of the cluster.

use anyhow::{Context, Result, ensure};
use e2e::{Bed, pipeline::Project};
use runner_testkit::gitlab::{Endpoint, JobState};

#[tokio::test(flavor = "multi_thread")]
async fn the_server_in_go_is_tested_and_built() -> Result<()> {
    let bed = Bed::new("pipeline-go").await?;
    let project = Project::push(&bed, "go-app", &[]).await?;
    let running = project.server.run(&bed, bed.settings())?;
    let jobs = project.run().await?;
    for (name, job) in &jobs {
        ensure!(job.state == JobState::Success && job.runs == 1, "{name}: {:?}\n{}", job.state, job.text());
    }
    // The image is built for a tag alone.
    ensure!(jobs.keys().map(String::as_str).eq(["build", "test"]), "{:?}", jobs.keys());
    ensure!(jobs["build"].text().contains("links 1.0.0\n"), "{}", jobs["build"].text());
    let artifact = jobs["build"].artifacts.first().context("no artifact")?;
    ensure!(artifact.bytes.starts_with(b"PK") && artifact.bytes.len() > 1 << 20, "{}", artifact.bytes.len());
    ensure!(project.server.gitlab.count(Endpoint::Git) > 0, "nobody asked for the repository");
    running.end().await?;
    bed.close().await
}

/// Its second job needs the image of Kaniko, which no registry of the cluster has: it ends with that as the reason.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_in_python_is_tested_and_its_builder_is_named_as_missing() -> Result<()> {
    let bed = Bed::new("pipeline-python").await?;
    // The image holds what the package needs, so that no index has to be reached.
    let settings =
        [("PIP_NO_INDEX", "1"), ("PIP_NO_BUILD_ISOLATION", "0"), ("PIP_ROOT_USER_ACTION", "ignore")];
    let project = Project::push(&bed, "python-service", &settings).await?;
    let mut settings = bed.settings();
    // The name of a registry that is not found may be found a moment later, so that it is tried for as long as this.
    settings.config.poll_timeout = 60;
    let running = project.server.run(&bed, settings)?;
    let jobs = project.run().await?;
    let pytest = &jobs["pytest"];
    ensure!(pytest.state == JobState::Success && pytest.runs == 1, "{:?}\n{}", pytest.state, pytest.text());
    ensure!(pytest.text().contains(" passed"), "{}", pytest.text());
    let build = &jobs["docker-build"];
    ensure!(
        build.state == JobState::Failed && build.exit_code.is_none(),
        "{:?}\n{}",
        build.state,
        build.text()
    );
    ensure!(build.text().contains("gcr.io/kaniko-project/executor:v1.23.2-debug"), "{}", build.text());
    running.end().await?;
    bed.close().await
}
