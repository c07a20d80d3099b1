//! The end of an entry: how many files it holds, and the digest of all that stands before it.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::blocking::Interrupt;

/// Size of a seal in the file: the header of a zstd frame that is skipped, and the fields.
pub(super) const SIZE: u64 = LENGTH as u64;
const LENGTH: usize = 64;
/// The first of the magic numbers of frames that zstd skips.
const SKIPPED: [u8; 4] = 0x184D_2A50_u32.to_le_bytes();
const CONTENT: [u8; 4] = 56_u32.to_le_bytes();
const FORM: [u8; 8] = *b"rcache01";
const BUFFER: usize = 256 * 1024;

/// What a seal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) digest: [u8; 32],
}

impl Seal {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let parts: [&[u8]; 6] =
            [&SKIPPED, &CONTENT, &FORM, &self.files.to_le_bytes(), &self.bytes.to_le_bytes(), &self.digest];
        parts.concat()
    }

    /// Reads the seal at the end of `file`, checks the digest, and leaves the file at its start.
    /// `None`: this is no entry, or not all of it.
    pub(super) fn verify(file: &mut (impl Read + Seek), interrupt: &Interrupt) -> io::Result<Option<Self>> {
        let Some(size) = file.seek(SeekFrom::End(0))?.checked_sub(SIZE) else { return Ok(None) };
        file.seek(SeekFrom::Start(size))?;
        let mut bytes = [0; LENGTH];
        file.read_exact(&mut bytes)?;
        let Some(seal) = Self::parse(&bytes) else { return Ok(None) };
        file.seek(SeekFrom::Start(0))?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER];
        let mut rest = file.by_ref().take(size);
        loop {
            interrupt.check()?;
            let count = rest.read(&mut buffer)?;
            match buffer.get(..count) {
                Some(bytes) if count > 0 => hasher.update(bytes),
                _ => break,
            };
        }
        file.seek(SeekFrom::Start(0))?;
        Ok((*hasher.finalize().as_bytes() == seal.digest).then_some(seal))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let fields = bytes.strip_prefix(&SKIPPED)?.strip_prefix(&CONTENT)?.strip_prefix(&FORM)?;
        let (files, fields) = fields.split_first_chunk()?;
        let (bytes, fields) = fields.split_first_chunk()?;
        Some(Self {
            files: u64::from_le_bytes(*files),
            bytes: u64::from_le_bytes(*bytes),
            digest: fields.try_into().ok()?,
        })
    }
}

/// Counts and digests what is written.
#[derive(Debug)]
pub(super) struct Sealing<W> {
    output: W,
    hasher: blake3::Hasher,
    written: u64,
}

impl<W: Write> Sealing<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, hasher: blake3::Hasher::new(), written: 0 }
    }

    /// Writes the seal. Returns the size of all.
    pub(super) fn finish(mut self, files: u64, bytes: u64) -> io::Result<u64> {
        let digest = *self.hasher.finalize().as_bytes();
        self.output.write_all(&Seal { files, bytes, digest }.to_bytes())?;
        self.output.flush()?;
        Ok(self.written + SIZE)
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write_all(bytes)?;
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
