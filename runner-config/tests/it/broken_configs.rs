//! Whatever is broken in a config, it is told at a place that exists, and without the token.

use runner_config::{Mistakes, Surroundings, parse};

const CONFIGS: [&str; 3] = [
    include_str!("configs/pods_of_a_home.toml"),
    include_str!("configs/cache_in_the_cluster.toml"),
    include_str!("configs/written_by_register.toml"),
];

/// What must not show.
const TOKEN: &str = "glrt-registered";

fn check(text: &str) {
    let surroundings = Surroundings::new([("CI_SERVER_URL".to_owned(), "https://g.example".to_owned())]);
    let Err(Mistakes { file, found, text: shown }) = parse("c", text).resolve(&surroundings) else { return };
    assert!(!found.is_empty(), "{text}");
    let lines = text.split('\n').count();
    for mistake in &found {
        assert!((1..=lines).contains(&mistake.line), "{mistake:?}\n{text}");
        let line = shown.split('\n').nth(mistake.line - 1).unwrap_or_default();
        assert!(mistake.column <= line.chars().count() + 1, "{mistake:?}\n{text}");
    }
    assert_eq!(shown.chars().count(), text.chars().count(), "{text}");
    let told = Mistakes { file, found, text: shown }.to_string();
    assert!(!told.contains(TOKEN) && !told.contains("registered"), "{told}");
}

#[test]
fn a_config_that_ends_anywhere_is_told_or_read() {
    for text in CONFIGS {
        for (end, _) in text.char_indices() {
            check(text.split_at(end).0);
        }
    }
}

#[test]
fn a_line_that_is_anything_else_is_told_or_read() {
    let others = [
        "5",
        "-1",
        "\"glrt-registered\"",
        "[[1]]",
        "{ a = 1 }",
        "1e400",
        "glrt-registered",
        "",
        "\"",
        "1979-05-27",
    ];
    for text in CONFIGS {
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let Some((key, _)) = line.split_once('=') else { continue };
            let secret = key.contains("token");
            // Elsewhere a value is shown that a mistake is about.
            for other in others.into_iter().filter(|other| secret || !other.contains(TOKEN)) {
                let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
                changed[index] = format!("{key}= {other}");
                check(&changed.join("\n"));
            }
        }
    }
}

#[test]
fn a_line_that_is_missing_or_there_twice_is_told_or_read() {
    for text in CONFIGS {
        let lines: Vec<&str> = text.lines().collect();
        for index in 0..lines.len() {
            let mut without = lines.clone();
            without.remove(index);
            check(&without.join("\n"));
            let mut twice = lines.clone();
            twice.insert(index, lines[index]);
            check(&twice.join("\n"));
        }
    }
}
