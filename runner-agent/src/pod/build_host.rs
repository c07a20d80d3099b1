//! The build container, as the engine sees it: a host that is there some time after the helper.

use std::{
    fs as std_fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command as Program,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use fs_err as fs;
use nix::unistd::geteuid;
use runner_core::{Error, ErrorKind, Result, agent::AwaitedService, log::JobLog};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OnceCell, watch},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use super::{files, hello::Hello, output::Output, paths, services};
use crate::{
    host::{Command, FileAction, Host, MemoryUse, Process},
    supervise::SupervisedHost,
};

/// A wait that is shorter than this is not spoken of.
const SHORT_WAIT: Duration = Duration::from_secs(3);

/// How much longer than the start budget the build container is waited for: whoever watches the pod knows better why it
/// does not come, and is to be first.
const MARGIN: Duration = Duration::from_mins(1);

/// How long a connection may take to say who it is.
const GREETING: Duration = Duration::from_secs(10);

/// The environment of processes.
type Pairs = Vec<(String, String)>;

/// The build container.
#[derive(Debug)]
pub(super) struct BuildHost {
    here: watch::Receiver<Option<Arc<Here>>>,
    ready: OnceCell<()>,
    settings: BuildSettings,
    lost: AtomicBool,
    lacks_services: AtomicBool,
    closed: AtomicBool,
    /// Accepts the connection; owned so that it ends with the host.
    _accept: JoinSet<()>,
}

/// What a [`BuildHost`] is told.
#[derive(Debug)]
pub(super) struct BuildSettings {
    /// Says what is waited for.
    pub(super) log: JobLog,
    /// Tells which services are missing.
    pub(super) output: Output,
    /// When to give up.
    pub(super) start_budget: Duration,
    /// What else must be there before a script runs.
    pub(super) services: Vec<AwaitedService>,
}

/// The build container that has connected.
#[derive(Debug)]
struct Here {
    host: SupervisedHost,
    user: u32,
    group: u32,
    environment: Pairs,
    /// It has no shell but ours.
    without_shell: bool,
}

impl BuildHost {
    /// Accepts a connection of `listener` that knows `nonce`. Must be called within a runtime.
    pub(super) fn new(listener: UnixListener, nonce: String, settings: BuildSettings) -> Self {
        let (sender, here) = watch::channel(None);
        let mut accept = JoinSet::new();
        accept.spawn(async move {
            let here = accept_one(listener, &nonce).await;
            sender.send_replace(Some(Arc::new(here)));
            // As long as it lives, nobody mistakes waiting for the end of all hope.
            sender.closed().await;
        });
        Self {
            here,
            ready: OnceCell::new(),
            settings,
            lost: AtomicBool::new(false),
            lacks_services: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            _accept: accept,
        }
    }

    /// Whether the build container went away before it was let go.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Whether a service did not come up.
    pub(super) fn lacks_services(&self) -> bool {
        self.lacks_services.load(Ordering::Relaxed)
    }

    /// The build container, without waiting for it.
    fn now(&self) -> Option<Arc<Here>> {
        self.here.borrow().clone()
    }

    /// Waits for the build container.
    async fn here(&self) -> Result<Arc<Here>> {
        let gone = || Error::new(ErrorKind::Lost, "reach the build container");
        if self.closed.load(Ordering::Relaxed) {
            return Err(gone());
        }
        let mut receiver = self.here.clone();
        let found = receiver.wait_for(Option::is_some).await.map_err(|_| gone())?;
        found.clone().ok_or_else(gone)
    }

    /// Waits for everything that a script needs, and says so where it takes long.
    async fn complete(&self) -> Result<Arc<Here>> {
        self.ready.get_or_try_init(|| self.wait_for_all()).await?;
        self.here().await
    }

