//! What a restore remembers of the files that it made.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    index::{Index, Node},
    reader::{Facts, TreeReader},
};

/// A file that changed so shortly before it was looked at may change again without a new time: clocks of file systems tick
/// every few milliseconds.
pub(crate) const TICK: Duration = Duration::from_millis(12);

/// What a restore remembers of the files that it made, so that a later save by the same process reads only what changed.
///
/// A file is as it was if its size, its inode, and the times of the last change of its content and of anything about it are;
/// the last of these cannot be set by a program.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The text of the head.
    pub(crate) head: String,
    pub(crate) index: Arc<Index>,
    /// By number of the entry.
    pub(crate) states: Vec<State>,
    /// When all files had been looked at.
    pub(crate) seen: SystemTime,
}

/// What a file looked like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Of size, inode, names and time of content; nothing where this is not known.
    mark: u64,
    /// When anything about it was last changed, in nanoseconds since 1970.
    changed: u64,
}

impl State {
    pub(crate) fn new(facts: &Facts) -> Self {
        Self { mark: mark(facts), changed: nanoseconds(facts.changed) }
    }

    pub(crate) fn is_known(self) -> bool {
        self.mark != 0
    }

    /// Whether it was looked at so late that any change since has another time.
    fn is_safe(self, seen: SystemTime) -> bool {
        let seen = seen.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        self.is_known() && u128::from(self.changed) + TICK.as_nanos() <= seen
    }
}

/// A state that several threads may set.
#[derive(Debug, Default)]
pub(crate) struct AtomicState(AtomicU64, AtomicU64);

impl AtomicState {
    pub(crate) fn set(&self, State { mark, changed }: State) {
        self.0.store(mark, Ordering::Relaxed);
        self.1.store(changed, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> State {
        State { mark: self.0.load(Ordering::Relaxed), changed: self.1.load(Ordering::Relaxed) }
    }
}

fn mark(facts: &Facts) -> u64 {
    let mut hasher = DefaultHasher::new();
    (facts.size, facts.modified, facts.identity, facts.names).hash(&mut hasher);
    hasher.finish().max(1)
}

fn nanoseconds((seconds, nanoseconds): (i64, i64)) -> u64 {
    u64::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)).unwrap_or(u64::MAX)
}

impl Kept {
    /// Whether the file of entry `number`, of which `facts` are true now, is as it was.
    pub(crate) fn is_still(&self, number: u32, facts: &Facts) -> bool {
        let state = self.states.get(number as usize).copied().unwrap_or_default();
        state.is_safe(self.seen) && state == State::new(facts)
    }

    /// Looks at the files again, when nothing but their owner or mode can have changed since the restore: what has the same
    /// content is as it was. May block.
    pub fn look_again(&mut self, root: &Path, reader: &dyn TreeReader) {
        let seen = SystemTime::now();
        let mut entries = self.index.entries();
        let mut has_changed = None;
        while let Ok(Some((number, entry))) = entries.next() {
            let (Node::File { .. }, Some(state)) = (&entry.node, self.states.get_mut(number as usize)) else {
                continue;
            };
            // Whoever changes an owner changes that of all, so the first one tells of those that need no second look.
            if !state.is_known() || (state.is_safe(self.seen) && has_changed == Some(false)) {
                continue;
            }
            let new = reader.facts(&root.join(&entry.path)).map(|facts| State::new(&facts));
            let new = new.ok().filter(|new| new.mark == state.mark).unwrap_or_default();
            has_changed.get_or_insert(new != *state);
            *state = new;
        }
        self.seen = seen;
    }
}
