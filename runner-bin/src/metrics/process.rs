//! Metrics of this process, by the names that all programs have for them; read from `/proc`.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use super::family::Adding;

/// How many ticks a second has in `/proc`: the kernel counts there in this unit whatever its own clock is.
const TICKS: f64 = 100.0;

/// What the kernel says of this process.
#[derive(Debug)]
pub(super) struct ProcessMetrics {
    memory: Gauge,
    cpu: Counter<f64, AtomicU64>,
    start: Gauge<f64, AtomicU64>,
    files: Gauge,
}

impl ProcessMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let mut add = Adding(registry);
        Self {
            memory: add.metric("process_resident_memory_bytes", "Resident memory", Gauge::default()),
            cpu: add.metric("process_cpu_seconds", "CPU time of user and system", Counter::default()),
            start: add.metric(
                "process_start_time_seconds",
                "When the process started, in seconds since 1970",
                Gauge::default(),
            ),
            files: add.metric("process_open_fds", "Open file descriptors", Gauge::default()),
        }
    }

    /// Reads them anew. What cannot be read stays as it was.
    pub(super) fn refresh(&self) {
        let read = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
        if let Some(memory) = resident(&read("/proc/self/status")) {
            self.memory.set(memory);
        }
        if let Some(Times { cpu, start }) = times(&read("/proc/self/stat")) {
            self.cpu.inc_by((cpu - self.cpu.get()).max(0.0));
            if let Some(boot) = boot(&read("/proc/stat")) {
                self.start.set(boot + start);
            }
        }
        if let Ok(files) = fs_err::read_dir("/proc/self/fd") {
            // The folder itself is open while it is read.
            self.files.set(i64::try_from(files.count()).unwrap_or(i64::MAX) - 1);
        }
    }
}

/// Resident memory, in bytes.
fn resident(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// In seconds.
#[derive(Debug, PartialEq)]
struct Times {
    cpu: f64,
    /// After the machine was started.
    start: f64,
}

fn times(stat: &str) -> Option<Times> {
    // The name of the program, in parentheses, may hold anything.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // The first of these is field number 3.
    let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some(Times { cpu: (ticks(14)? + ticks(15)?) / TICKS, start: ticks(22)? / TICKS })
}

/// When the machine was started, in seconds since 1970.
fn boot(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 12345 1000 200";
        assert_eq!(times(stat), Some(Times { cpu: 2.0, start: 123.45 }));
        assert_eq!(resident("Name:\ta\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!(boot("cpu 1 2\nbtime 1767323045\n"), Some(1_767_323_045.0));
        assert_eq!((times(""), resident(""), boot("")), (None, None, None));
    }
}
