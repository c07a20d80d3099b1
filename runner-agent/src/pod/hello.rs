//! What the build container says first.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A longer hello is none. Environments of images are a few kilobytes.
const LONGEST: u32 = 1 << 20;

/// Who the build container is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The version of the agent: another one is refused and not misunderstood.
    pub(super) version: String,
    /// What was read from the volume of the agent.
    pub(super) nonce: String,
    /// The user that scripts run as.
    pub(super) user: u32,
    /// Its group.
    pub(super) group: u32,
    /// The environment of the image.
    pub(super) environment: Vec<(String, String)>,
}

impl Hello {
    /// Sends it.
    pub(super) async fn send(&self, sink: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        sink.write_u32_le(u32::try_from(text.len()).map_err(io::Error::other)?).await?;
        sink.write_all(&text).await?;
        sink.flush().await
    }

    /// Receives one, and not a byte of what follows it.
    pub(super) async fn receive(source: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let length = source.read_u32_le().await?;
        if length > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a hello of an impossible length"));
        }
        let mut text = vec![0; length as usize];
        source.read_exact(&mut text).await?;
        Ok(serde_json::from_slice(&text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_follows_a_hello_is_left() {
        let hello = Hello {
            version: "1".into(),
            nonce: "n".into(),
            user: 1000,
            group: 0,
            environment: vec![("PATH".into(), "/bin".into())],
        };
        let mut stream = Vec::new();
        hello.send(&mut stream).await.unwrap();
        stream.extend_from_slice(b"rest");
        let mut source = stream.as_slice();
        assert_eq!(Hello::receive(&mut source).await.unwrap(), hello);
        assert_eq!(source, b"rest");
        let nonsense = [255; 16];
        assert!(Hello::receive(&mut nonsense.as_slice()).await.is_err());
    }
}
