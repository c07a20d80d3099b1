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

use super::descendants::{Status, everything};

/// How often it looks before it gives up on what cannot be killed.
const ROUNDS: usize = 500;

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Kills all processes of the session that the supervisor of number `leader` led, and all that descend from them.
///
/// The number is not given to another process while its session has members.
pub(super) async fn kill(leader: u32) {
    let Ok(leader) = i32::try_from(leader) else { return };
    // One whose parent has gone is no longer seen to descend from the session, although it may take its time to die.
    let mut known = HashSet::new();
    for _ in 0..ROUNDS {
        let all = everything().unwrap_or_default();
        let members = members(Pid::from_raw(leader), &all);
        known.retain(|process| all.get(process).is_some_and(|status| !status.ended));
        if members.is_empty() && known.is_empty() {
            return;
        }
        for member in members {
            known.insert(member);
            // It may be gone already, and what this user may not kill is left.
            send(member, Signal::SIGKILL).ok();
        }
        sleep(PAUSE).await;
    }
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
    all.iter().filter(|(_, status)| !status.ended).map(|(process, _)| *process).filter(belongs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_their_descendants_are_found() {
        let status = |parent, session, ended| Status {
            ended,
            parent: Pid::from_raw(parent),
            session: Pid::from_raw(session),
        };
        let all = [
            (1, status(0, 1, false)),
            (10, status(1, 5, false)),
            (11, status(10, 11, false)),
            (12, status(11, 12, true)),
            (13, status(12, 13, false)),
            (20, status(1, 20, false)),
            (30, status(31, 30, false)),
            (31, status(30, 30, false)),
        ];
        let all = all.map(|(process, status)| (Pid::from_raw(process), status)).into_iter().collect();
        let mut found = members(Pid::from_raw(5), &all);
        found.sort();
        assert_eq!(found, [10, 11, 13].map(Pid::from_raw));
    }
}