    async fn wait_for_all(&self) -> Result<()> {
        let BuildSettings { log, start_budget, services, output } = &self.settings;
        let start = Instant::now();
        if timeout(SHORT_WAIT, self.here()).await.is_err() {
            log.line("Waiting for the build container…").await;
            let longest = start.checked_add(start_budget.saturating_add(MARGIN));
            let waited = match longest {
                Some(longest) => timeout_at(longest, self.here()).await,
                None => Ok(self.here().await),
            };
            waited.map_err(|_| {
                Error::new(ErrorKind::Lost, "start the build container")
                    .with("waited for seconds", start.elapsed().as_secs())
            })??;
            log.line(&format!("The build container is there after {} s", start.elapsed().as_secs())).await;
        }
        if services.is_empty() {
            return Ok(());
        }
        for number in services::wait(services).await {
            self.lacks_services.store(true, Ordering::Relaxed);
            output.event(runner_core::agent::AgentEvent::ServiceMissing(number));
            if let Some(AwaitedService { name, port, patience }) = services.get(number) {
                let text = format!(
                    "*** WARNING: service {name} did not accept a connection on port {port} within {} s",
                    patience.as_secs()
                );
                log.line(&text).await;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Host for BuildHost {
    async fn start(&self, command: Command) -> Result<Process> {
        self.here().await?.host.start(command).await
    }

    async fn find(&self, programs: &[&str], path: &str) -> Result<Option<String>> {
        let here = self.here().await?;
        match here.host.find(programs, path).await? {
            None if here.without_shell && programs.contains(&"sh") => {
                Ok(Some(format!("{}/sh", paths::SHELL)))
            }
            found => Ok(found),
        }
    }

    async fn end_all(&self, grace: Duration) -> Result<()> {
        // One that never came has no processes, and one that is gone has none any more.
        match self.now() {
            Some(here) if !here.host.is_gone() => here.host.end_all(grace).await,
            _ => Ok(()),
        }
    }

    async fn environment(&self) -> Result<Option<Pairs>> {
        Ok(Some(self.complete().await?.environment.clone()))
    }

    async fn take_over(&self, wanted: &[PathBuf]) -> Result<()> {
        const OPERATION: &str = "give the job's files to the user of the build container";
        let here = self.complete().await?;
        let (user, group, wanted) = (here.user, here.group, wanted.to_vec());
        let give = move || wanted.iter().try_for_each(|path| files::give(path, user, group));
        let given = tokio::task::spawn_blocking(give).await;
        given
            .map_err(|cause| Error::new(ErrorKind::Internal, OPERATION).because(cause))?
            .map_err(|cause| Error::new(ErrorKind::Internal, OPERATION).because(cause))
    }

    async fn files(&self, action: FileAction, path: &Path) -> Result<Process> {
        // One that never came made no files.
        let here = self.now().ok_or_else(|| Error::new(ErrorKind::Lost, "reach the build container"))?;
        here.host.files(action, path).await
    }

    async fn memory(&self) -> Result<Option<MemoryUse>> {
        self.here().await?.host.memory().await
    }

    async fn close(&self) {
        let first = !self.closed.swap(true, Ordering::Relaxed);
        if let Some(here) = self.now() {
            if first {
                self.lost.store(here.host.is_gone(), Ordering::Relaxed);
            }
            here.host.close().await;
        }
    }
}

/// Accepts connections until one proves to be the build container's; then nobody can connect any more.
async fn accept_one(listener: UnixListener, nonce: &str) -> Here {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        if let Ok(Ok((hello, stream))) = timeout(GREETING, greet(stream, nonce)).await {
            drop(listener);
            std_fs::remove_file(paths::SOCKET).ok();
            std_fs::remove_file(paths::NONCE).ok();
            let (source, sink) = stream.into_split();
            return Here::new(hello, SupervisedHost::connect(source, sink)).await;
        }
    }
}

async fn greet(mut stream: UnixStream, nonce: &str) -> io::Result<(Hello, UnixStream)> {
    let hello = Hello::receive(&mut stream).await?;
    if hello.nonce != nonce || hello.version != env!("CARGO_PKG_VERSION") {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok((hello, stream))
}

impl Here {
    async fn new(hello: Hello, host: SupervisedHost) -> Self {
        let Hello { user, group, mut environment, .. } = hello;
        let path = environment.iter().find(|(key, _)| key == "PATH").map_or("", |(_, value)| value);
        let path = if path.is_empty() {
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        } else {
            path
        };
        let path = path.to_owned();
        let without_shell = matches!(host.find(&["bash", "sh"], &path).await, Ok(None));
        if without_shell {
            let installed = tokio::task::spawn_blocking(|| install_shell(Path::new(paths::BUSYBOX))).await;
            if let Err(error) = installed.unwrap_or_else(|error| Err(io::Error::other(error))) {
                tracing::warn!(%error, "an image without a shell gets none");
            }
            environment.retain(|(key, _)| key != "PATH");
            environment.push(("PATH".into(), format!("{path}:{}", paths::SHELL)));
        }
        let ours = geteuid().as_raw();
        if user != ours && ours != 0 {
            // The work tree belongs to the helper's user, which git takes for somebody's trap.
            environment.push(("GIT_CONFIG_COUNT".into(), "1".into()));
            environment.push(("GIT_CONFIG_KEY_0".into(), "safe.directory".into()));
            environment.push(("GIT_CONFIG_VALUE_0".into(), "*".into()));
        }
        Self { host, user, group, environment, without_shell }
    }
}

/// Puts a static shell with its usual programs where an image without one finds them.
fn install_shell(busybox: &Path) -> io::Result<()> {
    let folder = Path::new(paths::SHELL);
    fs::create_dir_all(folder)?;
    let shell = folder.join("busybox");
    fs::copy(busybox, &shell)?;
    fs::set_permissions(&shell, PermissionsExt::from_mode(0o755))?;
    let listed = Program::new(&shell).arg("--list").output()?;
    for name in String::from_utf8_lossy(&listed.stdout).lines().filter(|name| *name != "busybox") {
        symlink("busybox", folder.join(name))?;
    }
    Ok(())
}
