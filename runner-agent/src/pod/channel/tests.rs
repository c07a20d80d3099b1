use runner_core::{ArtifactStore, ArtifactUpload, job::Dependency};
use tokio::io::AsyncReadExt;

use super::*;

/// A channel, and how to connect to it.
struct Trial {
    folder: tempfile::TempDir,
    channel: Channel,
}

impl Trial {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let channel =
            Channel::listen(&folder.path().join("socket"), folder.path().join("sources.git")).unwrap();
        Self { folder, channel }
    }

    /// Connects, and checks whether the sources are wanted.
    async fn connect(&self, wants: bool) -> Link {
        let stream = UnixStream::connect(self.folder.path().join("socket")).await.unwrap();
        let (source, sink) = stream.into_split();
        let mut link = ChannelLink::new(source, sink);
        assert_eq!(hear(&mut link).await, ChannelMessage::Ready { wants_sources: wants });
        link
    }

    /// Connects to a channel for a job without sources.
    async fn connect_ready(&self) -> Link {
        let mut link = self.connect(true).await;
        link.tell(ChannelMessage::Sources { files: 0 }).await.unwrap();
        assert_eq!(self.channel.sources(Duration::from_secs(9)).await.unwrap(), None);
        link
    }
}

async fn hear(link: &mut Link) -> ChannelMessage {
    match link.receive().await.unwrap() {
        ChannelFrame::Message(message) => message,
        ChannelFrame::Data(_) => panic!("data"),
    }
}

async fn send_file(link: &mut Link, path: &str, content: &'static [u8]) {
    link.tell(ChannelMessage::File { path: path.into() }).await.unwrap();
    link.send_body(Box::new(content)).await.unwrap();
}

fn artifact() -> ArtifactUpload {
    ArtifactUpload {
        filename: "a.zip".into(),
        kind: "archive".into(),
        format: runner_core::job::ArtifactFormat::Zip,
        expire_in: None,
    }
}

fn body(content: &'static [u8]) -> runner_core::artifact::ByteStream {
    Box::new(content)
}

#[tokio::test]
async fn sources_are_there_when_they_are_complete_and_are_not_asked_for_again() {
    let trial = Trial::new();
    let mut link = trial.connect(true).await;
    send_file(&mut link, "HEAD", b"half").await;
    drop(link);
    let mut link = trial.connect(true).await;
    send_file(&mut link, "HEAD", b"ref: x\n").await;
    send_file(&mut link, "objects/pack/a.pack", b"").await;
    link.tell(ChannelMessage::Sources { files: 2 }).await.unwrap();
    let place = trial.channel.sources(Duration::from_secs(9)).await.unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(place.join("HEAD")).unwrap(), "ref: x\n");
    assert!(place.join("objects/pack/a.pack").is_file() && place.join("refs").is_dir());
    trial.connect(false).await;
}

#[tokio::test]
async fn a_file_outside_of_the_repository_is_refused() {
    for path in ["../evil", "/tmp/evil", "", "a/../../evil"] {
        let trial = Trial::new();
        let mut link = trial.connect(true).await;
        send_file(&mut link, path, b"x").await;
        link.tell(ChannelMessage::Sources { files: 1 }).await.unwrap();
        trial.channel.sources(Duration::from_secs(9)).await.unwrap_err();
        assert!(!trial.folder.path().join("evil").exists());
    }
}

#[tokio::test]
async fn what_the_other_side_says_of_the_sources_is_the_error() {
    let trial = Trial::new();
    let mut link = trial.connect(true).await;
    let error = Error::new(ErrorKind::Exhausted, "pack the sources");
    link.tell(ChannelMessage::Failed(ChannelFault::from(&error))).await.unwrap();
    let told = trial.channel.sources(Duration::from_secs(9)).await.unwrap_err();
    assert_eq!((told.kind(), told.chain()), (ErrorKind::Exhausted, "pack the sources".into()));
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_nobody_connects_to_is_given_up() {
    let trial = Trial::new();
    let error = trial.channel.sources(Duration::from_mins(3)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn artifacts_go_out_and_come_in() {
    let trial = Trial::new();
    let mut link = trial.connect_ready().await;
    let store = trial.channel.artifacts();
    let server = async {
        assert_eq!(hear(&mut link).await, ChannelMessage::Upload(artifact()));
        link.tell(ChannelMessage::Begin).await.unwrap();
        assert_eq!(link.receive().await.unwrap(), ChannelFrame::Data(b"zip"[..].into()));
        assert_eq!(hear(&mut link).await, ChannelMessage::End);
        link.tell(ChannelMessage::Done).await.unwrap();
        assert_eq!(hear(&mut link).await, ChannelMessage::Download(Dependency::default()));
        link.tell(ChannelMessage::Begin).await.unwrap();
        link.send_body(body(b"other zip")).await.unwrap();
    };
    let client = async {
        store.upload(&artifact(), body(b"zip")).await.unwrap();
        let mut text = String::new();
        let mut stream = store.download(&Dependency::default()).await.unwrap();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    assert_eq!(tokio::join!(server, client).1, "other zip");
}

#[tokio::test]
async fn a_connection_that_broke_while_nobody_used_it_costs_nothing() {
    let trial = Trial::new();
    drop(trial.connect_ready().await);
    let store = trial.channel.artifacts();
    let server = async {
        let mut link = trial.connect(false).await;
        assert_eq!(hear(&mut link).await, ChannelMessage::Download(Dependency::default()));
        link.tell(ChannelMessage::Begin).await.unwrap();
        link.send_body(body(b"zip")).await.unwrap();
        link
    };
    let dependency = Dependency::default();
    let (_link, stream) = tokio::join!(server, store.download(&dependency));
    let mut text = String::new();
    stream.unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "zip");
}

#[tokio::test]
async fn a_request_under_way_fails_so_that_it_is_tried_again() {
    let trial = Trial::new();
    let mut link = trial.connect_ready().await;
    let store = trial.channel.artifacts();
    let server = async {
        hear(&mut link).await;
        link.tell(ChannelMessage::Begin).await.unwrap();
        link.receive().await.unwrap();
        // Whoever connects again has given up the first connection.
        trial.connect(false).await
    };
    let artifact = artifact();
    let (_other, sent) = tokio::join!(server, store.upload(&artifact, body(b"zip")));
    let error = sent.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn an_artifact_that_is_refused_leaves_the_connection_usable() {
    let trial = Trial::new();
    let mut link = trial.connect_ready().await;
    let store = trial.channel.artifacts();
    let refused = Error::new(ErrorKind::Exhausted, "store it");
    let server = async {
        for _ in 0..2 {
            hear(&mut link).await;
            link.tell(ChannelMessage::Failed(ChannelFault::from(&refused))).await.unwrap();
        }
    };
    let client = async {
        for _ in 0..2 {
            let error = store.upload(&artifact(), body(b"zip")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Exhausted);
        }
    };
    tokio::join!(server, client);
}
