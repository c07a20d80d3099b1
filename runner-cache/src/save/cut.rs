//! Cuts content into chunks.

use std::io::{self, Read};

use fastcdc::v2020::FastCDC;

use super::walk::Sink;
use crate::{blocking::Interrupt, index::Extent};

/// A file of at most this size is one chunk, and larger ones are cut to chunks of about this size: so small that of many
/// files little is sent again for each that changed, so large that all digests together are a fraction of a percent.
pub(super) const AVERAGE: usize = 64 << 10;
const SMALLEST: usize = 16 << 10;
const LARGEST: usize = 256 << 10;
const WINDOW: usize = 1 << 20;

/// Passes the `size` bytes of `content` to `sink` as chunks, or fewer where it ends before. Returns how many there were.
pub(super) fn content(
    content: &mut dyn Read,
    size: u64,
    sink: &mut Sink<'_>,
    extents: &mut Vec<Extent>,
    interrupt: &Interrupt,
) -> io::Result<u64> {
    interrupt.check()?;
    if size <= AVERAGE as u64 {
        return sink.whole(content, size as usize, extents);
    }
    let mut window = std::mem::take(&mut sink.window);
    window.resize(WINDOW, 0);
    let done = pieces(content, size, &mut window, |chunk| {
        interrupt.check()?;
        sink.chunk(chunk, extents)
    });
    sink.window = window;
    done
}

fn pieces(
    content: &mut dyn Read,
    size: u64,
    window: &mut [u8],
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let (mut filled, mut total) = (0, 0);
    loop {
        let wanted = usize::try_from(size - total).unwrap_or(WINDOW).min(WINDOW - filled);
        let count = fill(content, window.get_mut(filled..filled + wanted).unwrap_or_default())?;
        filled += count;
        total += count as u64;
        let is_last = count < wanted || total == size;
        let mut rest = window.get(..filled).unwrap_or_default();
        // The last chunk of a window may go on after it.
        while rest.len() >= LARGEST || (is_last && !rest.is_empty()) {
            let (chunk, after) = rest.split_at(length(rest));
            each(chunk)?;
            rest = after;
        }
        if is_last {
            return Ok(total);
        }
        let (begin, length) = (filled - rest.len(), rest.len());
        window.copy_within(begin..filled, 0);
        filled = length;
    }
}

fn length(content: &[u8]) -> usize {
    FastCDC::new(content, SMALLEST, AVERAGE, LARGEST).cut(0, content.len()).1.clamp(1, content.len())
}

/// Fills `buffer` as far as there is content.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match content.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(filled)
}
