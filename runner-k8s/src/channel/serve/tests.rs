use std::sync::Arc;

use async_trait::async_trait;
use runner_core::{EventSink, JobSpec, job::ArtifactFormat};
use runner_testkit::MemoryArtifacts;
use tokio::io::{DuplexStream, ReadHalf, WriteHalf};

use super::*;
use crate::channel::SourceShipper;

type Link = ChannelLink<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>;

#[derive(Debug)]
struct Files(Vec<(&'static str, &'static [u8])>);

#[async_trait]
impl SourceShipper for Files {
    async fn sources(&self, _: &JobSpec) -> Result<Vec<ShippedFile>> {
        if self.0.is_empty() {
            return Err(Error::new(ErrorKind::Exhausted, "pack it"));
        }
        let file = |(path, content): &(&str, &'static [u8])| ShippedFile {
            path: (*path).to_owned(),
            content: Box::new(*content),
        };
        Ok(self.0.iter().map(file).collect())
    }
}

fn artifact() -> ArtifactUpload {
    let format = ArtifactFormat::Zip;
    ArtifactUpload { filename: "a.zip".into(), kind: "archive".into(), format, expire_in: None }
}

/// The agent's end, and the serving of the other one.
fn trial(files: Files) -> (Link, Arc<MemoryArtifacts>, impl Future<Output = Error>) {
    let (agent, far_end) = tokio::io::duplex(1000);
    let (source, sink) = tokio::io::split(agent);
    let artifacts = MemoryArtifacts::new();
    artifacts.put("build", vec![7; 100_000]);
    let served = Served {
        job: Arc::new(JobSpec::new("1", "job")),
        artifacts: Arc::clone(&artifacts) as _,
        shipper: Arc::new(files),
        events: EventSink::default(),
    };
    let serving = async move {
        let (source, sink) = tokio::io::split(far_end);
        match serve(&mut ChannelLink::new(source, sink), &served).await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    };
    (ChannelLink::new(source, sink), artifacts, serving)
}

async fn hear(link: &mut Link) -> ChannelMessage {
    match link.receive().await.unwrap() {
        ChannelFrame::Message(message) => message,
        ChannelFrame::Data(data) => panic!("{data:?}"),
    }
}

#[tokio::test]
async fn sources_are_sent_file_by_file_and_only_where_they_are_wanted() {
    let (mut link, _, serving) = trial(Files(vec![("HEAD", b"ref: x\n"), ("packed-refs", b"")]));
    let agent = async move {
        link.tell(ChannelMessage::Ready { wants_sources: false }).await.unwrap();
        link.tell(ChannelMessage::Ready { wants_sources: true }).await.unwrap();
        assert_eq!(hear(&mut link).await, ChannelMessage::File { path: "HEAD".into() });
        assert_eq!(link.receive().await.unwrap(), ChannelFrame::Data(b"ref: x\n"[..].into()));
        assert_eq!(hear(&mut link).await, ChannelMessage::End);
        assert_eq!(hear(&mut link).await, ChannelMessage::File { path: "packed-refs".into() });
        assert_eq!(hear(&mut link).await, ChannelMessage::End);
        assert_eq!(hear(&mut link).await, ChannelMessage::Sources { files: 2 });
    };
    let (error, ()) = tokio::join!(serving, agent);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn sources_that_cannot_be_made_are_told() {
    let (mut link, _, serving) = trial(Files(Vec::new()));
    let agent = async move {
        link.tell(ChannelMessage::Ready { wants_sources: true }).await.unwrap();
        assert!(matches!(hear(&mut link).await, ChannelMessage::Failed(_)));
    };
    tokio::join!(serving, agent);
}

#[tokio::test]
async fn artifacts_of_many_frames_are_taken_and_given() {
    let (mut link, artifacts, serving) = trial(Files(Vec::new()));
    let agent = async move {
        link.tell(ChannelMessage::Upload(artifact())).await.unwrap();
        assert_eq!(hear(&mut link).await, ChannelMessage::Begin);
        link.send_body(Box::new(io::Cursor::new(vec![7; 200_000]))).await.unwrap();
        assert_eq!(hear(&mut link).await, ChannelMessage::Done);
        let from = |name: &str| Dependency { name: name.into(), ..Dependency::default() };
        link.tell(ChannelMessage::Download(from("gone"))).await.unwrap();
        let ChannelMessage::Failed(fault) = hear(&mut link).await else { panic!("it is found") };
        assert_eq!(fault.kind, ErrorKind::NotFound);
        link.tell(ChannelMessage::Download(from("build"))).await.unwrap();
        assert_eq!(hear(&mut link).await, ChannelMessage::Begin);
        let mut length = 0;
        while let ChannelFrame::Data(data) = link.receive().await.unwrap() {
            length += data.len();
        }
        assert_eq!(length, 100_000);
    };
    tokio::join!(serving, agent);
    assert_eq!(artifacts.uploads().first().map(|(_, body)| body.len()), Some(200_000));
}

#[tokio::test]
async fn an_artifact_that_did_not_come_whole_is_not_stored() {
    let (mut link, artifacts, serving) = trial(Files(Vec::new()));
    let agent = async move {
        link.tell(ChannelMessage::Upload(artifact())).await.unwrap();
        assert_eq!(hear(&mut link).await, ChannelMessage::Begin);
        let fault = ChannelFault { kind: ErrorKind::Internal, text: "read a file".into(), retryable: false };
        link.tell(ChannelMessage::Failed(fault)).await.unwrap();
        assert!(matches!(hear(&mut link).await, ChannelMessage::Failed(_)));
        link.tell(ChannelMessage::Upload(artifact())).await.unwrap();
        assert_eq!(hear(&mut link).await, ChannelMessage::Begin);
        // The link breaks here.
    };
    tokio::join!(serving, agent);
    assert_eq!(artifacts.uploads().len(), 0);
}
