//! All processes below this one, also those that left their group or session.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, getpgid, getpgrp, getpid, getsid},
};

/// How often one round of killing looks for processes that were started meanwhile.
const LOOKS: usize = 8;

/// Finds and signals what descends from this process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descendants {
    /// Whether this process leads its session: then every group below is made of descendants alone, and can be
    /// signalled as a whole, which no fork escapes.
    leads_session: bool,
}

impl Descendants {
    pub(super) fn new() -> Self {
        Self { leads_session: getsid(None) == Ok(getpid()) }
    }

    /// Asks all to end, `children` among them. Those that are stopped are woken, so that they can.
    pub(super) fn terminate(self, children: &[Pid]) {
        let all = find(children);
        self.send(&all, Signal::SIGTERM);
        self.send(&all, Signal::SIGCONT);
    }

    /// Kills all that are found. What is started meanwhile may be left, so it takes several rounds until none is.
    pub(super) fn kill(self, children: &[Pid]) {
        let mut known = HashSet::new();
        for _ in 0..LOOKS {
            let all = find(children);
            let seen = known.len();
            known.extend(all.iter().copied());
            if known.len() == seen {
                return;
            }
            self.send(&all, Signal::SIGKILL);
        }
    }

    /// Sends a signal to each process once: to its group where that is safe, else to itself.
    fn send(self, processes: &[Pid], signal: Signal) {
        let mut groups = HashSet::new();
        for process in processes {
            let group =
                getpgid(Some(*process)).ok().filter(|group| self.leads_session && *group != getpgrp());
            // A process that is gone, or that this user may not signal, is seen by whoever waits for the end of all.
            match group {
                Some(group) if !groups.insert(group) => {}
                Some(group) => drop(killpg(group, signal)),
                None => drop(kill(*process, signal)),
            }
        }
    }
}

/// All descendants, parents before children. `known` are children that are known anyway, for systems that tell none.
pub(super) fn find(known: &[Pid]) -> Vec<Pid> {
    let mut found = known.to_vec();
    let mut seen: HashSet<Pid> = known.iter().copied().collect();
    let mut next = Some(getpid());
    let mut position = 0;
    while let Some(parent) = next {
        let children = children(parent).unwrap_or_default();
        found.extend(children.into_iter().filter(|child| seen.insert(*child)));
        next = found.get(position).copied();
        position += 1;
    }
    found
}

/// The children of `parent`, those that ended but are not reaped included.
pub(super) fn children(parent: Pid) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{parent}/task"))? {
        match fs::read_to_string(thread?.path().join("children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(pid)),
            // This kernel has no such file, or the thread has just ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return children_by_search(parent),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The same on kernels that keep no list of children: by looking at all processes.
fn children_by_search(parent: Pid) -> io::Result<Vec<Pid>> {
    let children = everything()?.into_iter().filter(|(_, status)| status.parent == parent);
    Ok(children.map(|(process, _)| process).collect())
}

/// All processes of the system.
pub(super) fn everything() -> io::Result<HashMap<Pid, Status>> {
    let all = fs::read_dir("/proc")?.filter_map(|entry| pid(entry.ok()?.file_name().to_str()?));
    Ok(all.filter_map(|process| Some((process, Status::read(process)?))).collect())
}

/// What is needed of `/proc/<pid>/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// What it is doing.
    pub(super) activity: Activity,
    /// The parent.
    pub(super) parent: Pid,
    /// The session.
    pub(super) session: Pid,
}

/// What a process is doing, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    /// It runs, or waits for something.
    Alive,
    /// It was stopped, so that it starts nothing.
    Stopped,
    /// It ended, and waits for its parent to take that.
    Ended,
}

impl Status {
    fn read(process: Pid) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
    }

    /// The second field is the program's name in brackets, which may hold anything.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let activity = match fields.next()? {
            "Z" | "X" => Activity::Ended,
            "T" | "t" => Activity::Stopped,
            _ => Activity::Alive,
        };
        let (parent, _group, session) = (pid(fields.next()?)?, fields.next()?, pid(fields.next()?)?);
        Some(Self { activity, parent, session })
    }
}

fn pid(text: &str) -> Option<Pid> {
    text.parse().ok().map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let status = Status::parse("12 (a ) S 9 9 9 (b) R 3 4 5 0 -1").unwrap();
        assert_eq!(
            status,
            Status { activity: Activity::Alive, parent: Pid::from_raw(3), session: Pid::from_raw(5) }
        );
        assert_eq!(Status::parse("12 (a"), None);
        assert_eq!(Status::parse(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn both_ways_find_the_same_children() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let own = Pid::from_raw(i32::try_from(child.id()).unwrap());
        assert!(children(getpid()).unwrap().contains(&own));
        assert!(children_by_search(getpid()).unwrap().contains(&own));
        assert!(find(&[]).contains(&own));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
