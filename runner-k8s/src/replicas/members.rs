//! Who of several managers lives, judged by what is seen of their Leases and by no clock but our own.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

/// The holders of Leases, as they were seen.
#[derive(Debug)]
pub(super) struct Members {
    expiry: Duration,
    seen: HashMap<String, Member>,
}

#[derive(Debug)]
struct Member {
    /// The version of the Lease, which changes with each renewal.
    version: String,
    /// When it was first seen.
    since: Instant,
    /// It was told that this one ended.
    is_told: bool,
}

impl Members {
    /// None yet. One ends that is not seen to renew its Lease for `expiry`.
    pub(super) fn new(expiry: Duration) -> Self {
        Self { expiry, seen: HashMap::new() }
    }

    /// Takes note of all Leases, each with its holder and its version. Returns who has ended since the last time.
    pub(super) fn see<'lease>(
        &mut self,
        leases: impl Iterator<Item = (&'lease String, &'lease str)>,
        now: Instant,
    ) -> Vec<String> {
        let mut there = HashSet::new();
        for (holder, version) in leases {
            there.insert(holder.as_str());
            match self.seen.get_mut(holder) {
                Some(member) if member.version == version => {}
                Some(member) => {
                    *member = Member { version: version.to_owned(), since: now, is_told: false };
                }
                None => {
                    let member = Member { version: version.to_owned(), since: now, is_told: false };
                    self.seen.insert(holder.clone(), member);
                }
            }
        }
        let mut ended = Vec::new();
        let expiry = self.expiry;
        self.seen.retain(|holder, member| {
            let is_there = there.contains(holder.as_str());
            let is_over = !is_there || now.duration_since(member.since) >= expiry;
            if is_over && !member.is_told {
                member.is_told = true;
                ended.push(holder.clone());
            }
            is_there
        });
        ended
    }

    /// Whether a holder lives.
    pub(super) fn lives(&self, holder: &str, now: Instant) -> bool {
        self.seen.get(holder).is_some_and(|member| now.duration_since(member.since) < self.expiry)
    }

    /// Those whose Lease is there and has not changed for `time`.
    pub(super) fn silent_for(&self, time: Duration, now: Instant) -> HashSet<String> {
        let silent = self.seen.iter().filter(|(_, member)| now.duration_since(member.since) >= time);
        silent.map(|(holder, _)| holder.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRY: Duration = Duration::from_secs(9);

    fn see(members: &mut Members, leases: &[(&str, &str)], now: Instant) -> Vec<String> {
        let leases: Vec<_> =
            leases.iter().map(|(holder, version)| ((*holder).to_owned(), *version)).collect();
        members.see(leases.iter().map(|(holder, version)| (holder, *version)), now)
    }

    #[tokio::test(start_paused = true)]
    async fn who_renews_lives_and_who_does_not_ends_once() {
        let (mut members, start) = (Members::new(EXPIRY), Instant::now());
        assert!(see(&mut members, &[("a", "1"), ("b", "1")], start).is_empty());
        let later = start + Duration::from_secs(8);
        assert!(see(&mut members, &[("a", "2"), ("b", "1")], later).is_empty());
        assert!(members.lives("a", later) && members.lives("b", later));
        let later = start + EXPIRY;
        assert!(members.lives("a", later) && !members.lives("b", later));
        assert_eq!(see(&mut members, &[("a", "2"), ("b", "1")], later), ["b"]);
        assert!(see(&mut members, &[("a", "3"), ("b", "1")], later).is_empty());
        assert_eq!(members.silent_for(EXPIRY, later), ["b".to_owned()].into());
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_lives_and_may_end_again() {
        let (mut members, start) = (Members::new(EXPIRY), Instant::now());
        see(&mut members, &[("a", "1")], start);
        assert_eq!(see(&mut members, &[("a", "1")], start + EXPIRY), ["a"]);
        let back = start + EXPIRY * 2;
        assert!(see(&mut members, &[("a", "2")], back).is_empty());
        assert!(members.lives("a", back));
        assert_eq!(see(&mut members, &[("a", "2")], back + EXPIRY), ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_removes_its_lease_has_ended_at_once() {
        let (mut members, start) = (Members::new(EXPIRY), Instant::now());
        see(&mut members, &[("a", "1"), ("b", "1")], start);
        assert_eq!(see(&mut members, &[("b", "2")], start), ["a"]);
        assert!(!members.lives("a", start));
        assert!(see(&mut members, &[("b", "2")], start).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_never_seen_does_not_live() {
        assert!(!Members::new(EXPIRY).lives("a", Instant::now()));
    }
}
