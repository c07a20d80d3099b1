//! What changed from one config to the next.

use std::fmt;

use crate::{Config, RunnerConfig};

/// What changed. Runners are named by their index in the old and in the new config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// How many jobs run at once: before and now.
    pub concurrent: Option<(usize, usize)>,
    /// Other keys at the top of the file.
    pub globals: Vec<&'static str>,
    /// Runners that are new.
    pub added: Vec<usize>,
    /// Runners that are no more. Their running jobs are not touched.
    pub removed: Vec<usize>,
    /// Runners that go on, with a change.
    pub changed: Vec<RunnerChange>,
    /// Names of the runners of each list, for a message.
    names: Vec<(&'static str, String)>,
}

/// A runner that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerChange {
    /// Its index in the old config.
    pub old: usize,
    /// Its index in the new one.
    pub new: usize,
    /// Whether its token is another one: requests that are under way still have the old one.
    pub is_token_rotated: bool,
    /// Whether anything else about it changed. It counts for jobs that start from now on.
    pub is_otherwise_changed: bool,
}

impl Diff {
    /// What changed from `old` to `new`.
    ///
    /// A runner is the same one if it has the same server and token; else the same server and name; else if nothing but
    /// its token differs.
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut diff = Self {
            concurrent: (old.concurrent != new.concurrent).then_some((old.concurrent, new.concurrent)),
            globals: globals(old, new),
            ..Self::default()
        };
        let mut left_old: Vec<usize> = (0..old.runners.len()).collect();
        let mut left_new: Vec<usize> = (0..new.runners.len()).collect();
        let rules: [fn(&RunnerConfig, &RunnerConfig) -> bool; 3] = [
            |old, new| old.url == new.url && old.token == new.token,
            |old, new| old.url == new.url && old.name == new.name && !new.name.is_empty(),
            |old, new| without_token(old) == without_token(new),
        ];
        for is_same in rules {
            left_old.retain(|old_index| {
                let Some(before) = old.runners.get(*old_index) else { return false };
                let pair = left_new
                    .iter()
                    .position(|index| new.runners.get(*index).is_some_and(|now| is_same(before, now)));
                let Some(position) = pair else { return true };
                let new_index = left_new.remove(position);
                if let Some(now) = new.runners.get(new_index) {
                    diff.pair((*old_index, before), (new_index, now));
                }
                false
            });
        }
        let name = |config: &Config, index: usize| config.runners.get(index).map(shown).unwrap_or_default();
        diff.names.extend(left_new.iter().map(|index| ("added", name(new, *index))));
        diff.names.extend(left_old.iter().map(|index| ("removed", name(old, *index))));
        diff.added = left_new;
        diff.removed = left_old;
        diff
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn pair(&mut self, (old, before): (usize, &RunnerConfig), (new, now): (usize, &RunnerConfig)) {
        let is_token_rotated = before.token != now.token;
        let is_otherwise_changed = without_token(before) != without_token(now);
        if is_token_rotated {
            self.names.push(("has a new token", shown(now)));
        }
        if is_otherwise_changed {
            self.names.push(("changed", shown(now)));
        }
        if is_token_rotated || is_otherwise_changed {
            self.changed.push(RunnerChange { old, new, is_token_rotated, is_otherwise_changed });
        }
    }
}

/// The runner as it would be with any token.
fn without_token(runner: &RunnerConfig) -> RunnerConfig {
    let mut runner = runner.clone();
    runner.token = runner_core::Secret::default();
    runner.token_expires_at = None;
    runner
}

fn shown(runner: &RunnerConfig) -> String {
    if runner.name.is_empty() { runner.url.clone() } else { runner.name.clone() }
}

fn globals(old: &Config, new: &Config) -> Vec<&'static str> {
    let changes = [
        ("check_interval", old.check_interval != new.check_interval),
        ("listen_address", old.listen_address != new.listen_address),
        ("log_level", old.log_level != new.log_level),
        ("log_format", old.log_format != new.log_format),
        ("connection_max_age", old.connection_max_age != new.connection_max_age),
        ("shutdown_timeout", old.shutdown_timeout != new.shutdown_timeout),
        ("shutdown", old.shutdown != new.shutdown),
    ];
    changes.into_iter().filter_map(|(key, has_changed)| has_changed.then_some(key)).collect()
}

impl fmt::Display for Diff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let concurrent =
            self.concurrent.map(|(before, now)| format!("`concurrent` is {now}, it was {before}"));
        let globals = self.globals.iter().map(|key| format!("`{key}` changed"));
        let runners = self.names.iter().map(|(what, name)| format!("runner {name:?} {what}"));
        let parts: Vec<_> = concurrent.into_iter().chain(globals).chain(runners).collect();
        formatter.write_str(if parts.is_empty() { "nothing changed" } else { "" })?;
        formatter.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Surroundings, parse};

    fn config(runners: &[(&str, &str, &str)], top: &str) -> Config {
        let entry = |(name, token, more): &(&str, &str, &str)| {
            format!(
                "[[runners]]\nname = \"{name}\"\nurl = \"https://g\"\ntoken = \"{token}\"\nexecutor = \"shell\"\n{more}\n"
            )
        };
        let text = format!("{top}\n{}", runners.iter().map(entry).collect::<String>());
        parse("c", &text).resolve(&Surroundings::default()).unwrap()
    }

    fn between(old: &[(&str, &str, &str)], new: &[(&str, &str, &str)]) -> Diff {
        Diff::between(&config(old, ""), &config(new, ""))
    }

    #[test]
    fn what_is_the_same_in_another_order_has_not_changed() {
        let diff = between(&[("a", "1", ""), ("b", "2", "")], &[("b", "2", ""), ("a", "1", "")]);
        assert!(diff.is_empty(), "{diff}");
        assert_eq!(diff.to_string(), "nothing changed");
    }

    #[test]
    fn runners_are_added_removed_and_changed() {
        let diff =
            between(&[("a", "1", ""), ("b", "2", "")], &[("c", "3", "limit = 2"), ("a", "1", "limit = 1")]);
        assert_eq!((&diff.added, &diff.removed), (&vec![0], &vec![1]));
        let change = RunnerChange { old: 0, new: 1, is_token_rotated: false, is_otherwise_changed: true };
        assert_eq!(diff.changed, [change]);
        assert_eq!(diff.to_string(), "runner \"a\" changed, runner \"c\" added, runner \"b\" removed");
    }

    #[test]
    fn a_rotated_token_is_no_new_runner_with_and_without_a_name() {
        for name in ["a", ""] {
            let diff = between(&[(name, "1", "")], &[(name, "2", "")]);
            let change = RunnerChange { old: 0, new: 0, is_token_rotated: true, is_otherwise_changed: false };
            assert_eq!((diff.changed, diff.added, diff.removed), (vec![change], vec![], vec![]));
        }
        let other = between(&[("", "1", "")], &[("", "2", "limit = 1")]);
        assert_eq!((other.added.len(), other.removed.len(), other.changed.len()), (1, 1, 0));
    }

    #[test]
    fn keys_at_the_top_are_named() {
        let diff =
            Diff::between(&config(&[], "concurrent = 1"), &config(&[], "concurrent = 4\ncheck_interval = 9"));
        assert_eq!(diff.to_string(), "`concurrent` is 4, it was 1, `check_interval` changed");
    }
}
