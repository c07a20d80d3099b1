//! Frames on a stream of bytes: a length, a kind, and either a message in JSON or output of a process as it is.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// More than any message can need: the kernel takes at most 6 MiB of arguments and environment.
const LARGEST: usize = 64 << 20;

/// How much room is made for each read.
const READ: usize = 256 << 10;

/// Payloads up to this size are copied out of the read buffer, so that a few unread bytes do not keep all of it.
const SMALL: usize = READ / 8;

const MESSAGE: u8 = 0;
const OUTPUT: u8 = 1;

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// A message, as JSON.
    Message(Vec<u8>),
    /// Output of the process of this number.
    Output(u32, Bytes),
}

/// Reads frames.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    source: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: BytesMut::new() }
    }

    /// The next frame, or `None` where the stream ended after a whole one. Cancel safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = parse(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(READ);
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                let whole = self.buffer.is_empty();
                return if whole { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }
}

/// Takes a frame off `buffer`, if a whole one is there.
fn parse(buffer: &mut BytesMut) -> io::Result<Option<Frame>> {
    let Some((length, _)) = buffer.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length == 0 || length > LARGEST {
        return Err(invalid("a frame of an impossible length"));
    }
    if buffer.len() < 4 + length {
        buffer.reserve(4 + length - buffer.len());
        return Ok(None);
    }
    buffer.advance(4);
    let mut body = buffer.split_to(length);
    match body.get_u8() {
        MESSAGE => Ok(Some(Frame::Message(body.to_vec()))),
        OUTPUT if body.len() >= 4 => {
            let process = body.get_u32_le();
            let bytes = if body.len() <= SMALL { Bytes::copy_from_slice(&body) } else { body.freeze() };
            Ok(Some(Frame::Output(process, bytes)))
        }
        _ => Err(invalid("a frame of an unknown kind")),
    }
}

/// Writes one frame. Not cancel safe: half a frame may be written.
pub(super) async fn write<W: AsyncWrite + Unpin>(sink: &mut W, frame: Frame) -> io::Result<()> {
    let mut head = BytesMut::with_capacity(9);
    let body = match frame {
        Frame::Message(message) => {
            head.put_u32_le(length(1 + message.len())?);
            head.put_u8(MESSAGE);
            Bytes::from(message)
        }
        Frame::Output(process, bytes) => {
            head.put_u32_le(length(5 + bytes.len())?);
            head.put_u8(OUTPUT);
            head.put_u32_le(process);
            bytes
        }
    };
    sink.write_all_buf(&mut head.chain(body)).await
}

fn length(length: usize) -> io::Result<u32> {
    if length > LARGEST {
        return Err(invalid("a frame that is too long"));
    }
    u32::try_from(length).map_err(io::Error::other)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn written(frames: &[Frame]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in frames {
            write(&mut bytes, frame.clone()).await.unwrap();
        }
        bytes
    }

    fn samples() -> Vec<Frame> {
        vec![
            Frame::Message(b"{}".to_vec()),
            Frame::Output(7, Bytes::from_static(b"hello\n")),
            Frame::Output(u32::MAX, Bytes::from(vec![b'x'; 300_000])),
            Frame::Message(Vec::new()),
        ]
    }

    #[tokio::test]
    async fn frames_survive_any_split_of_the_stream() {
        let bytes = written(&samples()).await;
        for piece in [1, 2, 3, 5, 4096, bytes.len()] {
            let mut buffer = BytesMut::new();
            let mut frames = Vec::new();
            for part in bytes.chunks(piece) {
                buffer.extend_from_slice(part);
                while let Some(frame) = parse(&mut buffer).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, samples(), "pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn a_stream_that_ends_within_a_frame_is_an_error() {
        let bytes = written(&samples()).await;
        let mut reader = FrameReader::new(bytes.strip_suffix(b"\0").unwrap());
        for sample in samples().into_iter().take(3) {
            assert_eq!(reader.next().await.unwrap(), Some(sample));
        }
        assert_eq!(reader.next().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        for nonsense in [&b"\0\0\0\0"[..], b"\xff\xff\xff\xff\x00", b"\x01\0\0\0\x09", b"\x02\0\0\0\x01x"] {
            let mut reader = FrameReader::new(nonsense);
            assert_eq!(reader.next().await.unwrap_err().kind(), io::ErrorKind::InvalidData, "{nonsense:?}");
        }
    }
}
