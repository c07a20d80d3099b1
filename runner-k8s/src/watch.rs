//! One watch per namespace for the pods of all jobs, whose events are handed to those who wait for a pod.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    runtime::watcher::{self, Event, watcher},
};
use tokio::{sync::watch, task::JoinSet, time::sleep};

use crate::api::Cluster;

/// How long a watch that failed rests, so that a server that is down is not flooded.
const REST: Duration = Duration::from_millis(500);

/// What is known of a pod.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// As it was last seen.
    pub(crate) pod: Option<Arc<Pod>>,
    /// It was there, or was made, and is no more.
    pub(crate) gone: bool,
}

impl Seen {
    /// Whether the pod is gone, or its status says that all of it has ended.
    pub(crate) fn is_over(&self) -> bool {
        let phase = self.pod.as_ref().and_then(|pod| pod.status.as_ref()?.phase.as_deref());
        self.gone || matches!(phase, Some("Failed" | "Succeeded"))
    }
}

/// The watches of an executor. A watch starts with the first pod of its namespace, and ends with this.
#[derive(Debug)]
pub(crate) struct PodWatches {
    cluster: Cluster,
    selector: String,
    namespaces: Mutex<HashMap<String, NamespaceWatch>>,
}

#[derive(Debug)]
struct NamespaceWatch {
    board: Arc<Board>,
    /// Owned so that it ends with the watches.
    _task: JoinSet<()>,
}

impl PodWatches {
    /// Watches of the pods that `selector` matches.
    pub(crate) fn new(cluster: Cluster, selector: String) -> Self {
        Self { cluster, selector, namespaces: Mutex::default() }
    }

    /// Follows the pod of that name, which may not be there yet. Must be called within a runtime.
    pub(crate) fn follow(&self, namespace: &str, name: &str) -> FollowedPod {
        let board = self.board(namespace);
        let seen = board.follow(name);
        FollowedPod { seen, board, name: name.to_owned() }
    }

    fn board(&self, namespace: &str) -> Arc<Board> {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = namespaces.get(namespace) {
            return Arc::clone(&watch.board);
        }
        let board = Arc::new(Board::default());
        let pods: Api<Pod> = Api::namespaced(self.cluster.client(), namespace);
        let config = watcher::Config::default().labels(&self.selector);
        let mut task = JoinSet::new();
        let (board_of_task, namespace_of_task) = (Arc::clone(&board), namespace.to_owned());
        task.spawn(async move {
            carry(watcher(pods, config), &board_of_task, &namespace_of_task).await;
        });
        namespaces.insert(namespace.to_owned(), NamespaceWatch { board: Arc::clone(&board), _task: task });
        board
    }
}

async fn carry(
    events: impl Stream<Item = watcher::Result<Event<Pod>>> + Send,
    board: &Board,
    namespace: &str,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => board.take(event),
            Err(error) => {
                tracing::warn!(namespace, %error, "the watch of pods failed; it starts again");
                sleep(REST).await;
            }
        }
    }
}

/// A pod that is followed.
#[derive(Debug)]
pub(crate) struct FollowedPod {
    seen: watch::Receiver<Seen>,
    board: Arc<Board>,
    name: String,
}

impl FollowedPod {
    /// What is known now.
    pub(crate) fn now(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits for news, and returns what is known then. Cancel safe.
    pub(crate) async fn changed(&mut self) -> Seen {
        if self.seen.changed().await.is_err() {
            // The board lives as long as this, and keeps the sender.
            std::future::pending::<()>().await;
        }
        self.seen.borrow_and_update().clone()
    }

    /// The pod was made: from here on its absence means that it is gone.
    pub(crate) fn is_made(&self) {
        self.board.is_made(&self.name);
    }
}

impl Drop for FollowedPod {
    fn drop(&mut self) {
        self.board.unfollow(&self.name);
    }
}

/// Who waits for which pod.
#[derive(Debug, Default)]
struct Board(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    followed: HashMap<String, Followed>,
    /// The pods that are there, so that whoever comes later to a watch that has begun knows them too.
    there: HashMap<String, Arc<Pod>>,
    /// The names that a listing has shown so far, while there is one.
    listed: Option<HashSet<String>>,
    /// Which listing is, or was the last one.
    listing: u64,
}

#[derive(Debug)]
struct Followed {
    sender: watch::Sender<Seen>,
    followers: usize,
    /// The listing before which the pod was made.
    made_before: Option<u64>,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, name: &str) -> watch::Receiver<Seen> {
        let mut state = self.state();
        let pod = state.there.get(name).cloned();
        let followed = state.followed.entry(name.to_owned()).or_insert_with(|| Followed {
            sender: watch::Sender::new(Seen { pod, gone: false }),
            followers: 0,
            made_before: None,
        });
        followed.followers += 1;
        followed.sender.subscribe()
    }

    fn unfollow(&self, name: &str) {
        let mut state = self.state();
        if let Some(followed) = state.followed.get_mut(name) {
            followed.followers -= 1;
            if followed.followers == 0 {
                state.followed.remove(name);
            }
        }
    }

