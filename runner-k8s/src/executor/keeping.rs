//! What a job's course keeps in its Secret, before anybody hears of it.

use std::time::SystemTime;

use runner_core::{ErrorKind, Result, agent::LogStart};

use super::{course::Course, end::Found};
use crate::record::{Ending, Record, StoredWish};

impl Course {
    /// Whether that line is the last that an earlier process said.
    pub(super) fn was_said(&self, line: &str) -> bool {
        self.said_before.as_ref().is_some_and(|text| text.lines().any(|said| said.ends_with(line)))
    }

    /// Says something in the log, after it is stored.
    pub(super) async fn say(&mut self, text: &str, time: SystemTime) {
        self.said_before = None;
        let insertion = self.journal.insertion(text, time);
        let mut record = self.stored.record.clone();
        record.inserted.push(insertion.clone());
        self.store_or_warn(record).await;
        self.journal.insert(insertion);
    }

    /// Stores why the pod is about to be told to end.
    pub(super) async fn store_wish(&mut self, wish: StoredWish) {
        if self.stored.record.wish.is_some_and(|known| known >= wish) {
            return;
        }
        let record = Record { wish: Some(wish), ..self.stored.record.clone() };
        self.store_or_warn(record).await;
    }

    pub(super) async fn store_ending(&mut self, found: &Found, text: &str) {
        let insertion = self.journal.insertion(text, SystemTime::now());
        let mut record = self.stored.record.clone();
        record.inserted.push(insertion.clone());
        record.ending = Some(ending_of(found, None));
        self.store_or_warn(record).await;
        self.journal.insert(insertion);
    }

    /// Stores an end before the agent is told to hand over: only then is it known where the line about it belongs.
    pub(super) async fn store_end(&mut self, found: &Found) {
        let ending = Some(ending_of(found, found.line.clone()));
        let record = Record { ending, ..self.stored.record.clone() };
        self.store_or_warn(record).await;
    }

    async fn store_or_warn(&mut self, record: Record) {
        if let Err(error) = self.store(record).await {
            tracing::warn!(job = %self.job.id, error = error.chain(), "the state of a job is not stored");
        }
    }

    pub(super) async fn store(&mut self, record: Record) -> Result<()> {
        if self.agent_reports() {
            self.order.log_start = log_start(&record);
        }
        let secret = self.stored.changed(&record, &self.order, None)?;
        self.stored.record = record;
        let (cluster, namespace) = (&self.cluster, &self.stored.namespace);
        let stored = match cluster.replace_secret(namespace, &secret).await {
            Err(error) if error.kind() == ErrorKind::NotFound && self.shared.owner().is_some() => {
                return self.give_up("it is gone").await;
            }
            // Another manager has the job; else an earlier try of this very change was applied, and its answer was lost.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let Some(newer) = cluster.secret(namespace, self.stored.name()).await? else {
                    return Err(error);
                };
                if self.shared.replicas.as_ref().is_some_and(|replicas| replicas.was_taken(&newer)) {
                    return self.give_up("another manager has it").await;
                }
                let mut secret = secret;
                secret.metadata.resource_version = newer.metadata.resource_version;
                cluster.replace_secret(namespace, &secret).await?
            }
            stored => stored?,
        };
        self.stored.secret = stored;
        Ok(())
    }

    /// Nothing more is done for the job by this process.
    async fn give_up<T>(&self, why: &str) -> T {
        tracing::warn!(job = %self.job.id, "the job is given up: {why}");
        self.given_up.cancel();
        std::future::pending().await
    }
}

fn ending_of(found: &Found, line: Option<String>) -> Ending {
    Ending { outcome: found.outcome.clone(), script_begun: found.script_begun, line }
}

/// Where the log of the agent of a stored job begins.
fn log_start(record: &Record) -> LogStart {
    let text = record.inserted.iter().filter(|insertion| insertion.at == 0);
    LogStart { before: record.before, text: text.map(|insertion| insertion.text.as_str()).collect() }
}
