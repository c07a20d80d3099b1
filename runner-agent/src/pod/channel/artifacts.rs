//! Artifacts at the other end of the channel.

use std::{fmt, io, sync::Arc};

use async_trait::async_trait;
use futures_util::stream;
use runner_core::{
    ArtifactStore, ArtifactUpload, Error, Result,
    agent::{ChannelFrame, ChannelMessage},
    artifact::ByteStream,
    job::Dependency,
};
use tokio_util::io::StreamReader;

use super::{Exchange, Lines, unexpected};

/// Stores artifacts with whoever serves the channel.
pub(in crate::pod) struct ChannelArtifacts(Arc<Lines>);

impl ChannelArtifacts {
    pub(super) fn new(lines: Arc<Lines>) -> Self {
        Self(lines)
    }
}

impl fmt::Debug for ChannelArtifacts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ChannelArtifacts")
    }
}

#[async_trait]
impl ArtifactStore for ChannelArtifacts {
    async fn upload(&self, artifact: &ArtifactUpload, body: ByteStream) -> Result<()> {
        let mut exchange = self.0.ask(&ChannelMessage::Upload(artifact.clone())).await?;
        exchange.send_body(body).await?;
        let stored = match exchange.receive().await? {
            ChannelFrame::Message(ChannelMessage::Done) => Ok(()),
            ChannelFrame::Message(ChannelMessage::Failed(fault)) => Err(fault.into()),
            _ => return Err(unexpected()),
        };
        exchange.end();
        stored
    }

    async fn download(&self, dependency: &Dependency) -> Result<ByteStream> {
        let exchange = self.0.ask(&ChannelMessage::Download(dependency.clone())).await?;
        let pieces =
            stream::try_unfold(exchange, |exchange| async { next(exchange).await.map_err(io::Error::other) });
        Ok(Box::new(StreamReader::new(Box::pin(pieces))))
    }
}

async fn next(mut exchange: Exchange) -> Result<Option<(bytes::Bytes, Exchange)>, Error> {
    match exchange.receive().await? {
        ChannelFrame::Data(data) => Ok(Some((data, exchange))),
        ChannelFrame::Message(ChannelMessage::End) => {
            exchange.end();
            Ok(None)
        }
        ChannelFrame::Message(ChannelMessage::Failed(fault)) => {
            exchange.end();
            Err(fault.into())
        }
        ChannelFrame::Message(_) => Err(unexpected()),
    }
}
