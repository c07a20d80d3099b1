//! The life of one pod, from when it is bound to the node until it is gone.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Pace,
    container::{self, Running},
    log::ContainerLog,
    registrar::{Deletion, Registrar},
    sandbox::Sandbox,
    status::{Ended, Picture, State},
    volume::Volumes,
};

/// How long until the API server is told again what it could not be told.
const PAUSE: Duration = Duration::from_millis(500);

/// How often it is told.
const TRIES: usize = 20;

/// The logs of a pod's containers, by name.
type Logs = Arc<Mutex<BTreeMap<String, Arc<ContainerLog>>>>;

/// A pod that is played.
pub(super) struct Life {
    registrar: Arc<Registrar>,
    pod: Pod,
    pace: Pace,
    deletion: watch::Receiver<Deletion>,
    logs: Logs,
    address: String,
    since: Timestamp,
    states: Vec<State>,
    /// By which number each container gets signals.
    numbers: Vec<Option<u32>>,
    exits: JoinSet<(usize, Ended)>,
    volumes: Option<Volumes>,
    /// When the next container is to be started.
    next: Instant,
    /// When the API server is to know what happened.
    tell_at: Option<Instant>,
    /// When what still runs is killed, once the pod is to end.
    kill_at: Option<Instant>,
}

impl Life {
    pub(super) fn new(
        registrar: Arc<Registrar>,
        pod: Pod,
        deletion: watch::Receiver<Deletion>,
        logs: Logs,
    ) -> Self {
        let count = pod.spec.as_ref().map_or(0, |spec| spec.containers.len());
        let pace = registrar.pace_of(&pod);
        let address = registrar.pod_address();
        Self {
            registrar,
            pod,
            pace,
            deletion,
            logs,
            address,
            since: Timestamp::now(),
            states: vec![State::Waiting; count],
            numbers: vec![None; count],
            exits: JoinSet::new(),
            volumes: None,
            next: Instant::now() + pace.before_first,
            tell_at: Some(Instant::now()),
            kill_at: None,
        }
    }

    /// Plays it to its end.
    pub(super) async fn run(mut self) {
        if self.registrar.sandbox.is_some() {
            self.play().await;
        } else {
            self.show().await;
        }
        let deletion = *self.deletion.borrow();
        if deletion != Deletion::Gone {
            self.tell().await;
            deleted(&mut self.deletion).await;
            self.remove().await;
        }
        if let Some(folder) = self.folder() {
            // What is left is removed with the kubelet.
            drop(tokio::fs::remove_dir_all(folder).await);
        }
    }

    /// Only tells that everything runs.
    async fn show(&mut self) {
        let pause = self.pace.before_first + self.pace.between;
        tokio::select! {
            biased;
            () = deleted(&mut self.deletion) => return,
            () = sleep(pause) => {}
        }
        let now = Timestamp::now();
        self.states.iter_mut().for_each(|state| *state = State::Running(now));
        self.tell().await;
        self.registrar.note_running();
        deleted(&mut self.deletion).await;
        let ended = || Ended { started: Some(now), ..Ended::never_ran(Timestamp::now()) };
        self.states.iter_mut().for_each(|state| *state = State::Ended(ended()));
        self.kill_at = Some(Instant::now());
    }

    /// Runs its containers until all have ended, or what is left of them was ended.
    async fn play(&mut self) {
        while !self.is_over() {
            let (is_ending, tells, kills) = (self.kill_at.is_some(), self.tell_at, self.kill_at);
            let next = self.next_container();
            let hook = self.hook();
            let mut deletion = self.deletion.clone();
            tokio::select! {
                biased;
                () = deleted(&mut deletion), if !is_ending => self.end().await,
                Some(exit) = self.exits.join_next() => {
                    let (index, ended) = exit.unwrap_or_else(|_| (0, Ended::never_ran(Timestamp::now())));
                    self.enter(index, State::Ended(ended));
                }
                () = due(kills) => {
                    self.signal(true).await;
                    // Nothing survives that.
                    self.kill_at = Some(Instant::now() + Duration::from_hours(1));
                }
                () = due(tells) => self.tell().await,
                () = ready(self.next, hook), if next.is_some() && !is_ending => {
                    if let Some(index) = next {
                        self.start(index).await;
                    }
                }
            }
        }
    }

    /// Whether nothing runs, and nothing will.
    fn is_over(&self) -> bool {
        let runs = self.states.iter().any(|state| matches!(state, State::Running(_)));
        let is_ending = self.kill_at.is_some();
        !runs && (is_ending || self.next_container().is_none())
    }

    fn next_container(&self) -> Option<usize> {
        self.states.iter().position(|state| *state == State::Waiting)
    }

    /// What must be there before the container after the first one is started; nothing where the first one has ended, since
    /// then the hook that waits for it has failed.
    fn hook(&self) -> Option<PathBuf> {
        let is_second =
            self.next_container() == Some(1) && matches!(self.states.first(), Some(State::Running(_)));
        let runner = self.folder()?.join("volumes/runner/agent");
        is_second.then_some(runner)
    }

