//! `runner exec --executor kubernetes`: a pipeline of a work tree, in pods.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use e2e::{BUSYBOX, Bed, program::runner};
use tempfile::TempDir;

/// A work tree with a pipeline whose jobs run in a namespace of their own.
struct Project {
    bed: Bed,
    folder: TempDir,
}

/// What a run came to.
#[derive(Debug)]
struct Ran {
    status: Option<i32>,
    text: String,
}

impl Project {
    async fn new(name: &str, pipeline: &str) -> Result<Self> {
        Self::configured(name, pipeline, "").await
    }

    /// As [`new`](Self::new), with more in the configuration.
    async fn configured(name: &str, pipeline: &str, more: &str) -> Result<Self> {
        let project = Self { bed: Bed::new(name).await?, folder: TempDir::new()? };
        project.write(".gitlab-ci.yml", pipeline)?;
        let helper = std::env::var("RUNNER_HELPER_IMAGE").map(|image| format!("helper_image = {image:?}\n"));
        let config = format!(
            "[[runners]]\nexecutor = \"kubernetes\"\nenvironment = [\"FROM_CONFIG=yes\"]\n[runners.kubernetes]\n\
             namespace = {:?}\nimage = {BUSYBOX:?}\n{}{more}",
            project.bed.namespace,
            helper.unwrap_or_default()
        );
        fs::write(project.folder.path().join("config.toml"), config)?;
        project.git(&["init", "--quiet", "--initial-branch=main"])?;
        project.write("greeting", "hello\n")?;
        project.git(&["add", "--all"])?;
        project.git(&["commit", "--quiet", "--message", "first"])?;
        Ok(project)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn write(&self, name: &str, content: &str) -> Result<()> {
        fs::create_dir_all(self.path())?;
        Ok(fs::write(self.path().join(name), content)?)
    }

    fn git(&self, arguments: &[&str]) -> Result<()> {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(self.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        for (name, value) in [("NAME", "Ada"), ("EMAIL", "ada@example.invalid")] {
            git.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
        }
        ensure!(git.status()?.success(), "git {arguments:?}");
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(runner()?);
        command
            .args(["exec", "--executor", "kubernetes", "--config"])
            .arg(self.folder.path().join("config.toml"))
            .current_dir(self.path())
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .stdin(Stdio::null());
        Ok(command)
    }

    async fn run(&self) -> Result<Ran> {
        let mut command = self.command()?;
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let text = [output.stdout, output.stderr].concat();
        Ok(Ran { status: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() })
    }

    /// Starts a run, and returns when it prints `marker`.
    async fn run_until(&self, marker: &'static str) -> Result<(Child, String)> {
        let mut child = self.command()?.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("stdout is a pipe")?;
        tokio::task::spawn_blocking(move || {
            let (mut lines, mut seen) = (BufReader::new(stdout), String::new());
            while !seen.contains(marker) {
                ensure!(lines.read_line(&mut seen)? > 0, "{marker:?} never came: {seen}");
            }
            // Somebody must go on reading, and the process must be able to go on writing.
            std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
            Ok((child, seen))
        })
        .await?
    }
}

fn signal(child: &Child, name: &str) -> Result<()> {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status()?;
    ensure!(sent.success(), "kill {name}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_reach_the_pods_and_artifacts_come_back() -> Result<()> {
    let pipeline = "
build:
  stage: build
  script:
    - cat greeting new
    - mkdir out && cat greeting new >out/all
    - dd if=/dev/zero of=out/large bs=1M count=20
    - test \"$FROM_CONFIG\" = yes
  artifacts: {paths: [out]}
test:
  stage: test
  script:
    - grep changed out/all && grep new out/all
    - test \"$(wc -c <out/large)\" = 20971520
";
    let project = Project::new("exec", pipeline).await?;
    project.write("greeting", "changed\n")?;
    project.write("new", "new\n")?;
    let ran = project.run().await?;
    assert_eq!(ran.status, Some(0), "{}", ran.text);
    let all = fs::read_to_string(project.path().join(".runner/artifacts/build/out/all"))?;
    assert_eq!(all, "changed\nnew\n");
    project.bed.close().await
}

/// Two users who share nothing: neither is root, and neither has the other's group.
const TWO_USERS: &str = "
[runners.kubernetes.helper_container_security_context]
run_as_user = 1001
run_as_group = 1001
[runners.kubernetes.build_container_security_context]
run_as_user = 1002
run_as_group = 1002
";

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_user_of_the_job_may_read_is_kept_and_comes_back() -> Result<()> {
    let pipeline = "
build:
  stage: build
  script:
    - test \"$(id -u)\" = 1002
    - umask 077
    - mkdir -p out/deep $CI_PROJECT_DIR.tmp/own/deep && echo x >$CI_PROJECT_DIR.tmp/own/deep/file
    - echo secret >out/deep/file && ln -s file out/deep/link && echo run >out/program && chmod 700 out/program
    - mkdir other && echo untracked >other/untracked
    - dd if=/dev/urandom of=out/large bs=1M count=20 && sha256sum out/large >sum
  after_script: [ls $CI_PROJECT_DIR.tmp/own/deep]
  artifacts: {paths: [out/*, sum], untracked: true}
test:
  stage: test
  script:
    - test \"$(id -u)\" = 1002
    - sha256sum -c sum && grep secret out/deep/link && test -x out/program
    - echo more >>out/deep/file && echo other >out/deep/new && rm -r out
";
    let project = Project::configured("exec-users", pipeline, TWO_USERS).await?;
    let ran = project.run().await?;
    assert_eq!(ran.status, Some(0), "{}", ran.text);
    let place = |name: &str| project.path().join(".runner/artifacts/build").join(name);
    assert_eq!(fs::read_to_string(place("out/deep/file"))?, "secret\n");
    assert_eq!(fs::read_to_string(place("other/untracked"))?, "untracked\n");
    assert_eq!(fs::read_link(place("out/deep/link"))?, Path::new("file"));
    for (name, mode) in [("out/deep/file", 0o600), ("out/program", 0o700)] {
        assert_eq!(fs::metadata(place(name))?.permissions().mode() & 0o777, mode, "{name}");
    }
    let log = fs::read_to_string(project.path().join(".runner/logs/build.log"))?;
    assert!(!log.contains("WARNING"), "{log}");
    project.bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_fails_the_run_and_leaves_nothing() -> Result<()> {
    let project = Project::new("exec-fails", "job:\n  script: [echo so long, exit 3]\n").await?;
    let ran = project.run().await?;
    assert_eq!(ran.status, Some(1), "{}", ran.text);
    assert!(ran.text.contains("so long"), "{}", ran.text);
    project.bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_cancels_politely_and_leaves_nothing() -> Result<()> {
    let pipeline = "
job:
  script: [echo it runs, sleep 600]
  after_script: [mkdir out, echo after >out/after]
  artifacts: {paths: [out], when: always}
";
    let project = Project::new("exec-cancel", pipeline).await?;
    let (mut child, _) = project.run_until("it runs").await?;
    signal(&child, "-INT")?;
    let status = tokio::task::spawn_blocking(move || child.wait()).await??;
    assert_eq!(status.code(), Some(1));
    let log = fs::read_to_string(project.path().join(".runner/logs/job.log"))?;
    assert!(log.contains("echo after"), "{log}");
    project.bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_left_is_removed_by_the_next_one() -> Result<()> {
    let pipeline = "
job:
  script:
    - echo it runs
    - test -e quick || sleep 600
";
    let project = Project::new("exec-killed", pipeline).await?;
    let (mut child, _) = project.run_until("it runs").await?;
    child.kill()?;
    child.wait()?;
    assert_ne!(project.bed.leftovers().await?.len(), 0);
    project.write("quick", "")?;
    let ran = project.run().await?;
    assert_eq!(ran.status, Some(0), "{}", ran.text);
    project.bed.close().await
}
