//! What jobs of all kinds find in their pods.

use anyhow::Result;
use e2e::{Bed, Started, job, start};
use runner_core::{
    JobOutcome, JobSpec,
    job::{Image, Step, Variable},
};

/// Runs a job to its end, and gives its outcome and its log.
async fn run(bed: &Bed, job: JobSpec) -> Result<(JobOutcome, String)> {
    let executor = bed.executor();
    let started = start(&*executor, job).await?;
    let end = started.finish().await?;
    Ok((end.outcome, started.report.text()))
}

fn with_image(mut job: JobSpec, name: &str) -> JobSpec {
    job.image = Some(Image { name: name.into(), ..Image::default() });
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_and_its_pod_is_gone() -> Result<()> {
    let bed = Bed::new("one").await?;
    let mut spec = job("1", "echo hello from $CI_JOB_NAME; cat $A_FILE; exit 3");
    spec.variables.push(Variable { file: true, ..Variable::raw("A_FILE", "the content\n") });
    spec.steps.push(Step::after_script(vec!["echo after-$CI_JOB_STATUS".into()]));
    let (outcome, log) = run(&bed, spec).await?;
    assert_eq!(outcome, JobOutcome::script_failed(3), "{log}");
    assert!(log.contains("hello from e2e\n") && log.contains("the content\n"), "{log}");
    assert!(log.contains("after-failed\n"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn images_without_a_shell_get_one() -> Result<()> {
    let bed = Bed::new("shell").await?;
    for image in ["localhost/noshell:1", "localhost/distroless:1"] {
        let script = "echo in $(pwd) && mkdir -p sub && echo text > sub/file && cat sub/file && ls /";
        let (outcome, log) = run(&bed, with_image(job("1", script), image)).await?;
        assert_eq!(outcome, JobOutcome::Succeeded, "{image}: {log}");
        assert!(log.contains("in /builds/project\n") && log.contains("\ntext\n"), "{image}: {log}");
    }
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entrypoint_runs_where_it_is_asked_for() -> Result<()> {
    let bed = Bed::new("entry").await?;
    let script = "echo \"from-entrypoint=$FROM_ENTRYPOINT.\"";
    let (outcome, log) = run(&bed, with_image(job("1", script), "localhost/entrypoint:1")).await?;
    assert_eq!(outcome, JobOutcome::Succeeded, "{log}");
    assert!(log.contains("from-entrypoint=.\n"), "{log}");
    let mut honoring = with_image(job("2", script), "localhost/entrypoint:1");
    honoring.variables.push(Variable::raw("FF_KUBERNETES_HONOR_ENTRYPOINT", "true"));
    let (outcome, log) = run(&bed, honoring).await?;
    assert_eq!(outcome, JobOutcome::Succeeded, "{log}");
    assert!(log.contains("from-entrypoint=") && !log.contains("from-entrypoint=.\n"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn any_mix_of_users_works() -> Result<()> {
    let bed = Bed::new("users").await?;
    // The user of the helper and the user of the build container; none is the image's own.
    for (number, (helper, build)) in
        [(None, Some(1000)), (Some(1000), Some(1000)), (Some(1000), Some(2000)), (Some(1000), None)]
            .iter()
            .enumerate()
    {
        let mut settings = bed.settings();
        settings.config.helper_container_security_context.run_as_user = *helper;
        settings.config.build_container_security_context.run_as_user = *build;
        settings.config.build_container_security_context.read_only_root_filesystem = Some(true);
        let executor = bed.executor_with(settings);
        let script =
            "id -u; echo text > new-file; rm new-file; cat $A_FILE; touch ~/x 2>/dev/null || echo no home";
        let mut spec = job(&number.to_string(), script);
        spec.variables.push(Variable { file: true, ..Variable::raw("A_FILE", "the content\n") });
        let started = start(&*executor, spec).await?;
        let end = started.finish().await?;
        let log = started.report.text();
        assert_eq!(end.outcome, JobOutcome::Succeeded, "{helper:?} {build:?}: {log}");
        assert!(log.contains(&format!("\n{}\n", build.unwrap_or(0))), "{helper:?} {build:?}: {log}");
        assert!(log.contains("the content\n") && log.contains("no home\n"), "{helper:?} {build:?}: {log}");
    }
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_cloned_while_the_pod_starts() -> Result<()> {
    let bed = Bed::new("git").await?;
    let executor = bed.executor();
    let repository = e2e::git::Repository::serve().await?;
    for (number, image) in
        ["docker.io/library/busybox:1.36", "docker.io/library/debian:bookworm-slim"].iter().enumerate()
    {
        let mut spec = with_image(job(&number.to_string(), "cat README && ls -a && id -u"), image);
        repository.give_to(&mut spec.git);
        if number == 1 {
            // Git itself must not refuse the work tree, whoever the user is.
            spec.steps[0].script.push("git status --short && git log --oneline | cat".into());
            spec.image.as_mut().unwrap().user = Some("1000".into());
        }
        let Started { job, report } = start(&*executor, spec).await?;
        let end = job.wait().await?;
        job.cleanup().await?;
        assert_eq!(end.outcome, JobOutcome::Succeeded, "{image}: {}", report.text());
        assert!(report.text().contains("a readme from git\n"), "{}", report.text());
    }
    bed.close().await
}