    fn is_made(&self, name: &str) {
        let mut state = self.state();
        // A listing that goes on may have been taken before.
        let next = state.listing + 1;
        if let Some(followed) = state.followed.get_mut(name) {
            followed.made_before.get_or_insert(next);
        }
    }

    fn take(&self, event: Event<Pod>) {
        let mut state = self.state();
        match event {
            Event::Init => {
                state.listing += 1;
                state.listed = Some(HashSet::new());
            }
            Event::InitApply(pod) => {
                let name = pod.name_any();
                state.show(&name, pod);
                if let Some(listed) = &mut state.listed {
                    listed.insert(name);
                }
            }
            Event::InitDone => state.miss(),
            Event::Apply(pod) => {
                let name = pod.name_any();
                state.show(&name, pod);
            }
            Event::Delete(pod) => {
                state.there.remove(&pod.name_any());
                if let Some(followed) = state.followed.get(&pod.name_any()) {
                    followed.sender.send_replace(Seen { pod: Some(Arc::new(lean(pod))), gone: true });
                }
            }
        }
    }
}

/// The pod without what nobody here looks at, which is most of it: with a thousand jobs, all that is watched counts.
fn lean(mut pod: Pod) -> Pod {
    pod.metadata.managed_fields = None;
    pod.metadata.annotations = None;
    pod.metadata.owner_references = None;
    if let Some(spec) = &mut pod.spec {
        spec.affinity = None;
        spec.tolerations = None;
        let initial = spec.init_containers.iter_mut().flatten();
        for container in initial.chain(&mut spec.containers) {
            container.env = None;
            container.env_from = None;
            container.command = None;
            container.args = None;
            container.volume_mounts = None;
            container.security_context = None;
            container.lifecycle = None;
        }
    }
    pod
}

impl State {
    fn show(&mut self, name: &str, pod: Pod) {
        let pod = Arc::new(lean(pod));
        self.there.insert(name.to_owned(), Arc::clone(&pod));
        if let Some(followed) = self.followed.get(name) {
            followed.sender.send_replace(Seen { pod: Some(pod), gone: false });
        }
    }

    /// A listing is complete: what was there before it and is not in it is gone.
    fn miss(&mut self) {
        let Some(listed) = self.listed.take() else { return };
        self.there.retain(|name, _| listed.contains(name));
        let listing = self.listing;
        for (_, followed) in self.followed.iter().filter(|(name, _)| !listed.contains(*name)) {
            followed.sender.send_if_modified(|seen| {
                let was_there =
                    seen.pod.is_some() || followed.made_before.is_some_and(|made| made <= listing);
                let is_news = was_there && !seen.gone;
                seen.gone |= was_there;
                is_news
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.into());
        pod
    }

    fn list(board: &Board, names: &[&str]) {
        board.take(Event::Init);
        for name in names {
            board.take(Event::InitApply(pod(name)));
        }
        board.take(Event::InitDone);
    }

    #[test]
    fn a_pod_that_a_new_listing_lacks_is_gone() {
        let board = Board::default();
        let (here, lost) = (board.follow("here"), board.follow("lost"));
        list(&board, &["here", "lost", "foreign"]);
        assert!(!lost.borrow().gone);
        list(&board, &["here"]);
        assert!(lost.borrow().gone && !here.borrow().gone);
    }

    #[test]
    fn a_pod_that_is_about_to_be_made_is_not_gone() {
        let board = Board::default();
        board.take(Event::Init);
        let new = board.follow("new");
        board.is_made("new");
        // It may have been made after this listing was taken.
        board.take(Event::InitDone);
        assert!(!new.borrow().gone);
        list(&board, &[]);
        assert!(new.borrow().gone);
    }

    #[test]
    fn who_comes_late_sees_what_was_listed_before() {
        let board = Board::default();
        let first = board.follow("first");
        list(&board, &["first", "second", "lost"]);
        assert!(board.follow("second").borrow().pod.is_some() && first.borrow().pod.is_some());
        board.take(Event::Delete(pod("second")));
        list(&board, &["first"]);
        assert!(board.follow("lost").borrow().pod.is_none());
        board.unfollow("second");
        assert!(board.follow("second").borrow().pod.is_none());
    }

    #[test]
    fn nobody_is_told_of_pods_that_are_followed_no_more() {
        let board = Board::default();
        let (first, second) = (board.follow("pod"), board.follow("pod"));
        board.unfollow("pod");
        board.take(Event::Apply(pod("pod")));
        assert!(second.borrow().pod.is_some() && first.borrow().pod.is_some());
        board.unfollow("pod");
        assert!(board.state().followed.is_empty());
    }

    #[test]
    fn a_pod_is_over_when_all_of_it_ended_or_it_is_gone() {
        let seen = |phase: &str, gone| {
            let mut pod = pod("pod");
            pod.status.get_or_insert_default().phase = Some(phase.into());
            Seen { pod: Some(Arc::new(pod)), gone }
        };
        assert!(seen("Succeeded", false).is_over() && seen("Failed", false).is_over());
        assert!(!seen("Running", false).is_over() && !Seen::default().is_over());
        assert!(seen("Running", true).is_over());
    }
}
