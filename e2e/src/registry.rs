//! Registries that misbehave, and images that no node has.

use std::{
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::Mutex,
    task::JoinSet,
};

const DEV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dev");

/// The login to [`with_login`].
pub const LOGIN: (&str, &str) = ("ci", "s3cret");

/// The registry that tests push to and that nodes pull from, without login and TLS: `E2E_REGISTRY`.
pub fn open() -> String {
    told("E2E_REGISTRY", "10.244.0.1:5000")
}

/// A registry with the same images that wants [`LOGIN`]: `E2E_LOGIN_REGISTRY`.
pub fn with_login() -> String {
    told("E2E_LOGIN_REGISTRY", "10.244.0.1:5001")
}

/// The address of this machine as the nodes' container runtimes reach it without TLS: `E2E_NODES_REACH`.
pub fn reached_at() -> String {
    told("E2E_NODES_REACH", "127.0.0.1")
}

/// What the environment says of that name.
pub(crate) fn told(name: &str, otherwise: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| otherwise.into())
}

/// Pushes an image that no node has to [`open`], and returns its name without the registry.
///
/// # Errors
/// Where there is no such registry.
pub async fn push_fresh() -> Result<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    static PUSHING: Mutex<()> = Mutex::const_new(());
    let name = format!("e2e/fresh-{}-{}:1", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let _pushing = PUSHING.lock().await;
    let image = format!("{}/{name}", open());
    let output = Command::new(format!("{DEV}/images")).args(["fresh", &image, "1"]).output().await?;
    ensure!(
        output.status.success(),
        "this test needs a registry that it can push to and nodes can pull from without TLS, {} (E2E_REGISTRY; \
         dev/registry up starts one): {}",
        open(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(name)
}

/// A registry in front of [`open`] that has a bad day, as long as it lives.
#[derive(Debug)]
pub struct FaultyRegistry {
    /// As nodes name it.
    pub name: String,
    _server: Child,
    _reading: JoinSet<()>,
}

impl FaultyRegistry {
    /// Starts one with options of `dev/registry faulty`.
    ///
    /// # Errors
    /// Where Python is missing.
    pub async fn start(options: &[&str]) -> Result<Self> {
        let host = reached_at();
        let mut server = Command::new(format!("{DEV}/faulty_registry.py"))
            .args(["--listen", &format!("{host}:0"), "--to", &open()])
            .args(options)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("this test needs python3")?;
        let output = server.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        let said = lines.next_line().await?.with_context(|| {
            format!(
                "a registry cannot listen on {host}, where nodes are to reach this machine (E2E_NODES_REACH)"
            )
        })?;
        let port = said.rsplit(':').next().context("no port")?;
        let name = format!("{host}:{port}");
        // Nobody reads what it says of each request, and it must not stop for that.
        let mut reading = JoinSet::new();
        reading.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { name, _server: server, _reading: reading })
    }
}
