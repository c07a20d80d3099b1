//! The containers of a job's pod: which they are, how people call them, and what state each is in.

use k8s_openapi::{
    api::core::v1::{Container, ContainerState as Reported, ContainerStateTerminated, ContainerStatus, Pod},
    apimachinery::pkg::apis::meta::v1::Time,
};

/// The state of one container.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum ContainerState {
    /// The status does not name it.
    #[default]
    Unknown,
    /// It has not started.
    Waiting,
    /// It runs.
    Running,
    /// It ended, or could not be started.
    Ended {
        /// Its exit code; 128 where it could not be started.
        exit_code: i32,
        /// The signal that ended it, where the runtime says so; most leave it out and count it into the exit code.
        signal: Option<i32>,
        /// One word, such as `Completed`, `Error`, `OOMKilled` or `StartError`.
        reason: String,
        /// Its termination message, or the runtime's error.
        message: String,
        /// When it started; none, or the year 1970, where it never did.
        started: Option<Time>,
        /// When it ended.
        finished: Option<Time>,
    },
}

impl ContainerState {
    fn read(state: &Reported) -> Self {
        if let Some(ended) = &state.terminated {
            return Self::ended(ended);
        }
        if state.running.is_some() { Self::Running } else { Self::Waiting }
    }

    fn ended(ended: &ContainerStateTerminated) -> Self {
        Self::Ended {
            exit_code: ended.exit_code,
            signal: ended.signal.filter(|signal| *signal != 0),
            reason: ended.reason.clone().unwrap_or_default(),
            message: ended.message.clone().unwrap_or_default(),
            started: ended.started_at.clone(),
            finished: ended.finished_at.clone(),
        }
    }

    /// Whether the runtime could not start it, so that no process of it ever ran.
    pub fn failed_to_start(&self) -> bool {
        match self {
            Self::Ended { reason, started, .. } => {
                let never = started.as_ref().is_none_or(|time| time.0.as_second() == 0);
                never && matches!(reason.as_str(), "StartError" | "ContainerCannotRun")
            }
            _ => false,
        }
    }

    /// Whether it runs, or may have run before it ended.
    pub fn has_run(&self) -> bool {
        match self {
            Self::Unknown | Self::Waiting => false,
            Self::Running => true,
            Self::Ended { .. } => !self.failed_to_start(),
        }
    }
}

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Helper,
    Service,
    Build,
    Init,
    Other,
}

/// One container of a pod: its part of the specification with its part of the status.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) image: &'a str,
    pub(super) container: &'a Container,
    pub(super) status: Option<&'a ContainerStatus>,
}

impl<'a> Seat<'a> {
    /// All containers in the order in which they start.
    pub(super) fn all(pod: &'a Pod) -> Vec<Self> {
        let Some(spec) = &pod.spec else { return Vec::new() };
        let status = pod.status.as_ref();
        let init = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
        let main = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
        let first =
            spec.init_containers.iter().flatten().map(|container| Self::new(container, Kind::Init, init));
        let then = spec.containers.iter().map(|container| {
            let kind = match container.name.as_str() {
                "helper" => Kind::Helper,
                "build" => Kind::Build,
                name if name.starts_with("svc-") => Kind::Service,
                _ => Kind::Other,
            };
            Self::new(container, kind, main)
        });
        first.chain(then).collect()
    }

    fn new(container: &'a Container, kind: Kind, statuses: &'a [ContainerStatus]) -> Self {
        Self {
            kind,
            name: &container.name,
            image: container.image.as_deref().unwrap_or_default(),
            container,
            status: statuses.iter().find(|status| status.name == container.name),
        }
    }

    /// The state of the container.
    pub(super) fn state(&self) -> ContainerState {
        self.status.and_then(|status| status.state.as_ref()).map(ContainerState::read).unwrap_or_default()
    }

    /// How it is called in a line of a job's log.
    pub(super) fn words(&self) -> String {
        match self.kind {
            Kind::Helper => "the helper container".to_owned(),
            Kind::Build => "the build container".to_owned(),
            Kind::Service => format!("service {}", self.image),
            Kind::Init => format!("the init container {}", self.name),
            Kind::Other => format!("the container {}", self.name),
        }
    }

    /// The reason and the message of a container that waits; both are empty where the kubelet says nothing.
    pub(super) fn wait(&self) -> Option<(&'a str, &'a str)> {
        let waiting = self.status?.state.as_ref()?.waiting.as_ref()?;
        Some((waiting.reason.as_deref().unwrap_or_default(), waiting.message.as_deref().unwrap_or_default()))
    }
}
