//! A side channel to an agent, for what is too large for its order and its frames: sources on their way in, artifacts
//! on their way out and in.
//!
//! One stream of bytes each way. A frame is one byte of kind, the length in four bytes, and so many bytes of payload:
//! either a [`ChannelMessage`] or a piece of data. Whoever opens the stream serves it, and the agent asks:
//!
//! | the agent | the server |
//! |---|---|
//! | [`Ready`](ChannelMessage::Ready) | where sources are wanted, for each file [`File`](ChannelMessage::File), data and [`End`](ChannelMessage::End), then [`Sources`](ChannelMessage::Sources) |
//! | [`Upload`](ChannelMessage::Upload) | [`Begin`](ChannelMessage::Begin) |
//! | data, then [`End`](ChannelMessage::End), or [`Failed`](ChannelMessage::Failed) where the artifact cannot be read | [`Done`](ChannelMessage::Done) |
//! | [`Download`](ChannelMessage::Download) | [`Begin`](ChannelMessage::Begin), data, [`End`](ChannelMessage::End) |
//!
//! In the place of each answer there may be [`Failed`](ChannelMessage::Failed), and anywhere between two frames of the
//! server a [`Ping`](ChannelMessage::Ping). One request is under way at a time. A stream that breaks is replaced by
//! another one, which begins anew.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::{ArtifactUpload, Error, ErrorKind, job::Dependency};

/// The most bytes of data in one frame.
pub const LARGEST_DATA: usize = 64 << 10;

/// The most bytes of a message. It holds names and the text of an error.
const LARGEST_MESSAGE: usize = 64 << 10;

/// Letters of an error's text that are sent.
const LONGEST_TEXT: usize = 4000;

const MESSAGE: u8 = b'M';
const DATA: u8 = b'D';

/// The bytes before a payload.
const HEAD: usize = 5;

/// What is said over a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelMessage {
    /// The agent is there.
    Ready {
        /// It has no sources yet.
        wants_sources: bool,
    },
    /// A file of the sources.
    File {
        /// Where it belongs in the repository that jobs fetch from, with `/` between its parts.
        path: String,
    },
    /// All files of the sources were sent.
    Sources {
        /// How many there were. None: the job's own address is one that the agent can reach.
        files: usize,
    },
    /// An artifact is to be stored.
    Upload(ArtifactUpload),
    /// The archive of an earlier job is wanted.
    Download(Dependency),
    /// What was asked for can begin.
    Begin,
    /// The data is complete.
    End,
    /// What was sent is stored.
    Done,
    /// It cannot be.
    Failed(ChannelFault),
    /// Nothing; the stream is alive.
    Ping,
}

/// An error on its way to the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelFault {
    /// Its condition.
    pub kind: ErrorKind,
    /// Its text, which completes "failed to …".
    pub text: String,
    /// Whether the same may work later.
    pub retryable: bool,
}

impl From<&Error> for ChannelFault {
    fn from(error: &Error) -> Self {
        let text = error.chain().chars().take(LONGEST_TEXT).collect();
        Self { kind: error.kind(), text, retryable: error.is_retryable() }
    }
}

impl From<ChannelFault> for Error {
    fn from(fault: ChannelFault) -> Self {
        Self::new(fault.kind, fault.text).retryable(fault.retryable)
    }
}

/// What is read from a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelFrame {
    /// A message.
    Message(ChannelMessage),
    /// A piece of data.
    Data(Bytes),
}

impl ChannelFrame {
    /// The bytes of the frame. More data than [`LARGEST_DATA`] becomes several frames.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        match self {
            Self::Message(message) => {
                put(&mut bytes, MESSAGE, &serde_json::to_vec(message).unwrap_or_default());
            }
            Self::Data(data) => data.chunks(LARGEST_DATA).for_each(|part| put(&mut bytes, DATA, part)),
        }
        bytes.freeze()
    }
}

impl From<ChannelMessage> for ChannelFrame {
    fn from(message: ChannelMessage) -> Self {
        Self::Message(message)
    }
}

fn put(bytes: &mut BytesMut, kind: u8, payload: &[u8]) {
    bytes.reserve(HEAD + payload.len());
    bytes.put_u8(kind);
    // No payload of ours is longer than its bound.
    bytes.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    bytes.put_slice(payload);
}

/// Takes frames out of the pieces of a stream.
#[derive(Debug, Default)]
pub struct ChannelReader {
    held: BytesMut,
}

