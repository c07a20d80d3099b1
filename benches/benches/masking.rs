//! Masking against one pass of `memchr` over the same text, and a whole log against the time it may take.

use benches::masking_corpus::{CORPUS_SIZE, Speeds, corpus, measure, secrets};
use runner_core::log::{DEFAULT_TOKEN_PREFIXES, Masks};

/// Each measurement is repeated this often, and the best counts: the machine may be busy.
const ROUNDS: usize = 7;

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
    let secrets = secrets();
    let text = corpus(CORPUS_SIZE, &secrets);
    let tokens = || DEFAULT_TOKEN_PREFIXES.map(str::to_owned);
    let short = ["pass", "x7", "hunter2", "abc12", "s3cr3t"].map(str::to_owned);
    for (what, masks) in [
        ("50 secrets", Masks::new(secrets.clone(), [])),
        ("50 secrets, GitLab's token prefixes", Masks::new(secrets.clone(), tokens())),
        ("50 secrets, glpat-", Masks::new(secrets.clone(), ["glpat-".to_owned()])),
        ("55 secrets, 5 shorter than 8", Masks::new(secrets.iter().cloned().chain(short), tokens())),
        ("nothing but URL parameters", Masks::new([], [])),
    ] {
        let speeds = measure(&text, &masks, ROUNDS);
        let Speeds { memchr, masking } = speeds;
        println!(
            "masking: {what}: {:.1} GB/s, memchr {:.1} GB/s, ratio {:.2}",
            masking / 1e9,
            memchr / 1e9,
            speeds.ratio()
        );
    }
}