    async fn start(&mut self, index: usize) {
        let started = {
            let mut deletion = self.deletion.clone();
            tokio::select! {
                biased;
                () = deleted(&mut deletion) => return,
                started = self.started(index) => started,
            }
        };
        self.next = Instant::now() + self.pace.between;
        let running = match started {
            Ok(running) => running,
            Err(error) => {
                let ended = Ended { code: 128, reason: "StartError", message: error.to_string(), ..now() };
                return self.enter(index, State::Ended(ended));
            }
        };
        self.enter(index, State::Running(running.started()));
        if self.next_container().is_none() {
            self.registrar.note_running();
        }
        if let Some(number) = self.numbers.get_mut(index) {
            *number = running.number();
        }
        let name =
            self.pod.spec.as_ref().and_then(|spec| spec.containers.get(index)).map(|found| &found.name);
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.insert(name.cloned().unwrap_or_default(), running.log());
        self.exits.spawn(async move { (index, running.ended().await) });
    }

    async fn started(&mut self, index: usize) -> io::Result<Running> {
        let folder = self.folder().ok_or_else(|| io::Error::other("a pod without a uid"))?;
        if self.volumes.is_none() {
            let volumes = Volumes::make(&self.registrar.client, &self.pod, &folder.join("volumes")).await?;
            self.volumes = Some(volumes);
        }
        let container = self.pod.spec.as_ref().and_then(|spec| spec.containers.get(index));
        let (Some(container), Some(sandbox), Some(volumes)) = (container, self.sandbox(), &self.volumes)
        else {
            return Err(io::Error::other("a pod without containers"));
        };
        Running::start(sandbox, container, folder.join(&container.name), &volumes.mounts(container)).await
    }

    fn sandbox(&self) -> Option<&Sandbox> {
        self.registrar.sandbox.as_ref()
    }

    fn folder(&self) -> Option<PathBuf> {
        Some(self.sandbox()?.pod(&self.pod.uid()?))
    }

    fn enter(&mut self, index: usize, state: State) {
        if let Some(known) = self.states.get_mut(index) {
            *known = state;
        }
        self.tell_at.get_or_insert_with(|| Instant::now() + self.pace.lag);
    }

    /// Begins to end it, as it was deleted.
    async fn end(&mut self) {
        let grace = match *self.deletion.borrow() {
            Deletion::Graceful(grace) => grace,
            Deletion::None | Deletion::Gone => Duration::ZERO,
        };
        self.kill_at = Some(Instant::now() + grace);
        if !grace.is_zero() {
            self.signal(false).await;
        }
    }

    async fn signal(&self, is_forced: bool) {
        for (state, number) in self.states.iter().zip(&self.numbers) {
            if let (State::Running(_), Some(number)) = (state, number) {
                container::signal(*number, is_forced).await;
            }
        }
    }

    /// Tells the API server what is known.
    async fn tell(&mut self) {
        self.tell_at = None;
        let is_terminated = self.kill_at.is_some();
        let is_over = is_terminated && self.is_over();
        let states: Vec<State> = self
            .states
            .iter()
            .map(|state| match state {
                State::Waiting if is_over => State::Ended(now()),
                state => state.clone(),
            })
            .collect();
        let picture = Picture {
            pod: &self.pod,
            host: self.registrar.address().to_string(),
            address: &self.address,
            since: self.since,
            states: &states,
            is_terminated: is_over,
        };
        let patch = Patch::Strategic(picture.patch());
        for _ in 0..TRIES {
            match self.pods().patch_status(&self.pod.name_any(), &PatchParams::default(), &patch).await {
                Err(kube::Error::Api(refusal)) if refusal.is_not_found() => return,
                Err(_) => sleep(PAUSE).await,
                Ok(_) => return,
            }
        }
    }

    /// Removes it from the API server: it has ended.
    async fn remove(&self) {
        let preconditions = Some(Preconditions { uid: self.pod.uid(), resource_version: None });
        let parameters =
            DeleteParams { grace_period_seconds: Some(0), preconditions, ..DeleteParams::default() };
        for _ in 0..TRIES {
            match self.pods().delete(&self.pod.name_any(), &parameters).await {
                Err(kube::Error::Api(refusal)) if refusal.is_not_found() || refusal.is_conflict() => return,
                Err(_) => sleep(PAUSE).await,
                Ok(_) => return,
            }
        }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.registrar.client.clone(), &self.pod.namespace().unwrap_or_default())
    }
}

fn now() -> Ended {
    Ended::never_ran(Timestamp::now())
}

/// Waits until the pod was deleted. Cancel safe.
async fn deleted(deletion: &mut watch::Receiver<Deletion>) {
    if deletion.wait_for(|deletion| *deletion != Deletion::None).await.is_err() {
        // The kubelet has forgotten the pod, and ends this task.
        std::future::pending::<()>().await;
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn ready(at: Instant, file: Option<PathBuf>) {
    sleep_until(at).await;
    if let Some(file) = file {
        container::appears(&file).await;
    }
}