impl ChannelReader {
    /// Takes a piece of the stream. At most one frame and one piece are held, if [`next_frame`](Self::next_frame) is called until
    /// there is none.
    pub fn push(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
    }

    /// The next frame; `None` where more of the stream is needed.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`]: this is no frame, and nothing that follows can be read.
    pub fn next_frame(&mut self) -> Result<Option<ChannelFrame>, Error> {
        let Some(&[kind, a, b, c, d]) = self.held.first_chunk::<HEAD>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let most = match kind {
            MESSAGE => LARGEST_MESSAGE,
            DATA => LARGEST_DATA,
            _ => return Err(nonsense().with("kind", kind)),
        };
        if length > most {
            return Err(nonsense().with("length", length));
        }
        if self.held.len() < HEAD + length {
            return Ok(None);
        }
        self.held.advance(HEAD);
        let payload = self.held.split_to(length).freeze();
        if kind == DATA {
            return Ok(Some(ChannelFrame::Data(payload)));
        }
        let message = serde_json::from_slice(&payload).map_err(|cause| nonsense().because(cause))?;
        Ok(Some(ChannelFrame::Message(message)))
    }
}

fn nonsense() -> Error {
    Error::new(ErrorKind::Corrupt, "read what comes over the agent's channel")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> Vec<ChannelFrame> {
        let artifact = ArtifactUpload {
            filename: "a.zip".into(),
            kind: "archive".into(),
            format: crate::job::ArtifactFormat::Zip,
            expire_in: Some(std::time::Duration::from_secs(7)),
        };
        let error = Error::new(ErrorKind::Unavailable, "store it").because("the disk sleeps");
        vec![
            ChannelMessage::Ready { wants_sources: true }.into(),
            ChannelMessage::File { path: "HEAD".into() }.into(),
            ChannelFrame::Data(Bytes::from_static(b"ref: x\n")),
            ChannelMessage::Upload(artifact).into(),
            ChannelFrame::Data(Bytes::from(vec![7; LARGEST_DATA])),
            ChannelMessage::Failed(ChannelFault::from(&error)).into(),
        ]
    }

    fn read(reader: &mut ChannelReader, found: &mut Vec<ChannelFrame>) {
        while let Some(frame) = reader.next_frame().unwrap() {
            found.push(frame);
        }
    }

    proptest! {
        #[test]
        fn frames_survive_every_split(cuts in prop::collection::vec(1_usize..20_000, 1..40)) {
            let sent = frames();
            let bytes: Vec<u8> = sent.iter().flat_map(|frame| frame.encode().to_vec()).collect();
            let (mut reader, mut found, mut rest) = (ChannelReader::default(), Vec::new(), bytes.as_slice());
            for cut in cuts.iter().cycle() {
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                reader.push(piece);
                read(&mut reader, &mut found);
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found, sent);
        }

        #[test]
        fn nothing_that_comes_makes_it_panic_or_hold_much(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = ChannelReader::default();
            reader.push(&bytes);
            while let Ok(Some(_)) = reader.next_frame() {}
        }
    }

    #[test]
    fn nonsense_is_refused_before_it_is_held() {
        for bytes in [&b"G\0\0\0\x01x"[..], b"D\xff\xff\xff\xff", b"M\0\x02\0\0", b"M\0\0\0\x02no"] {
            let mut reader = ChannelReader::default();
            reader.push(bytes);
            assert_eq!(reader.next_frame().unwrap_err().kind(), ErrorKind::Corrupt, "{bytes:?}");
        }
    }

    #[test]
    fn more_data_than_fits_becomes_several_frames() {
        let mut reader = ChannelReader::default();
        reader.push(&ChannelFrame::Data(Bytes::from(vec![1; LARGEST_DATA + 1])).encode());
        let mut found = Vec::new();
        read(&mut reader, &mut found);
        assert_eq!(found.len(), 2);
        assert_eq!(ChannelFrame::Data(Bytes::new()).encode(), Bytes::new());
    }

    #[test]
    fn an_error_arrives_with_its_kind_and_text() {
        let error = Error::new(ErrorKind::NotFound, "find it").because("it is gone");
        let arrived = Error::from(ChannelFault::from(&error));
        assert_eq!((arrived.kind(), arrived.chain()), (ErrorKind::NotFound, "find it: it is gone".into()));
        assert!(!arrived.is_retryable());
    }
}
