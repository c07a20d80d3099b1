use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Waker},
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;

use super::*;
use crate::{Error, ErrorKind, Result};

fn fixed() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_323_045)
}

const PLAIN: LogLimits = LogLimits { size: u64::MAX, timestamps: false, interval: Duration::ZERO };

fn log_with(limits: &LogLimits, sections: bool, secrets: &[&str]) -> (JobLog, Arc<MemorySpool>) {
    let spool = Arc::new(MemorySpool::new());
    let masks = Masks::new(secrets.iter().map(|secret| (*secret).to_owned()), ["glpat-".to_owned()]);
    let log = JobLog::with_clock(limits, masks, sections, Arc::clone(&spool) as _, fixed);
    (log, spool)
}

async fn all_of(spool: &dyn LogSpool) -> String {
    String::from_utf8(spool.read(0, usize::MAX).await.unwrap().to_vec()).unwrap()
}

/// The text of the finished log, whose digest is checked.
async fn finished(log: &JobLog, spool: &dyn LogSpool) -> String {
    let digest = log.finish().await;
    let text = all_of(spool).await;
    assert_eq!(digest, LogDigest { size: text.len() as u64, crc32: crc32fast::hash(text.as_bytes()) });
    assert_eq!(log.finish().await, digest);
    text
}

#[tokio::test]
async fn a_log_is_masked_repaired_and_marked() {
    let (log, spool) = log_with(&PLAIN, true, &["hunter2"]);
    log.section_start("prepare_executor", "Preparing with hunter2").await;
    log.output(b"half hun").await;
    log.output(b"ter2 \xe2\x82").await;
    log.output(b"\xac \xff").await;
    log.section_end("prepare_executor").await;
    log.collapsed_section_start("a b", "More").await;
    log.line("Job succeeded").await;
    let expected = "section_start:1767323045:prepare_executor\r\u{1b}[0KPreparing with [MASKED]\n\
        half [MASKED] \u{20ac} \u{fffd}\nsection_end:1767323045:prepare_executor\r\u{1b}[0K\n\
        section_start:1767323045:a_b[collapsed=true]\r\u{1b}[0KMore\nJob succeeded\n";
    assert_eq!(finished(&log, &*spool).await, expected);
}

#[tokio::test]
async fn a_reader_without_sections_sees_only_their_headers() {
    let (log, spool) = log_with(&PLAIN, false, &[]);
    log.section_start("a", "Header").await;
    log.section_end("a").await;
    assert_eq!(finished(&log, &*spool).await, "Header\n");
}

#[tokio::test]
async fn each_line_has_a_timestamp_where_asked_for() {
    let (log, spool) = log_with(&LogLimits { timestamps: true, ..PLAIN }, true, &["03:04"]);
    log.section_start("a", "Header").await;
    log.output(b"one\ntw").await;
    log.line("we").await;
    log.output(b"o 03:04\n").await;
    let expected = "T 00O section_start:1767323045:a\r\u{1b}[0KHeader\nT 01O one\nT 01O tw\nT 00O we\n\
        T 01O+o [MASKED]\n";
    assert_eq!(finished(&log, &*spool).await.replace("2026-01-02T03:04:05.000000Z", "T"), expected);
}

#[tokio::test]
async fn a_prompt_shows_at_once_but_the_beginning_of_a_secret_waits() {
    let (log, spool) = log_with(&PLAIN, false, &["hunter2"]);
    log.output(b"Password: ").await;
    assert_eq!(all_of(&*spool).await, "Password: ");
    log.output(b"hunter").await;
    log.line("a line between").await;
    log.output(b"2").await;
    assert_eq!(finished(&log, &*spool).await, "Password: \na line between\n[MASKED]");
}

#[tokio::test]
async fn what_looks_like_a_secret_at_the_end_of_a_section_shows_before_its_end() {
    let (log, spool) = log_with(&PLAIN, true, &["hunter2"]);
    log.output(b"hunt").await;
    log.section_end("a").await;
    assert_eq!(finished(&log, &*spool).await, "hunt\nsection_end:1767323045:a\r\u{1b}[0K\n");
}

#[tokio::test]
async fn the_digest_is_of_the_log_as_it_was_cut() {
    let (log, spool) = log_with(&LogLimits { size: 8000, timestamps: true, ..PLAIN }, true, &[]);
    for number in 0..1000 {
        log.output(format!("line {number}\n").as_bytes()).await;
    }
    let text = finished(&log, &*spool).await;
    assert!(text.len() <= 8000);
    assert!(text.ends_with("01O line 999\n"));
    assert!(text.lines().filter(|line| !line.is_empty()).all(|line| line.starts_with("2026-01-02T03:04:05")));
}

#[tokio::test]
async fn nothing_is_written_after_the_end() {
    let (log, spool) = log_with(&PLAIN, true, &[]);
    log.line("before").await;
    let digest = log.finish().await;
    log.output(b"after").await;
    log.line("after").await;
    log.section_end("after").await;
    assert_eq!((log.finish().await, all_of(&*spool).await), (digest, "before\n".to_owned()));
}

#[tokio::test]
async fn a_write_that_is_dropped_while_it_waits_loses_nothing() {
    let spool = Arc::new(MemorySpool::bounded(4));
    let log = JobLog::with_clock(&PLAIN, Masks::default(), false, Arc::clone(&spool) as _, fixed);
    log.output(b"1234").await;
    {
        let mut write = pin!(log.output(b"5678"));
        assert!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(spool.end(), 4);
    spool.acknowledge(4).await;
    assert_eq!(log.finish().await, LogDigest { size: 8, crc32: crc32fast::hash(b"12345678") });
    assert_eq!(spool.read(4, 100).await.unwrap(), "5678");
}

/// A spool that takes nothing while it is full.
#[derive(Debug, Default)]
struct Failing {
    is_full: AtomicBool,
    kept: MemorySpool,
}

#[async_trait]
impl LogSpool for Failing {
    async fn append(&self, bytes: Bytes) -> Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Exhausted, "write the log"));
        }
        self.kept.append(bytes).await
    }
    async fn read(&self, from: u64, most: usize) -> Result<Bytes> {
        self.kept.read(from, most).await
    }
    async fn acknowledge(&self, upto: u64) {
        self.kept.acknowledge(upto).await;
    }
    async fn discard(&self) {
        self.kept.discard().await;
    }
    fn end(&self) -> u64 {
        self.kept.end()
    }
    async fn wait_beyond(&self, number: u64) -> u64 {
        self.kept.wait_beyond(number).await
    }
}

#[tokio::test]
async fn what_a_full_spool_does_not_take_is_said_once() {
    let spool = Arc::new(Failing::default());
    let log = JobLog::with_clock(&PLAIN, Masks::default(), false, Arc::clone(&spool) as _, fixed);
    log.line("first").await;
    spool.is_full.store(true, Ordering::SeqCst);
    log.output(&[b'x'; 100]).await;
    log.output(&[b'x'; 100]).await;
    spool.is_full.store(false, Ordering::SeqCst);
    log.output(b"more\n").await;
    log.line("last").await;
    let expected = "first\n\n\u{1b}[33;1m... 200 bytes of the log are lost ...\u{1b}[0;m\nmore\nlast\n";
    assert_eq!(finished(&log, &*spool).await, expected);
}
