//! Fetches frames, several packs at once.

use std::{
    ops::Range,
    sync::{Arc, mpsc::Sender},
};

use runner_core::{Error, ErrorKind, Location, Result};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use super::{OPERATION, damaged, missing, plan::Plan};
use crate::{index::Frame, transfer::Transfer};

/// What is fetched in one request: small enough that a large pack comes over many connections.
const SPAN: u64 = 8 << 20;
/// So much that is not needed is fetched rather than asking again.
const GAP: u64 = 256 << 10;

/// The bytes of a frame.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) number: u32,
    pub(super) bytes: Vec<u8>,
}

/// Where frames go, and how many may be in memory.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) arrived: Sender<(Arrived, OwnedSemaphorePermit)>,
    pub(super) room: Arc<Semaphore>,
}

/// Frames that lie near each other in a pack.
#[derive(Debug)]
struct Span {
    pack: u32,
    range: Range<u64>,
    frames: Vec<(u32, Frame)>,
}

/// Fetches all frames of which something is needed.
pub(super) async fn all(
    plan: &Plan,
    locations: &[Location],
    transfer: &Transfer,
    output: Output,
) -> Result<()> {
    let mut fetching = JoinSet::new();
    for span in spans(plan) {
        while fetching.len() >= transfer.connections() {
            joined(fetching.join_next().await)?;
        }
        let location = locations.get(span.pack as usize).cloned();
        let location = location.ok_or_else(|| Error::new(ErrorKind::Corrupt, OPERATION))?;
        fetching.spawn(fetch(span, location, transfer.clone(), output.clone()));
    }
    while let Some(done) = fetching.join_next().await {
        joined(Some(done))?;
    }
    Ok(())
}

fn joined(done: Option<std::result::Result<Result<()>, tokio::task::JoinError>>) -> Result<()> {
    match done {
        Some(Ok(fetched)) => fetched,
        Some(Err(cause)) => Err(Error::new(ErrorKind::Internal, OPERATION).because(cause)),
        None => Ok(()),
    }
}

fn spans(plan: &Plan) -> Vec<Span> {
    let all = (0_u32..).zip(&plan.index.frames);
    let mut frames: Vec<_> = all.filter(|(number, _)| !plan.pieces(*number).is_empty()).collect();
    frames.sort_unstable_by_key(|(_, frame)| (frame.pack, frame.offset));
    let mut spans: Vec<Span> = Vec::new();
    for (number, frame) in frames {
        let end = frame.offset + u64::from(frame.length);
        match spans.last_mut() {
            Some(Span { pack, range, frames })
                if *pack == frame.pack
                    && range.end <= frame.offset
                    && frame.offset - range.end <= GAP
                    && end - range.start <= SPAN =>
            {
                range.end = end;
                frames.push((number, *frame));
            }
            _ => spans.push(Span {
                pack: frame.pack,
                range: frame.offset..end,
                frames: vec![(number, *frame)],
            }),
        }
    }
    spans
}

async fn fetch(span: Span, location: Location, transfer: Transfer, output: Output) -> Result<()> {
    let mut at = span.range.start;
    let mut body = transfer.read(&location, span.range);
    let mut rest = bytes::Bytes::new();
    for (number, frame) in span.frames {
        let mut bytes = Vec::with_capacity(frame.length as usize);
        while bytes.len() < frame.length as usize {
            if rest.is_empty() {
                rest = body
                    .next()
                    .await
                    .map_err(missing)?
                    .ok_or_else(|| damaged("a part of it is too short"))?;
            }
            let skipped = frame.offset.saturating_sub(at).min(rest.len() as u64);
            drop(rest.split_to(skipped as usize));
            let taken = rest.split_to(rest.len().min(frame.length as usize - bytes.len()));
            at += skipped + taken.len() as u64;
            bytes.extend_from_slice(&taken);
        }
        // Each connection waits with one frame until there is memory for it elsewhere.
        let permit = Arc::clone(&output.room).acquire_owned().await;
        let permit = permit.map_err(|cause| Error::new(ErrorKind::Internal, OPERATION).because(cause))?;
        if output.arrived.send((Arrived { number, bytes }, permit)).is_err() {
            // All who unpack have ended, and one of them says why.
            return Ok(());
        }
    }
    Ok(())
}
