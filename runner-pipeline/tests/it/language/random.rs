//! Whatever is in a file: it is read or refused, and a refusal says where.

use proptest::prelude::*;
use runner_pipeline::Context;

use super::context;

const SAMPLE: &str = r#"# A file with a bit of everything.
stages: [build, test, ".odd"]
variables: &vars
  A: "1"
  B: {value: $A, expand: false}
default:
  image: {name: "x:$A", entrypoint: [""]}
  retry: {max: 2, when: [script_failure]}
workflow: {rules: [{if: '$CI_COMMIT_TAG'}, {when: always}]}
.base: &base
  variables: {<<: *vars, C: 0x1F}
  before_script:
    - &line echo "ä 🦀"
    - [*line, [nested]]
build:
  <<: *base
  stage: build
  script: |
    one
      two
  artifacts: {paths: [a/*], expire_in: 1 week 2 days, reports: {junit: a.xml}}
  cache: [{key: $A, paths: [c]}, {key: k, policy: pull}]
  parallel: {matrix: [{X: [1, 2], Y: z}]}
test:
  extends: [.base]
  script: >-
    folded
    text
  needs: [{job: build, artifacts: true}, "build: [1, z]"]
  dependencies: [build]
  rules:
    - if: '($A == "1" || !$B) && $C =~ /^\d+[a-z]{2}$/i'
      when: manual
      allow_failure: true
  timeout: 1h 30m
  environment: {name: review/$A, action: start}
  coverage: '/\d+%/'
"#;

/// Pieces that mean something, so that chance finds more than the first mistake.
const PIECES: &[&str] = &[
    "\t",
    "\n",
    "  ",
    "- ",
    ": ",
    "#",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!reference [",
    "|\n",
    ">\n",
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    ",",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "null",
    "~",
    "\u{feff}",
    "\0",
    "\\",
    "$",
    "/(",
    "&&",
    "0x",
    "1:2",
    "ä",
    "🦀",
    "\u{2028}",
    "\r",
    "\r\n",
    "extends: build",
    "needs: [test]",
    "script: x\n",
    "parallel: 200\n",
];

fn is_fine(text: &str) -> Result<(), TestCaseError> {
    for context in [Context::default(), context(&[("CI_PIPELINE_SOURCE", "merge_request_event")])] {
        if let Err(mistakes) = runner_pipeline::parse("f", text, &context) {
            prop_assert!(!mistakes.0.is_empty());
            let lines: Vec<&str> = text.lines().collect();
            for mistake in mistakes.0 {
                prop_assert!(mistake.line >= 1 && mistake.column >= 1 && mistake.length >= 1, "{mistake:?}");
                let line = lines.get(mistake.line - 1).copied().unwrap_or_default();
                prop_assert!(mistake.line <= lines.len().max(1), "{mistake:?}");
                prop_assert!(mistake.column <= line.chars().count() + 1, "{mistake:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_sample_is_right() {
    assert_eq!(
        runner_pipeline::parse("f", SAMPLE, &Context::default()).map(|pipeline| pipeline.jobs.len()),
        Ok(3)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_text_is_read_or_refused(text in ".{0,200}") {
        is_fine(&text)?;
    }

    #[test]
    fn random_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        is_fine(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn random_pieces_are_read_or_refused(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..60)
    ) {
        is_fine(&pieces.concat())?;
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(
        damage in proptest::collection::vec(
            (any::<proptest::sample::Index>(), 0..12_usize, proptest::sample::select(PIECES)), 1..6)
    ) {
        let mut letters: Vec<char> = SAMPLE.chars().collect();
        for (place, removed, piece) in damage {
            let start = place.index(letters.len());
            let end = (start + removed).min(letters.len());
            letters.splice(start..end, piece.chars());
        }
        is_fine(&letters.into_iter().collect::<String>())?;
    }

    #[test]
    fn a_file_that_ends_early_is_read_or_refused(end in any::<proptest::sample::Index>()) {
        let letters: Vec<char> = SAMPLE.chars().collect();
        let end = end.index(letters.len());
        is_fine(&letters.into_iter().take(end).collect::<String>())?;
    }
}
