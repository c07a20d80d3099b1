//! Frames: what an agent writes to a stream of lines that can be read again from any line on.
//!
//! One frame is one line: `KIND NUMBER TIME OFFSET CHECKSUM PAYLOAD`. What is in a payload cannot begin a line, so
//! nothing that a job prints can be taken for a frame. The checksum covers the rest of the line.

use bytes::Bytes;

use super::record::{AgentEvent, EndRecord};

/// Bytes of the log in one frame, so that a line stays below the 16 KiB at which container runtimes cut lines.
const LARGEST_PART: usize = 12 << 10;

/// A line longer than this is none of ours.
const LONGEST_LINE: usize = 64 << 10;

/// In payloads this byte begins a pair, and stands for a line end or for itself. It is rare in logs.
const ESCAPE: u8 = 0x1a;

/// What one frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its number, from 0.
    pub number: u64,
    /// When it was written, in seconds since 1970, by the clock of the machine that wrote it.
    pub time: u64,
    /// What it says.
    pub body: FrameBody,
}

/// What one frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameBody {
    /// A part of the job's log.
    Log {
        /// The number of its first byte.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Something happened.
    Event(AgentEvent),
    /// The job ended. Nothing comes after it.
    End(Box<EndRecord>),
}

/// What stands before a payload.
#[derive(Clone, Copy)]
struct Head {
    kind: char,
    offset: u64,
    time: u64,
}

/// Makes frames, and numbers them.
#[derive(Debug, Default)]
pub struct FrameWriter {
    next: u64,
}

impl FrameWriter {
    /// A part of the log as as many frames as it needs.
    pub fn log(&mut self, offset: u64, bytes: &[u8], time: u64) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len() + bytes.len() / 16 + 64);
        let mut start = offset;
        for part in bytes.chunks(LARGEST_PART) {
            self.write(&mut text, Head { kind: 'L', offset: start, time }, part);
            start += part.len() as u64;
        }
        text
    }

    /// An event.
    pub fn event(&mut self, event: &AgentEvent, time: u64) -> Vec<u8> {
        let mut text = Vec::new();
        let payload = serde_json::to_vec(event).unwrap_or_default();
        self.write(&mut text, Head { kind: 'V', offset: 0, time }, &payload);
        text
    }

    /// The end.
    pub fn end(&mut self, record: &EndRecord, time: u64) -> Vec<u8> {
        let mut text = Vec::new();
        let head = Head { kind: 'E', offset: record.end.log.unwrap_or_default().size, time };
        self.write(&mut text, head, record.to_text(LARGEST_PART).as_bytes());
        text
    }

    fn write(&mut self, text: &mut Vec<u8>, head: Head, payload: &[u8]) {
        let Head { kind, offset, time } = head;
        let head = format!("{kind} {} {time} {offset}", self.next);
        let escaped = escape(payload);
        let checksum = checksum(head.as_bytes(), &escaped);
        text.extend_from_slice(format!("{head} {checksum:08x} ").as_bytes());
        text.extend_from_slice(&escaped);
        text.push(b'\n');
        self.next += 1;
    }
}

fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

fn escape(payload: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(payload.len() + 8);
    for byte in payload {
        match byte {
            b'\n' => escaped.extend_from_slice(&[ESCAPE, b'n']),
            &ESCAPE => escaped.extend_from_slice(&[ESCAPE, b'z']),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

fn unescape(payload: &[u8]) -> Option<Bytes> {
    let mut plain = Vec::with_capacity(payload.len());
    let mut bytes = payload.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match *byte {
            ESCAPE => match bytes.next()? {
                b'n' => b'\n',
                b'z' => ESCAPE,
                _ => return None,
            },
            byte => byte,
        });
    }
    Some(plain.into())
}

/// What a [`FrameReader`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// The next frame.
    Frame(Frame),
    /// Something is missing or damaged before the next frame.
    Damage(Damage),
}

/// What is wrong with a stream of frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// So many frames before the next one are missing.
    Missing(u64),
    /// A line that is no frame, cut to its beginning.
    Stray(String),
}

/// Reads frames from pieces of a stream, also of one that is read again from an earlier line on.
#[derive(Debug, Default)]
pub struct FrameReader {
    line: Vec<u8>,
    overlong: bool,
    next: u64,
}

impl FrameReader {
    /// Forgets the line that was begun, since the stream is read again; what was read whole is known.
    pub fn restart(&mut self) {
        self.line.clear();
        self.overlong = false;
    }

    /// Takes a piece of the stream, and gives what is new in it.
    pub fn push(&mut self, piece: &[u8], found: &mut Vec<Read>) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_whole) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            if self.line.len() + text.len() > LONGEST_LINE {
                self.overlong = true;
            } else {
                self.line.extend_from_slice(text);
            }
            if is_whole {
                self.end_line(found);
            }
        }
    }

    fn end_line(&mut self, found: &mut Vec<Read>) {
        let line = std::mem::take(&mut self.line);
        let overlong = std::mem::take(&mut self.overlong);
        match parse(&line).filter(|_| !overlong) {
            Some(frame) if frame.number < self.next => {}
            Some(frame) => {
                if frame.number > self.next {
                    found.push(Read::Damage(Damage::Missing(frame.number - self.next)));
                }
                self.next = frame.number + 1;
                found.push(Read::Frame(frame));
            }
            None if line.is_empty() && !overlong => {}
            None => {
                let text: String = String::from_utf8_lossy(&line).chars().take(200).collect();
                found.push(Read::Damage(Damage::Stray(text)));
            }
        }
        // The room of an ordinary line is kept for the next one.
        self.line = line;
        self.line.clear();
    }
}

fn parse(line: &[u8]) -> Option<Frame> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut next = || fields.next();
    let (kind, number, time, offset) = (next()?, next()?, next()?, next()?);
    let (sum, payload) = (next()?, next()?);
    let text = |field| std::str::from_utf8(field).ok();
    let head_length = kind.len() + number.len() + time.len() + offset.len() + 3;
    let stated = u32::from_str_radix(text(sum)?, 16).ok()?;
    if checksum(line.get(..head_length)?, payload) != stated {
        return None;
    }
    let offset = text(offset)?.parse().ok()?;
    let payload = unescape(payload)?;
    let body = match kind {
        b"L" => FrameBody::Log { offset, bytes: payload },
        b"V" => FrameBody::Event(serde_json::from_slice(&payload).ok()?),
        b"E" => FrameBody::End(serde_json::from_slice(&payload).ok()?),
        _ => return None,
    };
    Some(Frame { number: text(number)?.parse().ok()?, time: text(time)?.parse().ok()?, body })
}

#[cfg(test)]
mod tests;
