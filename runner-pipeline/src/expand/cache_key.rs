//! What of a cache depends on the job and on the repository: keys made of files, policies that are variables.

use std::{cell::RefCell, collections::HashMap};

use runner_core::job::CacheSpec;

use super::scope::Scope;
use crate::{
    diagnostic::Mistakes,
    pipeline::Context,
    syntax::cache::{self, Cache, KeyFiles},
};

/// Works out keys; jobs share most of their files.
pub(super) struct CacheKeys<'a, 'text> {
    context: &'a Context,
    check: &'a Mistakes<'text>,
    digests: RefCell<HashMap<Vec<String>, String>>,
}

impl<'a, 'text> CacheKeys<'a, 'text> {
    pub(super) fn new(context: &'a Context, check: &'a Mistakes<'text>) -> Self {
        Self { context, check, digests: RefCell::default() }
    }

    /// The caches of a job.
    pub(super) fn specs(&self, caches: &[Cache], scope: &Scope<'_>) -> Vec<CacheSpec> {
        caches.iter().enumerate().map(|(index, cache)| self.spec(index, cache, scope)).collect()
    }

    fn spec(&self, index: usize, cache: &Cache, scope: &Scope<'_>) -> CacheSpec {
        let mut spec = cache.spec.clone();
        if let Some(files) = &cache.files {
            spec.key = self.key(index, files);
        }
        if let Some(policy) = &cache.policy_variable {
            let word = scope.expand(&policy.value);
            spec.policy = cache::policy_of(&word).unwrap_or_else(|| {
                let message = format!("`cache:policy` is `{}`, which is `{word}` here", policy.value);
                self.check.error_with_help(policy.span, message, "it is one of pull-push, pull, push");
                spec.policy
            });
        }
        spec
    }

    fn key(&self, index: usize, key: &KeyFiles) -> String {
        let prefix = key.prefix.clone().unwrap_or_else(|| {
            let names: Vec<&str> =
                key.files.iter().map(|file| file.split('.').next().unwrap_or_default()).collect();
            format!("{index}_{}", names.join("_").replace('/', "_"))
        });
        let digest = self.digest(key);
        if prefix.is_empty() { digest } else { format!("{prefix}-{digest}") }
    }

    fn digest(&self, key: &KeyFiles) -> String {
        let Some(tree) = &self.context.tree else {
            self.check.unsupported(key.span, "`cache:key:files` without a repository");
            return String::new();
        };
        let mut known = self.digests.borrow_mut();
        if let Some(digest) = known.get(&key.files) {
            return digest.clone();
        }
        let digest = tree.digest(&key.files).unwrap_or_else(|| "default".to_owned());
        known.insert(key.files.clone(), digest.clone());
        digest
    }
}
