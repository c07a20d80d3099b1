//! What the source knows of its jobs, and every promise that was broken to it. Pure: time is given.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use runner_core::{JobOutcome, JobSpec, outcome::LogDigest};

use super::wire::{Action, Answer, Applied, Call, Ended, Ticket, What};

/// How the source treats a job.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plan {
    /// It wants the job canceled so long after it was accepted.
    pub cancel_after: Option<Duration>,
    /// How long after its holder died a job that was not accepted is handed out again.
    pub back_after: Duration,
    /// Whoever speaks of the job after its end hears that it is gone; otherwise the same is answered again.
    pub forgets: bool,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits, from this time on.
    Queued(Instant),
    /// It was handed out to this holder, and not accepted.
    Held(u64),
    /// It was accepted, at this time.
    Accepted(Instant),
    /// Its end was told.
    Ended,
}

/// All that is known of one job.
#[derive(Debug, Clone)]
pub struct Account {
    /// The job.
    pub spec: JobSpec,
    /// How it is treated.
    pub plan: Plan,
    /// Where it is.
    pub state: State,
    /// How often it was handed out.
    pub lease: u64,
    /// How often it was accepted.
    pub accepts: u64,
    /// When it was accepted first.
    pub accepted: Option<Instant>,
    /// Its log.
    pub log: Vec<u8>,
    /// How often its log was not the one of its digest.
    pub resends: u64,
    /// It ended with a log whose digest nobody knew.
    pub without_digest: bool,
    /// The first end that was told.
    pub outcome: Option<JobOutcome>,
    /// How often an end was told.
    pub completions: u64,
}

/// A promise that was broken to the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Of which job.
    pub job: String,
    /// How.
    pub what: String,
}

/// All jobs of a source.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: BTreeMap<String, Account>,
    closed: bool,
    violations: Vec<Violation>,
}

impl Ledger {
    /// Adds a job, which is handed out to the next who asks.
    pub fn add(&mut self, spec: JobSpec, plan: Plan) {
        let id = spec.id.as_str().to_owned();
        let state = State::Queued(Instant::now());
        let account = Account {
            spec,
            plan,
            state,
            lease: 0,
            accepts: 0,
            accepted: None,
            log: Vec::new(),
            resends: 0,
            without_digest: false,
            outcome: None,
            completions: 0,
        };
        self.accounts.insert(id, account);
    }

    /// No more jobs are added: when all are accepted, the source is exhausted.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The jobs.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// One job.
    pub fn account(&self, job: &str) -> Option<&Account> {
        self.accounts.get(job)
    }

    /// The promises that were broken so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Whether there is a job that nobody has.
    pub fn has_queued(&self) -> bool {
        self.accounts.values().any(|account| matches!(account.state, State::Queued(_)))
    }

    /// How many jobs have not ended.
    pub fn open(&self) -> usize {
        self.accounts.values().filter(|account| account.state != State::Ended).count()
    }

    /// A holder is no more: what it had not accepted goes back.
    pub fn holder_died(&mut self, holder: u64, now: Instant) {
        for account in self.accounts.values_mut() {
            if account.state == State::Held(holder) {
                account.state = State::Queued(now + account.plan.back_after);
            }
        }
    }

    /// Answers a call; `None` where the answer of [`What::Next`] is to wait.
    pub(super) fn answer(&mut self, call: &Call, body: &[u8], now: Instant) -> Option<Answer> {
        match &call.what {
            What::Next => self.next(call.holder, now),
            What::Accept(ticket) => Some(self.accept(ticket, now)),
            What::Append { ticket, offset, .. } => Some(self.append(ticket, *offset, body, now)),
            What::Heartbeat(ticket) => Some(match self.current(ticket) {
                Some(account) => Answer::Wish(account.action(now)),
                None => Answer::Gone,
            }),
            What::Complete { ticket, outcome, digest } => {
                Some(Answer::Completion(self.complete(ticket, outcome, *digest)))
            }
        }
    }

    /// The answer where nothing came up.
    pub(super) fn nothing(&self) -> Answer {
        let all_taken =
            self.accounts.values().all(|account| matches!(account.state, State::Accepted(_) | State::Ended));
        Answer::NoJob { exhausted: self.closed && all_taken }
    }

    fn next(&mut self, holder: u64, now: Instant) -> Option<Answer> {
        let is_due = |account: &&mut Account| matches!(account.state, State::Queued(from) if from <= now);
        if let Some(account) = self.accounts.values_mut().find(is_due) {
            account.state = State::Held(holder);
            account.lease += 1;
            return Some(Answer::Job { spec: Box::new(account.spec.clone()), lease: account.lease });
        }
        match self.nothing() {
            Answer::NoJob { exhausted: false } => None,
            exhausted => Some(exhausted),
        }
    }

    /// The job of a ticket that is still good: a job that went back and was handed out again has another one.
    fn current(&mut self, ticket: &Ticket) -> Option<&mut Account> {
        let account = self.accounts.get_mut(&ticket.job)?;
        let is_over = account.state == State::Ended && account.plan.forgets;
        (account.lease == ticket.lease && !is_over).then_some(account)
    }

