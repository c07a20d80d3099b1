//! What masking is measured on: text as CI jobs print it, secrets as people have them, and the measurement itself.

use std::{fmt::Write, hint::black_box, time::Duration};

use runner_core::log::{Masker, Masks};

/// How much text is measured: more than the caches of a core hold.
pub const CORPUS_SIZE: usize = 256 << 20;

/// What a pipe gives at once.
pub const WRITE_SIZE: usize = 64 << 10;

/// What is timed at once: less than a slice of time that a busy machine gives to others.
const PART: usize = 1 << 20;

/// After this many bytes the text repeats; no branch predictor remembers so much.
const PERIOD: usize = 32 << 20;

/// Once in so many bytes the text holds a secret.
const SECRET_EVERY: usize = 1 << 20;

/// How fast two passes over the same text are: medians.
#[derive(Debug, Clone, Copy)]
pub struct Speeds {
    /// Bytes per second of a pass of `memchr` for a byte that does not occur.
    pub memchr: f64,
    /// Bytes per second of masking, to a sink that takes slices.
    pub masking: f64,
    /// Masking's speed as a part of that of `memchr`, measured a moment before.
    pub ratio: f64,
}

/// Measures `masks` on `text`, which must be larger than the caches, `rounds` times.
///
/// The two passes take turns part by part, so that what slows the machine for a while slows both. One is half the text
/// ahead of the other: neither finds in a cache what the other has read.
pub fn measure(text: &[u8], masks: &Masks, rounds: usize) -> Speeds {
    let parts: Vec<&[u8]> = text.chunks_exact(PART).collect();
    let (mut memchr, mut masking, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut masker = Masker::new(masks.clone());
        let ahead = parts.iter().cycle().skip(parts.len() / 2);
        for (part, other) in parts.iter().zip(ahead) {
            let floor = bytes_per_second(PART, timed(|| memchr_pass(other)));
            let ours = bytes_per_second(PART, timed(|| masking_pass(&mut masker, part)));
            memchr.push(floor);
            masking.push(ours);
            ratios.push(ours / floor);
        }
    }
    Speeds { memchr: median(memchr), masking: median(masking), ratio: median(ratios) }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Bytes per second.
#[expect(clippy::cast_precision_loss, reason = "a speed needs no more than 52 bits")]
pub fn bytes_per_second(bytes: usize, duration: Duration) -> f64 {
    bytes as f64 / duration.as_secs_f64()
}

/// How long `pass` takes.
pub fn timed<T>(pass: impl FnOnce() -> T) -> Duration {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    let start = std::time::Instant::now();
    black_box(pass());
    start.elapsed()
}

/// Looks at each byte of `text`, as fast as can be.
pub fn memchr_pass(text: &[u8]) -> usize {
    text.chunks(WRITE_SIZE).filter(|write| memchr::memchr(0, write).is_some()).count()
}

/// Masks `text`, and counts what shows.
pub fn masking_pass(masker: &mut Masker, text: &[u8]) -> usize {
    let mut shown = 0;
    for write in text.chunks(WRITE_SIZE) {
        masker.push(write, &mut |bytes| shown += black_box(bytes).len());
    }
    shown
}

/// Fifty secrets: tokens and passwords of 20 to 40 characters, and five of only eight.
pub fn secrets() -> Vec<String> {
    let mut random = Random(7);
    (0..50).map(|number| random.base64(if number % 10 == 0 { 8 } else { 20 + number % 21 })).collect()
}

/// `size` bytes of what compilers, package managers, tests and containers print, with one of `secrets` now and then.
pub fn corpus(size: usize, secrets: &[String]) -> Vec<u8> {
    let mut random = Random(42);
    let mut text = String::with_capacity(size.min(PERIOD) + 4096);
    let mut next_secret = SECRET_EVERY;
    while text.len() < size.min(PERIOD) {
        if text.len() >= next_secret {
            let secret = random.pick(secrets).map_or("", String::as_str);
            text.extend(["Authorization: Bearer ", secret, "\n"]);
            next_secret += SECRET_EVERY;
        }
        line(&mut text, &mut random);
    }
    let mut corpus = text.into_bytes();
    corpus.truncate(size);
    while corpus.len() < size {
        let more = corpus.len().min(size - corpus.len());
        corpus.extend_from_within(..more);
    }
    corpus
}

/// Words of which lines are made.
const WORDS: [&str; 33] = [
    "global",
    "server",
    "client",
    "config",
    "handler",
    "stream",
    "buffer",
    "request",
    "response",
    "parser",
    "token",
    "cache",
    "worker",
    "database",
    "session",
    "metrics",
    "router",
    "schema",
    "driver",
    "pipeline",
    "storage",
    "network",
    "registry",
    "template",
    "account",
    "payment",
    "controller",
    "utils",
    "index",
    "service",
    "model",
    "test",
    "core",
];

fn line(text: &mut String, random: &mut Random) {
    let (first, second, third) = (random.word(), random.word(), random.word());
    let (number, other, digit) = (random.below(1000), random.below(60), random.below(10));
    let written = match random.below(14) {
        0 => writeln!(text, "   Compiling {first}-{second} v{digit}.{other}.{number}"),
        1 => writeln!(text, "test {first}::{second}::tests::{third}_returns_{number} ... ok"),
        2 => writeln!(
            text,
            "2026-03-14T09:{other:02}:{other:02}.{number:03}Z INFO {first}::{second}: {third} took {number} ms"
        ),
        3 => writeln!(
            text,
            "npm warn deprecated {first}-{second}@{digit}.{other}.{digit}: use @{third}/{second} instead"
        ),
        4 => writeln!(text, "sha256:{} {first} {second} {number}kB", random.hex(64)),
        5 => writeln!(
            text,
            "\u{1b}[32;1m$ go test ./internal/{first}/{second}/... -run {third} -count={digit}\u{1b}[0;m"
        ),
        6 => writeln!(
            text,
            "ok  \tgithub.com/example/{first}/{second}\t0.{number}s\tcoverage: {other}.{digit}% of statements"
        ),
        7 => writeln!(
            text,
            "/builds/group/{first}/src/{second}/{third}.cpp:{number}:{other}: warning: unused variable '{first}' [-Wunused-variable]"
        ),
        8 => writeln!(
            text,
            "{{\"level\":\"debug\",\"component\":\"{first}\",\"id\":\"{}\",\"duration_ms\":{number}}}",
            random.hex(16)
        ),
        9 => writeln!(
            text,
            "Collecting {first}-{second}>={digit}.{other} (from {third})\r\n  Downloading {first}_{second}-{digit}.{other}-py3-none-any.whl ({number} kB)"
        ),
        10 => writeln!(text, "data: {}", random.base64(76)),
        11 => {
            writeln!(text, "[{other:3}%] Building CXX object {first}/CMakeFiles/{second}.dir/{third}.cpp.o")
        }
        12 => writeln!(
            text,
            "Get:{number} http://deb.debian.org/debian bookworm/main amd64 lib{first}-{second}{digit} amd64 1:{digit}.{other}-{digit} [{number} kB]"
        ),
        _ => writeln!(
            text,
            "The {first} of the {second} was not found in the {third}, so the default with {number} entries is used."
        ),
    };
    // Writing to a string cannot fail.
    debug_assert!(written.is_ok());
}

/// A small generator of numbers that are always the same.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    fn word(&mut self) -> &'static str {
        self.pick(&WORDS).copied().unwrap_or("word")
    }

    fn letters(&mut self, length: usize, alphabet: &[u8]) -> String {
        (0..length).filter_map(|_| self.pick(alphabet).map(|byte| char::from(*byte))).collect()
    }

    fn base64(&mut self, length: usize) -> String {
        self.letters(length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    }

    fn hex(&mut self, length: usize) -> String {
        self.letters(length, b"0123456789abcdef")
    }
}
