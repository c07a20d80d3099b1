use std::{collections::VecDeque, sync::atomic::AtomicUsize, sync::atomic::Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{FailureReason, log::MemorySpool};

/// What a source does with one call.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    /// Nothing is applied, no answer comes.
    LostCall,
    /// It is applied, but the answer is lost.
    LostReply,
    /// Only so many bytes are applied.
    Partly(usize),
    /// The source has lost all but so many bytes.
    Forgets(usize),
    /// The source takes no more.
    Closes,
    /// It is refused for good.
    Refuses,
}

#[derive(Debug, Default)]
struct Source {
    log: Vec<u8>,
    faults: VecDeque<Fault>,
    calls: Vec<(u64, usize, Instant)>,
    wishes: VecDeque<Wish>,
    beats: Vec<Instant>,
    completions: VecDeque<Result<Completion>>,
    /// Nothing is accepted before.
    away_until: Option<Instant>,
}

#[derive(Debug, Default)]
struct FakeReport(Mutex<Source>, AtomicUsize);

impl FakeReport {
    fn source(&self) -> MutexGuard<'_, Source> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn away() -> Error {
    Error::new(ErrorKind::Unavailable, "reach the server")
}

#[async_trait]
impl JobReport for FakeReport {
    async fn accept(&self) -> Result<Wish> {
        match self.source().away_until {
            Some(until) if Instant::now() < until => Err(away()),
            _ => Ok(Wish::default()),
        }
    }

    async fn append_log(&self, offset: u64, bytes: Bytes) -> Result<LogReply> {
        let mut source = self.source();
        source.calls.push((offset, bytes.len(), Instant::now()));
        let fault = source.faults.pop_front().unwrap_or(Fault::None);
        let wish = source.wishes.pop_front().unwrap_or_default();
        let applied = match fault {
            Fault::LostCall => return Err(away()),
            Fault::Refuses => return Err(Error::new(ErrorKind::Invalid, "append to the log")),
            Fault::Closes => return Ok(LogReply { ack: LogAck::Closed, wish }),
            Fault::Forgets(left) => {
                source.log.truncate(left);
                0
            }
            Fault::Partly(length) => length.min(bytes.len()),
            Fault::None | Fault::LostReply => bytes.len(),
        };
        let has = source.log.len() as u64;
        if has != offset {
            return Ok(LogReply { ack: LogAck::Rewind(has), wish });
        }
        source.log.extend_from_slice(bytes.get(..applied).unwrap_or_default());
        if matches!(fault, Fault::LostReply) {
            return Err(away());
        }
        Ok(LogReply { ack: LogAck::UpTo(source.log.len() as u64), wish })
    }

    async fn heartbeat(&self, _: JobState) -> Result<Wish> {
        let mut source = self.source();
        source.beats.push(Instant::now());
        Ok(source.wishes.pop_front().unwrap_or_default())
    }

    async fn complete(&self, _: &JobOutcome, _: Option<LogDigest>) -> Result<Completion> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.source().completions.pop_front().unwrap_or(Ok(Completion::Done))
    }
}

struct Bench {
    report: Arc<FakeReport>,
    spool: Arc<MemorySpool>,
    reporter: Reporter,
    finished: CancellationToken,
    start: Instant,
}

