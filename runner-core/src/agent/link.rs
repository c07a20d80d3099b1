//! A channel over streams: sends and receives its frames.

use std::fmt;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::channel::{ChannelFault, ChannelFrame, ChannelMessage, ChannelReader, LARGEST_DATA};
use crate::{Error, ErrorKind, Result, artifact::ByteStream};

/// One end of a [channel](ChannelMessage), over a stream each way. An error that it tells means that the streams are of
/// no more use: what is under way over them is lost, and another link may carry the same.
pub struct ChannelLink<Source, Sink> {
    source: Source,
    sink: Sink,
    reader: ChannelReader,
    piece: Vec<u8>,
}

impl<Source: AsyncRead + Unpin, Sink: AsyncWrite + Unpin> ChannelLink<Source, Sink> {
    /// A link that reads `source` and writes to `sink`.
    pub fn new(source: Source, sink: Sink) -> Self {
        Self { source, sink, reader: ChannelReader::default(), piece: vec![0; LARGEST_DATA] }
    }

    /// Sends a message.
    ///
    /// # Cancellation
    /// Not cancel safe: half a frame may have been sent.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where the stream is broken.
    pub async fn tell(&mut self, message: ChannelMessage) -> Result<()> {
        self.send(ChannelFrame::Message(message)).await
    }

    async fn send(&mut self, frame: ChannelFrame) -> Result<()> {
        let sent = self.sink.write_all(&frame.encode()).await;
        let sent = match sent {
            Ok(()) => self.sink.flush().await,
            Err(error) => Err(error),
        };
        sent.map_err(|cause| broken().because(cause))
    }

    /// Sends all of `body`, and then that it is complete, or why it is not.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where the stream is broken. A body that cannot be read is no error here.
    pub async fn send_body(&mut self, mut body: ByteStream) -> Result<()> {
        let mut piece = vec![0; LARGEST_DATA];
        loop {
            let length = match body.read(&mut piece).await {
                Ok(0) => return self.tell(ChannelMessage::End).await,
                Ok(length) => length,
                Err(cause) => {
                    let error = Error::new(ErrorKind::Internal, "read what is to be sent").because(cause);
                    return self.tell(ChannelMessage::Failed(ChannelFault::from(&error))).await;
                }
            };
            let data = Bytes::copy_from_slice(piece.get(..length).unwrap_or_default());
            self.send(ChannelFrame::Data(data)).await?;
        }
    }

    /// The next frame that is no [`Ping`](ChannelMessage::Ping). Cancel safe.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where the stream has ended or is broken, [`ErrorKind::Corrupt`] where what comes is no
    /// frame.
    pub async fn receive(&mut self) -> Result<ChannelFrame> {
        loop {
            match self.reader.next_frame()? {
                Some(ChannelFrame::Message(ChannelMessage::Ping)) => {}
                Some(frame) => return Ok(frame),
                None => {
                    let length = match self.source.read(&mut self.piece).await {
                        Ok(0) => return Err(broken()),
                        Ok(length) => length,
                        Err(cause) => return Err(broken().because(cause)),
                    };
                    self.reader.push(self.piece.get(..length).unwrap_or_default());
                }
            }
        }
    }
}

impl<Source, Sink> fmt::Debug for ChannelLink<Source, Sink> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ChannelLink")
    }
}

fn broken() -> Error {
    Error::new(ErrorKind::Unavailable, "reach the other side of the agent's channel")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> (impl Link, impl Link) {
        let (one, other) = tokio::io::duplex(100);
        let ((a, b), (c, d)) = (tokio::io::split(one), tokio::io::split(other));
        (ChannelLink::new(a, b), ChannelLink::new(c, d))
    }

    /// What the tests need of a link, whatever it is made of.
    trait Link {
        async fn body(&mut self, body: &[u8]) -> Result<()>;
        async fn say(&mut self, message: ChannelMessage) -> Result<()>;
        async fn hear(&mut self) -> Result<ChannelFrame>;
    }

    impl<A: AsyncRead + Unpin, B: AsyncWrite + Unpin> Link for ChannelLink<A, B> {
        async fn body(&mut self, body: &[u8]) -> Result<()> {
            self.send_body(Box::new(std::io::Cursor::new(body.to_vec()))).await
        }

        async fn say(&mut self, message: ChannelMessage) -> Result<()> {
            self.tell(message).await
        }

        async fn hear(&mut self) -> Result<ChannelFrame> {
            self.receive().await
        }
    }

    #[tokio::test]
    async fn a_body_arrives_whole_and_pings_are_not_seen() {
        let (mut here, mut there) = links();
        let sending = async {
            here.say(ChannelMessage::Ping).await.unwrap();
            here.body(&vec![7; 200_000]).await.unwrap();
        };
        let receiving = async {
            let mut length = 0;
            while let ChannelFrame::Data(data) = there.hear().await.unwrap() {
                length += data.len();
            }
            length
        };
        assert_eq!(tokio::join!(sending, receiving).1, 200_000);
    }

    #[tokio::test]
    async fn a_stream_that_ends_is_an_error_that_passes() {
        let (here, mut there) = links();
        drop(here);
        let error = there.hear().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.is_retryable());
    }
}
