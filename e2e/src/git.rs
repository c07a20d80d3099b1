//! A git repository that pods can clone.

use std::time::Duration;

use anyhow::{Context, Result};
use runner_core::job::GitInfo;
use runner_testkit::gitlab::GitServer;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A small repository, served over HTTP on this machine as long as it lives.
pub struct Repository {
    repository: runner_testkit::gitlab::Repository,
    server: GitServer,
    url: String,
}

impl Repository {
    /// Makes a repository with one commit, and serves it where pods reach it.
    ///
    /// # Errors
    /// Where git is missing.
    pub async fn serve() -> Result<Self> {
        let repository =
            runner_testkit::gitlab::Repository::new(&[("README", b"a readme from git\n")]).await?;
        let server = GitServer::start(([0, 0, 0, 0], 0).into(), repository.folder()).await?;
        let url = url(server.address().port());
        Ok(Self { repository, server, url })
    }

    /// Makes it the repository of a job.
    pub fn give_to(&self, git: &mut GitInfo) {
        git.repo_url.clone_from(&self.url);
        self.repository.sha().clone_into(&mut git.sha);
        git.reference = "main".into();
        git.refspecs = vec!["+refs/heads/main:refs/remotes/origin/main".into()];
    }

    /// Makes it the repository of a job, which reaches it through `gate`.
    pub fn give_through(&self, gate: &Gate, git: &mut GitInfo) {
        self.give_to(git);
        git.repo_url = url(gate.port);
    }

    /// A gate in front of it, which is closed.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn gate(&self) -> Result<Gate> {
        Gate::before(self.server.address().port()).await
    }
}

fn url(port: u16) -> String {
    format!("http://{}:{port}/{}", host(), runner_testkit::gitlab::Repository::PROJECT)
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
