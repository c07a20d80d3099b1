use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;

use super::*;
use crate::{
    PackName,
    head::{Pack, Place},
};

type Objects = HashMap<String, (Bytes, SystemTime)>;

/// One scope, in memory.
#[derive(Debug, Default)]
struct Memory(Mutex<Objects>);

impl Memory {
    fn objects(&self) -> std::sync::MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, name: &str, content: impl Into<Bytes>, age: Duration) {
        self.objects().insert(name.to_owned(), (content.into(), SystemTime::now() - age));
    }

    /// An entry of these packs.
    fn entry(&self, key: &str, packs: &[PackName], age: Duration) {
        let index = Place { pack: 0, offset: 0, length: 1, digest: blake3::hash(b"") };
        let packs = packs.iter().map(|name| Pack { name: name.clone(), size: 1, day: 1 }).collect();
        let head = Head { made: 1, files: 1, bytes: 1, index, packs };
        self.put(&format!("heads/{}", name::unique(key)), head.to_text(), age);
    }

    fn packs(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.objects().keys().filter_map(|name| name.strip_prefix("packs/").map(str::to_owned)).collect();
        names.sort();
        names
    }
}

#[async_trait]
impl Shelf for Memory {
    async fn scopes(&self) -> Result<Vec<String>> {
        Ok(vec!["scope".to_owned()])
    }

    async fn list(&self, _scope: &str, folder: Folder) -> Result<Vec<Shelved>> {
        let prefix = format!("{}/", folder.name());
        let objects = self.objects();
        let of_folder = objects.iter().filter_map(|(name, (content, written))| {
            let name = name.strip_prefix(&prefix)?.to_owned();
            Some(Shelved { name, size: content.len() as u64, written: *written })
        });
        Ok(of_folder.collect())
    }

    async fn read(&self, _scope: &str, name: &str, _limit: usize) -> Result<Option<Bytes>> {
        Ok(self.objects().get(name).map(|(content, _)| content.clone()))
    }

    async fn write(&self, _scope: &str, name: &str, content: Bytes) -> Result<()> {
        self.put(name, content, Duration::ZERO);
        Ok(())
    }

    async fn remove(&self, _scope: &str, name: &str) -> Result<()> {
        self.objects().remove(name);
        Ok(())
    }
}

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn pack(number: usize) -> PackName {
    PackName::new(&"a".repeat(32), number).unwrap()
}

/// A scope with these packs, all of them old.
fn scope(packs: usize) -> (Arc<Memory>, Upkeep) {
    let memory = Arc::new(Memory::default());
    for number in 0..packs {
        memory.put(&format!("packs/{}", pack(number)), "p", DAY * 9);
    }
    (Arc::clone(&memory), Upkeep::new(memory))
}

fn after(longest_job: Duration) -> Collection {
    Collection { longest_job, unsaved_for: None, is_rehearsal: false }
}

#[tokio::test]
async fn a_pack_goes_when_it_was_seen_unneeded_longer_ago_than_any_job_lives() {
    let (memory, upkeep) = scope(2);
    memory.entry("k", &[pack(0)], HOUR);
    let first = upkeep.collect("scope", &after(Duration::ZERO)).await.unwrap();
    assert_eq!((first.packs, first.waiting_packs, first.waiting_bytes), (0, 1, 1));
    let soon = upkeep.collect("scope", &after(HOUR)).await.unwrap();
    assert_eq!((soon.packs, soon.waiting_packs), (0, 1), "a save may be about to name it");
    let later = upkeep.collect("scope", &after(Duration::ZERO)).await.unwrap();
    assert_eq!((later.packs, later.bytes, later.waiting_packs), (1, 1, 0));
    assert_eq!(memory.packs(), [pack(0).to_string()]);
    assert!(!memory.objects().contains_key(MARK), "nothing waits, so nothing is kept of it");
}

#[tokio::test]
async fn a_pack_that_is_named_again_stays_and_waits_anew() {
    let (memory, upkeep) = scope(1);
    memory.entry("other", &[pack(7)], HOUR);
    upkeep.collect("scope", &after(Duration::ZERO)).await.unwrap();
    memory.entry("k", &[pack(0)], Duration::ZERO);
    let named = upkeep.collect("scope", &after(Duration::ZERO)).await.unwrap();
    assert_eq!((named.packs, named.waiting_packs), (0, 0));
    upkeep.remove("scope", "k").await.unwrap();
    let again = upkeep.collect("scope", &after(Duration::ZERO)).await.unwrap();
    assert_eq!((again.packs, again.waiting_packs), (0, 1));
}

#[tokio::test]
async fn a_scope_with_a_head_that_cannot_be_read_is_left_alone() {
    let (memory, upkeep) = scope(1);
    memory.put("heads/newer-version", "runner-cache 2\n", HOUR);
    for _ in 0..3 {
        let collected = upkeep.collect("scope", &after(Duration::ZERO)).await.unwrap();
        assert_eq!(collected, Collected { unreadable_scopes: 1, ..Collected::default() });
    }
    assert_eq!(memory.packs().len(), 1);
}

#[tokio::test]
async fn entries_that_were_not_saved_for_long_go() {
    let (memory, upkeep) = scope(2);
    memory.entry("old", &[pack(0)], DAY * 31);
    memory.entry("new", &[pack(1)], DAY);
    let what = Collection { unsaved_for: Some(DAY * 30), ..after(Duration::ZERO) };
    let rehearsed = upkeep.collect("scope", &Collection { is_rehearsal: true, ..what }).await.unwrap();
    assert_eq!((rehearsed.entries, rehearsed.waiting_packs), (1, 1));
    assert_eq!(upkeep.usage("scope").await.unwrap().unwrap().entries.len(), 2, "nothing was changed");
    let collected = upkeep.collect("scope", &what).await.unwrap();
    assert_eq!((collected.entries, collected.waiting_packs), (1, 1));
    let usage = upkeep.usage("scope").await.unwrap().unwrap();
    assert_eq!((usage.entries.len(), usage.unneeded), (1, 1));
}

#[tokio::test]
async fn an_entry_is_removed_by_its_key_or_by_its_name() {
    let (memory, upkeep) = scope(0);
    memory.entry("go modules", &[], HOUR);
    memory.entry("npm", &[], HOUR);
    assert_eq!(upkeep.remove("scope", "go modules").await.unwrap(), name::unique("go modules"));
    upkeep.remove("scope", &name::unique("npm")).await.unwrap();
    assert_eq!(upkeep.remove("scope", "npm").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_no_scope_has_no_use() {
    let (_, upkeep) = scope(0);
    assert_eq!(upkeep.usage("scope").await.unwrap(), None);
}
