//! What a job knows of the caches that it restored when it saves them.

use std::{path::Path, sync::Arc};

use runner_cache::{Kept, blocking, reader::TreeReader};
use runner_core::{ReadGrant, WriteGrant};

/// What a job knows of the caches that it restored.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// By the key of the cache, whatever key was found.
    kept: Vec<(String, Kept)>,
    /// The heads of entries that are damaged, so that no save builds upon them.
    damaged: Vec<String>,
}

impl Restored {
    pub(super) fn keep(&mut self, key: &str, kept: Kept) {
        self.kept.push((key.to_owned(), kept));
    }

    pub(super) fn is_damaged(&mut self, grant: &ReadGrant) {
        self.damaged.push(grant.head.clone());
    }

    /// What was restored for the cache with this key.
    pub(super) fn take(&mut self, key: &str) -> Option<Arc<Kept>> {
        let place = self.kept.iter().position(|(of, _)| of == key)?;
        Some(Arc::new(self.kept.swap_remove(place).1))
    }

    /// Takes the base from a grant if it is known to be damaged.
    pub(super) fn mend(&self, grant: &mut WriteGrant) {
        grant.base.take_if(|base| !base.head.is_empty() && self.damaged.contains(&base.head));
    }

    /// Looks at the files again when they were given to those who run the script, and nothing of the job has run yet.
    pub(crate) async fn look_again(&mut self, project: &Path, reader: Arc<dyn TreeReader>) {
        if self.kept.is_empty() {
            return;
        }
        let (mut kept, project) = (std::mem::take(&mut self.kept), project.to_owned());
        let looked = blocking::run(move |_| {
            for (_, kept) in &mut kept {
                kept.look_again(&project, &*reader);
            }
            Ok(kept)
        });
        // Without it, all files are read.
        self.kept = looked.await.unwrap_or_default();
    }
}
