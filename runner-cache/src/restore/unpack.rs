//! From frames to files.

use std::{io, os::unix::fs::FileExt, sync::atomic::Ordering};

use runner_core::Result;
use zstd::bulk::Decompressor;

use super::{
    OPERATION, damaged,
    fetch::Arrived,
    plan::{Piece, Plan},
    stage::{Stage, complete},
};
use crate::{blocking::Interrupt, io_error};

/// Unpacks frames on one thread.
pub(super) struct Unpacker<'a> {
    plan: &'a Plan,
    stage: &'a Stage,
    interrupt: &'a Interrupt,
    decompressor: Decompressor<'static>,
    content: Vec<u8>,
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(plan: &'a Plan, stage: &'a Stage, interrupt: &'a Interrupt) -> Result<Self> {
        let decompressor = Decompressor::new().map_err(|cause| io_error(OPERATION, cause))?;
        Ok(Self { plan, stage, interrupt, decompressor, content: Vec::new() })
    }

    /// Checks a frame, unpacks it, and writes its content into files.
    pub(super) fn take(&mut self, arrived: &Arrived) -> Result<()> {
        let frame = self.plan.index.frames.get(arrived.number as usize);
        let frame = frame.ok_or_else(|| damaged("a part of it is of no use"))?;
        if *blake3::hash(&arrived.bytes).as_bytes() != frame.digest {
            return Err(damaged("a part of it is damaged"));
        }
        let size = frame.size as usize;
        self.content.clear();
        self.content.reserve_exact(size);
        let unpacked = self.decompressor.decompress_to_buffer(&arrived.bytes, &mut self.content);
        if unpacked.ok() != Some(size) {
            return Err(damaged("a part of it is not what its index says"));
        }
        let pieces = self.plan.pieces(arrived.number);
        for of_file in pieces.chunk_by(|one, other| one.file == other.file) {
            self.write(of_file).map_err(|cause| io_error(OPERATION, cause))?;
        }
        Ok(())
    }

    /// Writes pieces of one file.
    fn write(&self, pieces: &[Piece]) -> io::Result<()> {
        self.interrupt.check()?;
        let number = pieces.first().map_or(0, |piece| piece.file);
        let Some(planned) = self.plan.files.get(number as usize) else { return Ok(()) };
        let (path, count) = (self.plan.path(number), pieces.len() as u32);
        let file = if count == planned.pieces { self.stage.create(path)? } else { self.stage.open(path)? };
        for Piece { from, length, to, .. } in pieces {
            let end = *from as usize + *length as usize;
            let content = self.content.get(*from as usize..end).ok_or(io::ErrorKind::InvalidData)?;
            file.file().write_all_at(content, *to)?;
        }
        // Whoever writes the last piece sees what all others wrote.
        if planned.missing.fetch_sub(count, Ordering::AcqRel) == count {
            complete(&file, planned)?;
        }
        Ok(())
    }
}
