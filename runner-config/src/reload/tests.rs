use std::{os::unix::fs::symlink, path::Path};

use tokio::sync::mpsc;

use super::*;
use crate::Surroundings;

const TEXT: &str = "concurrent = 1\n[[runners]]\nname = \"a\"\nurl = \"https://g\"\nexecutor = \"shell\"\n";

/// A folder with a config and a Secret, as Kubernetes mounts it, and a watch of them.
struct Trial {
    folder: tempfile::TempDir,
    config: watch::Receiver<Arc<Config>>,
    events: mpsc::UnboundedReceiver<ReloadEvent>,
    asked: Arc<Notify>,
    stop: CancellationToken,
    tasks: tokio::task::JoinSet<()>,
}

impl Trial {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("config.toml"), TEXT).unwrap();
        fs_err::create_dir(folder.path().join("secrets")).unwrap();
        mount(folder.path(), "first", "glrt-1");
        symlink("..data/runner-token", folder.path().join("secrets/runner-token")).unwrap();
        let path = folder.path().join("config.toml");
        let file = ConfigFile::new(path, Surroundings::default(), folder.path().join("secrets"));
        let (reload, config) = Reload::start(file).unwrap();
        let (sender, events) = mpsc::unbounded_channel();
        let (asked, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let mut tasks = tokio::task::JoinSet::new();
        let (its_asked, its_stop) = (Arc::clone(&asked), stop.clone());
        tasks.spawn(async move {
            let send = move |event| sender.send(event).unwrap();
            reload.run(&its_asked, &its_stop, send).await;
        });
        Self { folder, config, events, asked, stop, tasks }
    }

    fn write(&self, text: &str) {
        fs_err::write(self.folder.path().join("config.toml"), text).unwrap();
    }

    async fn event(&mut self) -> ReloadEvent {
        self.events.recv().await.unwrap()
    }

    fn token(&self) -> String {
        self.config.borrow().runners[0].token.expose().to_owned()
    }

    async fn end(mut self) {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap();
        assert_eq!(self.events.recv().await, None);
    }
}

/// A new version of a Secret: a folder, and a symlink to it that is replaced as a whole.
fn mount(folder: &Path, version: &str, token: &str) {
    let secrets = folder.join("secrets");
    fs_err::create_dir(secrets.join(version)).unwrap();
    fs_err::write(secrets.join(version).join("runner-token"), token).unwrap();
    symlink(version, secrets.join("new")).unwrap();
    fs_err::rename(secrets.join("new"), secrets.join("..data")).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_taken_over_within_the_interval() {
    let mut trial = Trial::new();
    let before = tokio::time::Instant::now();
    trial.write(&TEXT.replace("concurrent = 1", "concurrent = 5"));
    let ReloadEvent::Applied(diff) = trial.event().await else { panic!("it was not applied") };
    assert!(before.elapsed() <= INTERVAL);
    assert_eq!(diff.concurrent, Some((1, 5)));
    assert!(trial.config.has_changed().unwrap());
    assert_eq!(trial.config.borrow().concurrent, 5);
    trial.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_rotated_in_a_mounted_secret_is_taken_over() {
    let mut trial = Trial::new();
    assert_eq!(trial.token(), "glrt-1");
    mount(trial.folder.path(), "second", "glrt-2");
    let ReloadEvent::Applied(diff) = trial.event().await else { panic!("it was not applied") };
    assert_eq!(trial.token(), "glrt-2");
    assert!(diff.changed[0].is_token_rotated && !diff.changed[0].is_otherwise_changed);
    trial.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_is_told_once_and_the_config_before_it_stays() {
    let mut trial = Trial::new();
    trial.write(&TEXT.replace("concurrent", "concurrant"));
    let ReloadEvent::Refused(LoadError::Wrong(mistakes)) = trial.event().await else {
        panic!("it was applied")
    };
    assert_eq!(mistakes.found[0].help.as_deref(), Some("did you mean `concurrent`?"));
    tokio::time::sleep(INTERVAL * 10).await;
    assert!(trial.events.try_recv().is_err(), "it was told again");
    assert!(!trial.config.has_changed().unwrap());
    trial.write(&TEXT.replace("shell", "docker"));
    assert!(matches!(trial.event().await, ReloadEvent::Refused(LoadError::Refused(_))));
    fs_err::remove_file(trial.folder.path().join("config.toml")).unwrap();
    assert!(matches!(trial.event().await, ReloadEvent::Refused(LoadError::Unreadable(_))));
    assert!(!trial.config.has_changed().unwrap());
    trial.write(&TEXT.replace("concurrent = 1", "concurrent = 2"));
    assert!(matches!(trial.event().await, ReloadEvent::Applied(_)));
    trial.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_is_answered_at_once_even_if_nothing_changed() {
    let mut trial = Trial::new();
    tokio::time::sleep(INTERVAL / 2).await;
    let before = tokio::time::Instant::now();
    trial.asked.notify_one();
    assert_eq!(trial.event().await, ReloadEvent::Unchanged);
    assert_eq!(before.elapsed(), Duration::ZERO);
    trial.write(&format!("# A remark.\n{TEXT}"));
    tokio::time::sleep(INTERVAL * 2).await;
    assert!(trial.events.try_recv().is_err(), "a remark is no change");
    trial.end().await;
}
