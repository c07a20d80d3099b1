//! A git repository that pods can clone.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use runner_core::job::GitInfo;
use tokio::{
    io::{AsyncBufReadExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

/// A small repository, served over HTTP on this machine as long as it lives.
pub struct Repository {
    folder: tempfile::TempDir,
    sha: String,
    url: String,
    _server: Child,
}

/// Serves files of one folder over HTTP, and says on which port.
const SERVER: &str = "\
import http.server, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(('0.0.0.0', 0), Quiet)
print(server.server_address[1], flush=True)
server.serve_forever()
";

impl Repository {
    /// Makes a repository with one commit, and serves it where pods reach it.
    ///
    /// # Errors
    /// Where git or Python is missing.
    pub async fn serve() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let work = folder.path().join("work");
        std::fs::create_dir(&work)?;
        std::fs::write(work.join("README"), "a readme from git\n")?;
        git(&work, &["init", "--quiet", "--initial-branch=main"]).await?;
        git(&work, &["add", "."]).await?;
        git(
            &work,
            &[
                "-c",
                "user.name=e2e",
                "-c",
                "user.email=e2e@example.invalid",
                "commit",
                "--quiet",
                "-m",
                "one",
            ],
        )
        .await?;
        git(folder.path(), &["clone", "--quiet", "--bare", "work", "project.git"]).await?;
        git(&folder.path().join("project.git"), &["update-server-info"]).await?;
        let sha = git(&work, &["rev-parse", "HEAD"]).await?.trim().to_owned();
        let mut server = Command::new("python3")
            .args(["-c", SERVER])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("a test server needs python3")?;
        let output = server.stdout.take().context("no output")?;
        let port = BufReader::new(output).lines().next_line().await?.context("the server ended")?;
        let url = format!("http://{}:{port}/project.git", host());
        Ok(Self { folder, sha, url, _server: server })
    }

    /// Makes it the repository of a job.
    pub fn give_to(&self, git: &mut GitInfo) {
        git.repo_url.clone_from(&self.url);
        git.sha.clone_from(&self.sha);
        git.reference = "main".into();
        git.refspecs = vec!["+refs/heads/main:refs/remotes/origin/main".into()];
    }

    /// Makes it the repository of a job, which reaches it through `gate`.
    pub fn give_through(&self, gate: &Gate, git: &mut GitInfo) {
        self.give_to(git);
        git.repo_url = format!("http://{}:{}/project.git", host(), gate.port);
    }

    /// A gate in front of it, which is closed.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn gate(&self) -> Result<Gate> {
        let port = self.url.rsplit(':').next().and_then(|rest| rest.split('/').next()).context("no port")?;
        Gate::before(port.parse()?).await
    }

    /// Where it is on this machine.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Takes connections and lets nothing through until it is opened.
#[derive(Debug)]
pub struct Gate {
    port: u16,
    is_open: watch::Sender<bool>,
    reached: watch::Receiver<bool>,
    _task: JoinSet<()>,
}

impl Gate {
    async fn before(server: u16) -> Result<Self> {
        let listener = TcpListener::bind("0.0.0.0:0").await?;
        let port = listener.local_addr()?.port();
        let (is_open, opened) = watch::channel(false);
        let (reach, reached) = watch::channel(false);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                reach.send_replace(true);
                let mut opened = opened.clone();
                connections.spawn(async move {
                    if opened.wait_for(|is_open| *is_open).await.is_ok()
                        && let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await
                    {
                        drop(copy_bidirectional(&mut client, &mut server).await);
                    }
                });
            }
        });
        Ok(Self { port, is_open, reached, _task: task })
    }

    /// Waits until somebody comes.
    ///
    /// # Errors
    /// Where nobody does within 40 seconds.
    pub async fn is_reached(&self) -> Result<()> {
        let mut reached = self.reached.clone();
        let came = reached.wait_for(|reached| *reached);
        tokio::time::timeout(Duration::from_secs(40), came)
            .await
            .context("nobody came to the repository")??;
        Ok(())
    }

    /// Lets everything through, also what waits.
    pub fn open(&self) {
        self.is_open.send_replace(true);
    }
}

/// The address of this machine, as pods reach it.
pub fn host() -> String {
    crate::registry::told("E2E_HOST", "10.244.0.1")
}

async fn git(directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").args(arguments).current_dir(directory).output().await?;
    ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
