//! Whether a manager is ready: it has a config, servers answer it, and it takes jobs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use runner_core::Event;

/// Whether a manager is ready. Clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The runners of the config, and what came of asking for each; `None` before there is a config.
    runners: Option<BTreeMap<String, Contact>>,
    is_draining: bool,
}

/// What came of asking for a runner's jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Contact {
    /// Nobody asked yet.
    Unasked,
    /// The first request waits for its answer.
    Waits,
    /// The last request was answered.
    Answered,
    /// The last request failed, and this is why.
    Failed(String),
}

impl Health {
    /// A config is used, with runners that events know by these names.
    pub(crate) fn loaded<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        let mut state = self.state();
        let mut known = state.runners.take().unwrap_or_default();
        let contact = |key: &str| (key.to_owned(), known.remove(key).unwrap_or(Contact::Unasked));
        state.runners = Some(keys.into_iter().map(contact).collect());
    }

    /// No more jobs are taken.
    pub(crate) fn draining(&self) {
        self.state().is_draining = true;
    }

    /// Takes note of what came of asking.
    pub(crate) fn on_event(&self, event: &Event) {
        let (runner, contact) = match event {
            Event::Asking { runner } => (runner, Contact::Waits),
            Event::Asked { runner } | Event::Received { runner, .. } => (runner, Contact::Answered),
            Event::SourceFailed { runner, error, .. } => (runner, Contact::Failed(error.clone())),
            Event::Draining { .. } => return self.draining(),
            _ => return,
        };
        let mut state = self.state();
        let Some(known) = state.runners.as_mut().and_then(|runners| runners.get_mut(runner)) else { return };
        // That it is asked again says nothing about a server that answered, or did not.
        if contact != Contact::Waits || *known == Contact::Unasked {
            *known = contact;
        }
    }

    /// Whether the manager is ready.
    ///
    /// # Errors
    /// It is not, and the text says why.
    pub(crate) fn readiness(&self) -> Result<(), String> {
        let state = self.state();
        if state.is_draining {
            return Err("draining: no more jobs are taken".to_owned());
        }
        let Some(runners) = &state.runners else { return Err("there is no config yet".to_owned()) };
        let is_answered = runners.values().any(|contact| *contact == Contact::Answered);
        if is_answered || runners.values().all(|contact| *contact == Contact::Waits) {
            return Ok(());
        }
        let failed = runners.iter().find_map(|(key, contact)| match contact {
            Contact::Failed(error) => Some(format!("runner {key}: {error}")),
            _ => None,
        });
        Err(failed.unwrap_or_else(|| "no server was asked for jobs yet".to_owned()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn asking(runner: &str) -> Event {
        Event::Asking { runner: runner.into() }
    }

    fn failed(runner: &str) -> Event {
        Event::SourceFailed { runner: runner.into(), error: "no".into(), again_in: Duration::ZERO }
    }

    #[test]
    fn it_is_ready_once_every_runner_waits_and_as_long_as_one_is_answered() {
        let health = Health::default();
        assert!(health.readiness().unwrap_err().contains("no config"));
        health.loaded(["a", "b"]);
        health.on_event(&asking("a"));
        assert!(health.readiness().is_err(), "b was not asked for");
        health.on_event(&asking("b"));
        assert_eq!(health.readiness(), Ok(()));
        health.on_event(&failed("a"));
        health.on_event(&asking("a"));
        assert_eq!(health.readiness(), Err("runner a: no".into()), "asking again is no answer");
        health.on_event(&Event::Asked { runner: "b".into() });
        assert_eq!(health.readiness(), Ok(()));
        health.on_event(&failed("b"));
        assert!(health.readiness().is_err());
    }

    #[test]
    fn another_config_keeps_what_is_known_of_its_runners() {
        let health = Health::default();
        health.loaded(["a"]);
        health.on_event(&Event::Asked { runner: "a".into() });
        health.loaded(["a", "b"]);
        assert_eq!(health.readiness(), Ok(()));
        health.loaded(["b"]);
        assert!(health.readiness().is_err());
        health.loaded([]);
        assert_eq!(health.readiness(), Ok(()), "nothing is to be asked");
    }

    #[test]
    fn it_is_not_ready_while_it_drains() {
        let health = Health::default();
        health.loaded([]);
        health.on_event(&Event::Draining { running: 1 });
        assert!(health.readiness().unwrap_err().contains("draining"));
    }
}
