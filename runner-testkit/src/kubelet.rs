//! A node that exists only in the API server of a real cluster, and a kubelet that plays the pods on it.
//!
//! The scheduler, the controllers and the API server are real; what is played is what a kubelet does with a pod that is
//! bound to its node: it tells its statuses, serves the logs of its containers, and removes it when it was deleted. A pod is
//! played in one of two ways ([`Play`]): only by its statuses, so that a thousand of them cost next to nothing, or by
//! processes of this machine, each in namespaces of its own with the volumes of its pod, so that a real agent runs in them.
//!
//! The node has a taint and a label that nothing else tolerates or selects: [`TAINT`] with the name of the node as its value.
//!
//! What it does not play: images, their pulling, networks, cgroups, probes, and restarts.

mod container;
mod life;
mod log;
mod log_server;
mod node;
mod registrar;
mod sandbox;
mod status;
mod volume;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use tokio::{net::TcpListener, task::JoinSet};

use registrar::Registrar;
use sandbox::Sandbox;

/// The key of the node's taint and label.
pub const TAINT: &str = "runner.example.com/simulated";

/// How a pod is played.
#[derive(Debug, Clone)]
pub enum Play {
    /// It runs at once and until it is deleted, and nothing happens in it.
    Statuses,
    /// Its containers are processes. The container that runs first has this program as `/usr/bin/runner-agent`, and all of
    /// them have a busybox as their image. This needs root, and a static busybox at `/bin/busybox`.
    Processes {
        /// A runner-agent that is linked statically.
        agent: PathBuf,
    },
}

/// How long things take for a pod. The default is at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// From when the pod is bound until its first container starts.
    pub before_first: Duration,
    /// From when a container has started until the next one does, as while its image is pulled.
    pub between: Duration,
    /// How long the API server does not know of a change: a kubelet looks once a second.
    pub lag: Duration,
}

/// Says how long things take for a pod.
pub type Pacing = Arc<dyn Fn(&Pod) -> Pace + Send + Sync>;

/// What a simulated node is.
#[derive(Clone)]
pub struct KubeletSettings {
    /// The name of the node, which must be a new one.
    pub name: String,
    /// An address of this machine that the API server reaches.
    pub address: IpAddr,
    /// How many pods it takes.
    pub pods: u32,
    /// How they are played.
    pub play: Play,
    /// How long that takes.
    pub pacing: Pacing,
}

impl KubeletSettings {
    /// A node that takes 110 pods, plays them by their statuses, and does all at once.
    pub fn new(name: &str, address: IpAddr) -> Self {
        Self {
            name: name.to_owned(),
            address,
            pods: 110,
            play: Play::Statuses,
            pacing: Arc::new(|_| Pace::default()),
        }
    }
}

impl fmt::Debug for KubeletSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KubeletSettings").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A simulated node, ready until it is [removed](Self::remove). Dropping it ends all of its pods' processes, and leaves the
/// node in the cluster, where the node's pods are lost after a while, as with a machine that dies.
#[derive(Debug)]
pub struct Kubelet {
    registrar: Arc<Registrar>,
    tasks: JoinSet<()>,
}

impl Kubelet {
    /// Adds the node to the cluster. `client` must be allowed everything. Must be called within a runtime.
    ///
    /// # Errors
    /// Where the cluster refuses the node, or this machine cannot play pods as the settings say.
    pub async fn start(client: Client, settings: KubeletSettings) -> io::Result<Self> {
        let sandbox = match &settings.play {
            Play::Statuses => None,
            Play::Processes { agent } => Some(Sandbox::new(agent).await?),
        };
        let listener = TcpListener::bind(SocketAddr::new(settings.address, 0)).await?;
        let port = listener.local_addr()?.port();
        let registrar = Arc::new(Registrar::new(client, settings, sandbox));
        let mut tasks = JoinSet::new();
        tasks.spawn(log_server::serve(
            listener,
            log_server::acceptor(registrar.address())?,
            Arc::clone(&registrar),
        ));
        node::create(&registrar, port).await.map_err(io::Error::other)?;
        tasks.spawn(node::keep_ready(Arc::clone(&registrar)));
        tasks.spawn(registrar::follow(Arc::clone(&registrar)));
        Ok(Self { registrar, tasks })
    }

    /// The name of the node.
    pub fn name(&self) -> &str {
        self.registrar.node()
    }

    /// How many pods are on the node now.
    pub fn pods(&self) -> usize {
        self.registrar.count()
    }

    /// How many pods were told to be running since the start.
    pub fn running(&self) -> usize {
        self.registrar.running()
    }

    /// Removes the node and everything on it.
    ///
    /// # Errors
    /// Those of the cluster.
    pub async fn remove(mut self) -> io::Result<()> {
        self.tasks.shutdown().await;
        self.registrar.end_all().await;
        node::remove(&self.registrar).await.map_err(io::Error::other)
    }
}