    fn accept(&mut self, ticket: &Ticket, now: Instant) -> Answer {
        let Some(account) = self.current(ticket) else { return Answer::Gone };
        match account.state {
            // It went back at once, so that another one may have it.
            State::Queued(from) if from <= now => return Answer::Gone,
            State::Queued(_) | State::Held(_) => account.state = State::Accepted(now),
            State::Accepted(_) | State::Ended => {}
        }
        account.accepts += 1;
        account.accepted.get_or_insert(now);
        Answer::Wish(account.action(now))
    }

    fn append(&mut self, ticket: &Ticket, offset: u64, bytes: &[u8], now: Instant) -> Answer {
        let Some(account) = self.current(ticket) else { return Answer::Gone };
        let size = account.log.len() as u64;
        let action = account.action(now);
        let (ack, broken) = match account.state {
            _ if offset != size => (Applied::Rewind(size), None),
            State::Accepted(_) => {
                account.log.extend_from_slice(bytes);
                (Applied::UpTo(account.log.len() as u64), None)
            }
            State::Ended => (Applied::Closed, Some("there was log after the end")),
            State::Queued(_) | State::Held(_) => {
                (Applied::Closed, Some("there was log before the job was accepted"))
            }
        };
        if let Some(what) = broken {
            self.violated(&ticket.job, format!("{what}: {:?}", String::from_utf8_lossy(bytes)));
        }
        Answer::Log { ack, action }
    }

    fn complete(&mut self, ticket: &Ticket, outcome: &JobOutcome, digest: Option<LogDigest>) -> Ended {
        let Some(account) = self.current(ticket) else { return Ended::Gone };
        let crc32 = crc32fast::hash(&account.log);
        let is_accepted = matches!(account.state, State::Accepted(_) | State::Ended);
        account.without_digest = digest.is_none();
        if digest.is_some_and(|digest| digest != LogDigest { size: account.log.len() as u64, crc32 }) {
            account.resends += 1;
            if account.state != State::Ended {
                account.log.clear();
            }
            return Ended::ResendLog;
        }
        account.completions += 1;
        account.state = State::Ended;
        let first = account.outcome.get_or_insert_with(|| outcome.clone()).clone();
        if first != *outcome {
            self.violated(&ticket.job, format!("it ended twice: {first:?}, {outcome:?}"));
        }
        if !is_accepted {
            self.violated(&ticket.job, format!("it ended before it was accepted: {outcome:?}"));
        }
        Ended::Done
    }

    /// Notes a broken promise.
    pub fn violated(&mut self, job: &str, what: String) {
        self.violations.push(Violation { job: job.to_owned(), what });
    }
}

impl Account {
    fn action(&self, now: Instant) -> Action {
        let State::Accepted(since) = self.state else { return Action::GoOn };
        match self.plan.cancel_after {
            Some(after) if now >= since + after => Action::Cancel,
            _ => Action::GoOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(ledger: &mut Ledger, what: What, body: &[u8], now: Instant) -> Option<Answer> {
        ledger.answer(&Call { holder: 1, what }, body, now)
    }

    fn ticket(lease: u64) -> Ticket {
        Ticket { job: "1".into(), lease }
    }

    #[test]
    fn a_job_that_was_not_accepted_goes_back_with_another_ticket() {
        let mut ledger = Ledger::default();
        ledger.add(JobSpec::new("1", "job"), Plan::default());
        let now = Instant::now();
        assert!(matches!(call(&mut ledger, What::Next, b"", now), Some(Answer::Job { lease: 1, .. })));
        assert!(call(&mut ledger, What::Next, b"", now).is_none());
        ledger.holder_died(1, now);
        let answer = call(&mut ledger, What::Accept(ticket(1)), b"", now);
        assert!(matches!(answer, Some(Answer::Gone)));
        assert!(matches!(call(&mut ledger, What::Next, b"", now), Some(Answer::Job { lease: 2, .. })));
        let answer = call(&mut ledger, What::Accept(ticket(2)), b"", now);
        assert!(matches!(answer, Some(Answer::Wish(Action::GoOn))));
        ledger.holder_died(1, now);
        assert!(call(&mut ledger, What::Next, b"", now).is_none());
    }

    #[test]
    fn each_byte_is_applied_once_and_the_end_needs_all_of_them() {
        let mut ledger = Ledger::default();
        ledger.add(JobSpec::new("1", "job"), Plan::default());
        let now = Instant::now();
        drop(call(&mut ledger, What::Next, b"", now));
        drop(call(&mut ledger, What::Accept(ticket(1)), b"", now));
        let append = |offset| What::Append { ticket: ticket(1), offset, length: 2 };
        drop(call(&mut ledger, append(0), b"ab", now));
        let answer = call(&mut ledger, append(0), b"ab", now);
        assert!(matches!(answer, Some(Answer::Log { ack: Applied::Rewind(2), .. })));
        let outcome = JobOutcome::Succeeded;
        let complete = |crc32| What::Complete {
            ticket: ticket(1),
            outcome: outcome.clone(),
            digest: Some(LogDigest { size: 2, crc32 }),
        };
        let answer = call(&mut ledger, complete(crc32fast::hash(b"ab")), b"", now);
        assert!(matches!(answer, Some(Answer::Completion(Ended::Done))));
        assert!(ledger.violations().is_empty());
        let answer = call(&mut ledger, append(2), b"cd", now);
        assert!(matches!(answer, Some(Answer::Log { ack: Applied::Closed, .. })));
        assert_eq!(ledger.violations().len(), 1);
    }
}
