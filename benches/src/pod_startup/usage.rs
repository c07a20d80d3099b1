//! What this process has used.

use anyhow::{Context, Result};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// The largest part of this process that ever was in memory, in kilobytes.
pub(super) fn peak_memory() -> Result<u64> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("only Linux tells what memory was used")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak of memory is told")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// The CPU time of this process so far, in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "what is printed needs no more than 52 bits")]
pub(super) fn cpu_time() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1000.0)
}