fn bench(interval: Duration, spool: MemorySpool) -> Bench {
    let (report, spool) = (Arc::new(FakeReport::default()), Arc::new(spool));
    let reporter = Reporter::new(Arc::clone(&report) as _, Arc::clone(&spool) as _, interval);
    Bench { report, spool, reporter, finished: CancellationToken::new(), start: Instant::now() }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_job_is_accepted_after_an_outage_of_a_minute() {
    let report = FakeReport::default();
    let back = Instant::now() + 60 * SECOND;
    report.source().away_until = Some(back);
    accept(&report, ACCEPTANCE).await.unwrap();
    assert!(back.elapsed() <= LONGEST_ACCEPT_PAUSE);
}

#[tokio::test(start_paused = true)]
async fn who_has_little_patience_asks_no_longer_than_that() {
    let (report, start) = (FakeReport::default(), Instant::now());
    report.source().away_until = Some(start + 60 * SECOND);
    assert!(accept(&report, 4 * SECOND).await.is_err());
    assert!(start.elapsed() <= 4 * SECOND);
}

impl Bench {
    async fn print(&self, text: &str) {
        self.spool.append(Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
    }

    /// Runs the reporter, and `script` beside it, after which the log is finished.
    async fn run(&self, script: impl Future<Output = ()>) {
        let script = async {
            script.await;
            self.finished.cancel();
        };
        tokio::join!(self.reporter.run(&self.finished), script);
    }

    fn log(&self) -> String {
        String::from_utf8(self.report.source().log.clone()).unwrap()
    }

    /// When log was sent, in seconds from the start.
    fn sent_at(&self) -> Vec<f64> {
        self.report.source().calls.iter().map(|(_, _, at)| (*at - self.start).as_secs_f64()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn log_is_sent_at_intervals_and_what_is_left_at_the_end() {
    let bench = bench(3 * SECOND, MemorySpool::new());
    let script = async {
        for _ in 0..5 {
            bench.print("x").await;
            tokio::time::sleep(SECOND).await;
        }
    };
    bench.run(script).await;
    assert_eq!(bench.log(), "xxxxx");
    assert_eq!(bench.sent_at(), [0.0, 3.0, 5.0]);
}

#[tokio::test(start_paused = true)]
async fn the_source_sets_the_interval() {
    let bench = bench(3 * SECOND, MemorySpool::new());
    let wish = |interval| Wish { action: WishAction::GoOn, interval };
    bench.report.source().wishes =
        [wish(Some(SECOND * 41 / 4)), wish(None), wish(Some(Duration::ZERO))].into_iter().collect();
    let script = async {
        for _ in 0..26 {
            bench.print("x").await;
            tokio::time::sleep(SECOND).await;
        }
    };
    bench.run(script).await;
    assert_eq!(bench.sent_at(), [0.0, 10.25, 20.5, 21.0, 22.0, 23.0, 24.0, 25.0]);
}

#[tokio::test(start_paused = true)]
async fn a_whole_chunk_does_not_wait_for_the_interval() {
    let bench = bench(60 * SECOND, MemorySpool::bounded(3 << 20));
    let script = async {
        for _ in 0..10 {
            bench.print(&"x".repeat(1 << 20)).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    bench.run(script).await;
    assert_eq!(bench.log().len(), 10 << 20);
    assert!(bench.sent_at().last().unwrap() < &1.0);
    assert!(bench.report.source().calls.iter().all(|(_, length, _)| *length <= CHUNK));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_read_again_adds_only_what_the_source_lacks() {
    let bench = bench(Duration::ZERO, MemorySpool::bounded(16).starting_at(10));
    let bench = Bench { reporter: bench.reporter.resumed(10), ..bench };
    bench.report.source().log = "0123456789abcdefghij".into();
    let script = async {
        for letter in 'a'..='z' {
            bench.print(&letter.to_string().repeat(7)).await;
            tokio::time::sleep(SECOND).await;
        }
    };
    bench.run(script).await;
    let again: String = ('a'..='z').flat_map(|letter| [letter; 7]).collect();
    assert_eq!(bench.log(), format!("0123456789abcdefghij{}", again.get(10..).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn while_somebody_else_writes_nothing_is_sent_and_afterwards_what_is_missing() {
    let bench = bench(Duration::ZERO, MemorySpool::new());
    let script = async {
        bench.print("ours,").await;
        tokio::time::sleep(SECOND).await;
        bench.reporter.set_duty(Duty::Heartbeats);
        bench.print("theirs,").await;
        tokio::time::sleep(40 * SECOND).await;
        assert!(bench.reporter.has_sent(5) && !bench.reporter.has_sent(6));
        bench.reporter.set_duty(Duty::Nothing);
        // The other one writes what is to be read again here later, and more.
        bench.report.source().log.extend(b"theirs,and more,");
        tokio::time::sleep(100 * SECOND).await;
        assert_eq!(bench.report.source().calls.len(), 1);
        assert_eq!(bench.report.source().beats.len(), 1);
        bench.reporter.set_duty(Duty::Everything);
        tokio::time::sleep(SECOND).await;
        bench.print("and more,the end").await;
    };
    bench.run(script).await;
    assert_eq!(bench.log(), "ours,theirs,and more,the end");
}

#[tokio::test(start_paused = true)]
async fn of_a_job_that_somebody_else_reports_nothing_is_sent_at_its_end() {
    let bench = bench(Duration::ZERO, MemorySpool::new());
    bench.reporter.set_duty(Duty::Nothing);
    bench.run(bench.print("x")).await;
    assert_eq!(bench.log(), "");
}

#[tokio::test(start_paused = true)]
async fn a_silent_job_beats() {
    let bench = bench(3 * SECOND, MemorySpool::new());
    let script = async {
        tokio::time::sleep(20 * SECOND).await;
        bench.print("x").await;
        tokio::time::sleep(65 * SECOND).await;
    };
    bench.run(script).await;
    let beats: Vec<_> = bench.report.source().beats.iter().map(|at| (*at - bench.start).as_secs()).collect();
    assert_eq!(beats, [50, 80]);
}

#[tokio::test(start_paused = true)]
async fn wishes_never_become_milder() {
    let bench = bench(SECOND, MemorySpool::new());
    let wish = |action| Wish { action, interval: None };
    bench.report.source().wishes =
        [wish(WishAction::CancelGracefully), wish(WishAction::GoOn)].into_iter().collect();
    let script = async {
        bench.print("a").await;
        tokio::time::sleep(2 * SECOND).await;
        bench.print("b").await;
        tokio::time::sleep(2 * SECOND).await;
    };
    bench.run(script).await;
    assert_eq!(*bench.reporter.wishes().borrow(), WishAction::CancelGracefully);
    assert_eq!(bench.log(), "ab");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_for_a_job_that_is_to_be_aborted() {
    let bench = bench(SECOND, MemorySpool::bounded(4));
    let abort = Wish { action: WishAction::Abort, interval: None };
    bench.report.source().wishes.push_back(abort);
    // The writer must not wait for room that nobody makes.
    bench
        .run(async {
            bench.print("first").await;
            bench.print("second").await;
            bench.print("third").await;
        })
        .await;
    assert_eq!(bench.report.source().calls.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_away_for_hours_gets_everything_in_the_end() {
    let bench = bench(3 * SECOND, MemorySpool::new());
    bench.report.source().faults = vec![Fault::LostCall; 200].into();
    bench.run(bench.print("everything")).await;
    assert_eq!(bench.log(), "everything");
    assert!(bench.start.elapsed() > 3 * 3600 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_closed_or_refused_log_ends_quietly_and_beats_go_on() {
    for fault in [Fault::Closes, Fault::Refuses] {
        let bench = bench(SECOND, MemorySpool::bounded(4));
        bench.report.source().faults.push_back(fault);
        let script = async {
            for _ in 0..10 {
                bench.print("more than there is room for").await;
                tokio::time::sleep(10 * SECOND).await;
            }
        };
        bench.run(script).await;
        assert_eq!(bench.report.source().calls.len(), 1, "{fault:?}");
        assert_eq!(bench.report.source().beats.len(), 3, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rewind_to_bytes_that_are_dropped_ends_and_does_not_loop() {
    let bench = bench(Duration::ZERO, MemorySpool::bounded(4));
    bench.report.source().faults = [Fault::None, Fault::None, Fault::Forgets(1)].into_iter().collect();
    bench
        .run(async {
            bench.print("1234").await;
            bench.print("5678").await;
            bench.print("9").await;
        })
        .await;
    assert_eq!(bench.report.source().calls.len(), 3);
    bench.report.source().completions.push_back(Ok(Completion::ResendLog(0)));
    let error = bench.reporter.complete(&JobOutcome::Succeeded, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_reported_until_it_is_applied() {
    let bench = bench(SECOND, MemorySpool::new());
    bench.run(bench.print("the log")).await;
    bench.report.source().log.truncate(3);
    let replies =
        [Err(away()), Ok(Completion::NotYet(4 * SECOND)), Ok(Completion::ResendLog(3)), Err(away())];
    bench.report.source().completions = replies.into_iter().collect();
    let outcome = JobOutcome::failed(FailureReason::UnknownFailure, "x");
    let completion = bench.reporter.complete(&outcome, None).await.unwrap();
    assert_eq!(completion, Completion::Done);
    assert_eq!(bench.log(), "the log");
    assert_eq!(bench.start.elapsed(), Duration::from_millis(4200));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_comes_to_terms_with_the_log_is_an_error() {
    let bench = bench(SECOND, MemorySpool::new());
    bench.report.source().completions = (0..100).map(|_| Ok(Completion::ResendLog(0))).collect();
    let error = bench.reporter.complete(&JobOutcome::Succeeded, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    bench.report.source().completions = [Err(Error::new(ErrorKind::Unauthorized, "x"))].into_iter().collect();
    let error = bench.reporter.complete(&JobOutcome::Succeeded, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::None),
        2 => Just(Fault::LostCall),
        2 => Just(Fault::LostReply),
        1 => (0_usize..3000).prop_map(Fault::Partly),
        1 => (0_usize..9000).prop_map(Fault::Forgets),
    ]
}

proptest! {
    #[test]
    fn whatever_fails_the_log_arrives_whole_and_once(
        faults in vec(fault(), 0..60),
        pieces in vec((1_usize..2000, 0_u64..2000), 0..30),
        interval in 0_u64..4000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (sent, expected) = runtime.block_on(async {
            let bench = bench(Duration::from_millis(interval), MemorySpool::new());
            bench.report.source().faults = faults.into();
            let mut expected = String::new();
            for (number, (length, _)) in pieces.iter().enumerate() {
                expected.extend((0..*length).map(|at| char::from(b'a' + u8::try_from((at + number) % 26).unwrap())));
            }
            let script = async {
                let mut rest = expected.as_str();
                for (length, wait) in &pieces {
                    let (piece, later) = rest.split_at(*length);
                    bench.print(piece).await;
                    tokio::time::sleep(Duration::from_millis(*wait)).await;
                    rest = later;
                }
            };
            bench.run(script).await;
            (bench.log(), expected.clone())
        });
        prop_assert_eq!(sent, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_job_beats_as_often_as_the_source_wants_to_hear() {
    let bench = bench(SECOND, MemorySpool::new());
    let wish = |seconds| Wish { action: WishAction::GoOn, interval: Some(Duration::from_secs(seconds)) };
    bench.report.source().wishes = [wish(10), wish(10), wish(1), wish(1)].into_iter().collect();
    let script = async {
        bench.print("x").await;
        tokio::time::sleep(27 * SECOND).await;
    };
    bench.run(script).await;
    let beats: Vec<_> = bench.report.source().beats.iter().map(|at| (*at - bench.start).as_secs()).collect();
    assert_eq!(beats, [10, 20, 23, 26]);
}
