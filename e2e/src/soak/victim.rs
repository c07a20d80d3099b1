//! The process that is killed.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use tokio::{
    process::{Child, Command},
    sync::{Mutex, Notify},
};

use crate::Bed;

/// The name that the runners have, unless they get another one.
pub(super) const NAME: &str = "soak";

/// A request to the API server at which a process ends itself.
#[derive(Debug, Clone, Copy)]
pub struct Death {
    request: u64,
    before: bool,
}

impl Death {
    /// At the request of that number, from 1: before it is sent, or when it is answered.
    pub fn at(request: u64, before: bool) -> Self {
        Self { request, before }
    }
}

/// Where a process takes its jobs from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A ledger behind a socket.
    Socket(PathBuf),
    /// A GitLab server.
    GitLab {
        /// Its address.
        url: String,
        /// The token of the runner.
        token: String,
    },
}

/// Starts processes that run the jobs of one source in one namespace.
#[derive(Debug)]
pub struct Launcher {
    program: PathBuf,
    namespace: String,
    name: String,
    origin: Origin,
    concurrent: usize,
    token: String,
    output: PathBuf,
    node: Option<String>,
    next: AtomicU64,
}

impl Launcher {
    /// One that starts `program`, which writes what it has to say into `folder`.
    ///
    /// # Errors
    /// Where there is no token for it.
    pub async fn new(
        program: &Path,
        bed: &Bed,
        origin: Origin,
        concurrent: usize,
        folder: &Path,
    ) -> Result<Self> {
        Ok(Self {
            program: program.to_owned(),
            namespace: bed.namespace.clone(),
            name: NAME.into(),
            origin,
            concurrent,
            token: token(bed).await?,
            output: folder.join("runners.log"),
            node: None,
            next: AtomicU64::new(1),
        })
    }

    /// Gives the runners another name, so that several may use one namespace.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Puts the pods on a simulated node.
    #[must_use]
    pub fn on_node(self, name: &str) -> Self {
        Self { node: Some(name.to_owned()), ..self }
    }

    /// What the runners have written.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn output(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.output)?)
    }

    /// Starts one.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn launch(&self, death: Option<Death>) -> Result<Victim> {
        self.launch_as(death, false)
    }

    /// Starts one that reports the jobs of GitLab by itself if it `relays`, and otherwise leaves that to their agents.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn launch_as(&self, death: Option<Death>, relays: bool) -> Result<Victim> {
        let holder = self.next.fetch_add(1, Ordering::Relaxed);
        let mut command = Command::new(&self.program);
        match &self.origin {
            Origin::Socket(socket) => command.arg(socket),
            Origin::GitLab { url, token } => command.arg(url).env("E2E_RUNNER_TOKEN", token),
        };
        command.env("E2E_RELAYS", if relays { "1" } else { "0" });
        command.envs(self.node.iter().map(|node| ("E2E_NODE", node)));
        command.args([&self.namespace, &self.name]);
        command.args([holder.to_string(), self.concurrent.to_string()]);
        if let Some(Death { request, before }) = death {
            command.args([if before { "before" } else { "after" }.to_owned(), request.to_string()]);
        }
        let output = self.open()?;
        command.env("E2E_TOKEN", &self.token).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let child = command.kill_on_drop(true).spawn().context("start the runner")?;
        Ok(Victim { holder, child: Mutex::new(child), killer: Killer::default() })
    }

    fn open(&self) -> Result<File> {
        Ok(OpenOptions::new().create(true).append(true).open(&self.output)?)
    }
}

/// A token of the account that the namespace has for its runner.
async fn token(bed: &Bed) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let all = accounts.list(&ListParams::default()).await?.items;
    let account = all.iter().find(|account| account.name_any() != "default").context("no account")?;
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(7200), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let token = accounts.create_token_request(&account.name_any(), &PostParams::default(), &request).await?;
    Ok(token.status.context("no token")?.token)
}

/// Kills a process.
#[derive(Debug, Clone, Default)]
pub struct Killer(Arc<Notify>);

impl Killer {
    /// Kills it, a moment later.
    pub fn kill(&self) {
        self.0.notify_one();
    }
}

/// One process.
#[derive(Debug)]
pub struct Victim {
    holder: u64,
    child: Mutex<Child>,
    killer: Killer,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// By `kill -9`.
    Killed,
    /// By itself.
    Ended(ExitStatus),
}

impl Victim {
    /// The number that it is known by.
    pub fn holder(&self) -> u64 {
        self.holder
    }

    /// What kills it.
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// Lets it live, and kills it when it is told to, or after this time.
    ///
    /// # Errors
    /// Where the end of a process cannot be learned.
    pub async fn live(&self, longest: Duration) -> Result<Fate> {
        let mut child = self.child.lock().await;
        let ended = tokio::select! {
            biased;
            () = self.killer.0.notified() => None,
            ended = child.wait() => Some(ended?),
            () = tokio::time::sleep(longest) => None,
        };
        let status = match ended {
            Some(status) => status,
            None => {
                child.start_kill()?;
                child.wait().await?
            }
        };
        Ok(if status.code().is_some() { Fate::Ended(status) } else { Fate::Killed })
    }
}
