//! What is said of a wrong file: each mistake with its place, all of them at once.

use super::{Outcome, read};

mod document;
mod graph;
mod value;

/// Reads `text`, which must be wrong, and compares its mistakes, one on a line: `line:column+length message | help`.
fn check(text: &str, expected: &[&str]) -> Outcome {
    let Err(mistakes) = read(text) else { return Err(format!("this was read: {text}").into()) };
    let found: Vec<String> = mistakes
        .0
        .iter()
        .map(|mistake| {
            let place = format!("{}:{}+{}", mistake.line, mistake.column, mistake.length);
            let help = mistake.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
            format!("{place} {}{help}", mistake.message)
        })
        .collect();
    assert_eq!(found, expected, "in\n{text}");
    Ok(())
}
