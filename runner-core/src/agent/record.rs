//! What an agent tells.

use serde::{Deserialize, Serialize};

use crate::{JobEnd, Phase, PhaseRecord};

/// How a job ended, as its agent knows it. Where there is none, nobody may call the job a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRecord {
    /// Which try at running the job it is about.
    pub attempt: u32,
    /// The end.
    pub end: JobEnd,
    /// The agent was told from outside to stop, and does not know why: whoever stopped it does.
    pub stopped_from_outside: bool,
    /// What runs the scripts went away. Its own status may say why.
    pub build_lost: bool,
}

impl EndRecord {
    /// The record as text of at most `most` bytes: what is long and can be done without is left out.
    pub fn to_text(&self, most: usize) -> String {
        let mut record = self.clone();
        let text = |record: &Self| serde_json::to_string(record).unwrap_or_default();
        let full = text(&record);
        if full.len() <= most {
            return full;
        }
        record.end.phases.clear();
        if let crate::JobOutcome::Failed(failure) = &mut record.end.outcome {
            let end = failure.message.char_indices().map(|(at, _)| at).nth(most / 8);
            failure.message.truncate(end.unwrap_or(failure.message.len()));
        }
        text(&record)
    }

    /// The record of a text; `None` where it is none.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// Something that happened to a job, as its agent tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentEvent {
    /// Nothing happened for a while; the agent is there.
    Alive,
    /// A phase began.
    PhaseStarted(Phase),
    /// A phase ended.
    PhaseEnded(PhaseRecord),
    /// Something a person should know.
    Notice(String),
    /// A service did not come up: the number in [`Order::services`](super::Order::services).
    ServiceMissing(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FailureReason, JobOutcome, outcome::LogDigest};

    #[test]
    fn a_record_survives_its_text_and_fits() {
        let outcome = JobOutcome::failed(FailureReason::RunnerSystemFailure, "ä".repeat(10_000));
        let end = JobEnd {
            outcome,
            reported: false,
            script_begun: true,
            log: Some(LogDigest { size: 7, crc32: 9 }),
            phases: Vec::new(),
        };
        let record = EndRecord { attempt: 2, end, stopped_from_outside: true, build_lost: false };
        assert_eq!(EndRecord::from_text(&record.to_text(usize::MAX)), Some(record.clone()));
        let short = record.to_text(4096);
        assert!(short.len() <= 4096, "{}", short.len());
        let read = EndRecord::from_text(&short).unwrap();
        assert_eq!((read.attempt, read.end.log), (2, record.end.log));
        assert!(!read.end.outcome.is_success());
    }

    #[test]
    fn half_a_record_is_none() {
        assert_eq!(EndRecord::from_text("{\"attempt\":1"), None);
        assert_eq!(EndRecord::from_text(""), None);
    }
}
