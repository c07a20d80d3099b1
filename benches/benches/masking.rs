//! Masking against one pass of `memchr` over the same text, and how fast a whole log passes through memory.

use std::sync::Arc;

use benches::masking_corpus::{
    CORPUS_SIZE, Speeds, WRITE_SIZE, bytes_per_second, corpus, measure, secrets, timed,
};
use runner_core::{
    executor::LogLimits,
    log::{DEFAULT_TOKEN_PREFIXES, JobLog, LogSpool, Masks, MemorySpool},
};

/// Each measurement is repeated this often.
const ROUNDS: usize = 7;

/// What a spool holds at most.
const SPOOL: usize = 8 << 20;

fn main() {
    let secrets = secrets();
    let text = corpus(CORPUS_SIZE, &secrets);
    let tokens = || DEFAULT_TOKEN_PREFIXES.map(str::to_owned);
    let short = ["pass", "x7", "hunter2", "abc12", "s3cr3t"].map(str::to_owned);
    let masks = Masks::new(secrets.clone(), tokens());
    print_masking("50 secrets", &text, &Masks::new(secrets.clone(), []));
    print_masking("50 secrets and GitLab's token prefixes", &text, &masks);
    print_masking(
        "50 secrets, tokens of an own prefix",
        &text,
        &Masks::new(secrets.clone(), ["acme-".to_owned()]),
    );
    print_masking(
        "50 secrets, and 5 shorter than 8 bytes",
        &text,
        &Masks::new(secrets.into_iter().chain(short), tokens()),
    );
    print_masking("no secrets", &text, &Masks::new([], []));
    for timestamps in [false, true] {
        print_log(timestamps, &text, &masks);
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn print_masking(what: &str, text: &[u8], masks: &Masks) {
    let speeds = measure(text, masks, ROUNDS);
    let Speeds { memchr, masking, ratio } = speeds;
    println!("masking, {what}: {:.1} GB/s, {ratio:.2} of memchr's {:.1} GB/s", masking / 1e9, memchr / 1e9);
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn print_log(timestamps: bool, text: &[u8], masks: &Masks) {
    let duration = timed(|| whole_log(timestamps, text, masks));
    let speed = bytes_per_second(4 * text.len(), duration) / 1e6;
    println!(
        "a log of 1 GiB through {} MiB of memory, timestamps {timestamps}: {speed:.0} MB/s",
        SPOOL >> 20
    );
}

/// Writes `text` four times while somebody reads it.
fn whole_log(timestamps: bool, text: &[u8], masks: &Masks) -> std::io::Result<()> {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        let spool = Arc::new(MemorySpool::bounded(SPOOL));
        let limits = LogLimits { size: u64::MAX, timestamps, ..LogLimits::default() };
        let log = JobLog::new(&limits, masks.clone(), true, Arc::clone(&spool) as _);
        let write = async {
            for piece in text.chunks(WRITE_SIZE).cycle().take(4 * text.len().div_ceil(WRITE_SIZE)) {
                log.output(piece).await;
            }
            let digest = log.finish().await;
            spool.discard().await;
            digest
        };
        let read = async {
            let mut next = 0;
            // Reading fails once the log is finished and discarded.
            while let Ok(bytes) = spool.read(next, 1 << 20).await {
                next += bytes.len() as u64;
                spool.acknowledge(next).await;
                spool.wait_beyond(next).await;
            }
        };
        tokio::select! {
            digest = write => assert!(digest.size >= 4 * text.len() as u64 / 2),
            () = read => {}
        }
    });
    Ok(())
}
