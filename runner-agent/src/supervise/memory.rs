//! What the memory of this container went through, as its control group counts it.
//!
//! Outside of a container the files tell of the whole machine or are not there: then there is no bound to speak of.

use std::{fs, path::Path};

use crate::host::MemoryUse;

/// Where a container finds its own group.
const ROOT: &str = "/sys/fs/cgroup";

/// Only process 1 of a container has a group whose count is that of the job alone.
pub(super) fn read() -> Option<MemoryUse> {
    (std::process::id() == 1).then(|| read_at(Path::new(ROOT))).flatten()
}

/// What the group mounted at `root` counted, in either version of control groups.
fn read_at(root: &Path) -> Option<MemoryUse> {
    let text = |name: &str| fs::read_to_string(root.join(name)).ok();
    let number = |name: &str| text(name).and_then(|text| text.trim().parse::<u64>().ok());
    if let Some(events) = text("memory.events") {
        return Some(MemoryUse {
            kills: field(&events, "oom_kill")?,
            peak: number("memory.peak").unwrap_or(0),
            limit: number("memory.max").unwrap_or(0),
        });
    }
    let limit = number("memory/memory.limit_in_bytes").unwrap_or(0);
    Some(MemoryUse {
        kills: field(&text("memory/memory.oom_control")?, "oom_kill")?,
        peak: number("memory/memory.max_usage_in_bytes").unwrap_or(0),
        // Without a bound the first version shows the largest number of pages.
        limit: if limit > 1 << 60 { 0 } else { limit },
    })
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(files: &[(&str, &str)]) -> Option<MemoryUse> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("memory")).unwrap();
        for (name, content) in files {
            fs::write(root.path().join(name), content).unwrap();
        }
        read_at(root.path())
    }

    #[test]
    fn both_versions_of_control_groups_are_read() {
        let second = group(&[
            ("memory.events", "low 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 0\n"),
            ("memory.peak", "1000\n"),
            ("memory.max", "max\n"),
        ]);
        assert_eq!(second, Some(MemoryUse { kills: 2, peak: 1000, limit: 0 }));
        let first = group(&[
            ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
            ("memory/memory.max_usage_in_bytes", "4096\n"),
            ("memory/memory.limit_in_bytes", "8192\n"),
        ]);
        assert_eq!(first, Some(MemoryUse { kills: 1, peak: 4096, limit: 8192 }));
        assert_eq!(group(&[]), None);
    }
}
