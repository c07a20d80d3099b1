//! Ends what a supervisor left that was killed, as far as that can be found without it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill as send},
    unistd::Pid,
};
use tokio::time::sleep;

use super::descendants::{Activity, Status, everything};

/// How often it looks for processes before it kills those that it has found.
const LOOKS: usize = 100;

/// How often it looks whether those that it killed are gone, before it gives up on them.
const ROUNDS: usize = 500;

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Kills all processes of the session that the supervisor of number `leader` led, and all that descend from them.
///
/// The number is not given to another process while its session has members.
pub(super) async fn kill(leader: u32) {
    let Ok(leader) = i32::try_from(leader) else { return };
    let mut found = stop(Pid::from_raw(leader)).await;
    for _ in 0..ROUNDS {
        let all = everything().unwrap_or_default();
        found.retain(|process| all.get(process).is_some_and(|status| status.activity != Activity::Ended));
        if found.is_empty() {
            return;
        }
        for process in &found {
            // It may be gone already, and what this user may not kill is left.
            send(*process, Signal::SIGKILL).ok();
        }
        sleep(PAUSE).await;
    }
}

/// Stops all, until none is left that could start others: what is started by one that is then killed would be nobody's
/// child, and never be found.
async fn stop(leader: Pid) -> HashSet<Pid> {
    let mut found = HashSet::new();
    for _ in 0..LOOKS {
        let all = everything().unwrap_or_default();
        let members = members(leader, &all);
        let is_alive =
            |process: &Pid| all.get(process).is_some_and(|status| status.activity == Activity::Alive);
        let alive: Vec<Pid> = members.iter().copied().filter(is_alive).collect();
        found.extend(members);
        if alive.is_empty() {
            break;
        }
        for process in alive {
            send(process, Signal::SIGSTOP).ok();
        }
        sleep(PAUSE).await;
    }
    found
}

/// Those of `all` that belong to a session, or have an ancestor that does.
fn members(session: Pid, all: &HashMap<Pid, Status>) -> Vec<Pid> {
    let belongs = |process: &Pid| {
        let mut next = Some(*process);
        // The parents may change while they are read, so there might be a circle.
        for _ in 0..all.len() {
            let Some(status) = next.and_then(|process| all.get(&process)) else { return false };
            if status.session == session {
                return true;
            }
            next = Some(status.parent);
        }
        false
    };
    all.iter()
        .filter(|(_, status)| status.activity != Activity::Ended)
        .map(|(process, _)| *process)
        .filter(belongs)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_their_descendants_are_found() {
        let status = |parent, session, activity| Status {
            activity,
            parent: Pid::from_raw(parent),
            session: Pid::from_raw(session),
        };
        let all = [
            (1, status(0, 1, Activity::Alive)),
            (10, status(1, 5, Activity::Alive)),
            (11, status(10, 11, Activity::Alive)),
            (12, status(11, 12, Activity::Ended)),
            (13, status(12, 13, Activity::Alive)),
            (20, status(1, 20, Activity::Alive)),
            (30, status(31, 30, Activity::Alive)),
            (31, status(30, 30, Activity::Alive)),
        ];
        let all = all.map(|(process, status)| (Pid::from_raw(process), status)).into_iter().collect();
        let mut found = members(Pid::from_raw(5), &all);
        found.sort();
        assert_eq!(found, [10, 11, 13].map(Pid::from_raw));
    }
}
