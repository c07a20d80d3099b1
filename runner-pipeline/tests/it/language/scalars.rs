//! What scalars mean, seen through variables; the plain ones have their own table beside the code.

use super::{Outcome, job, read};

#[test]
fn quotes_blocks_and_tags_keep_a_text_as_it_is() -> Outcome {
    let text = r#"
a:
  script: x
  variables:
    PLAIN: 0755
    QUOTED: "0755"
    SINGLE: 'it''s'
    DOUBLE: "a\tb\u00e4"
    TAGGED: !!str 1.10
    NUMBER: !!int 5
    TRUE: on
    "YES": "yes"
    DATE: 2024-01-31
    EMPTY: ""
    FLOAT: 1.10
    LITERAL: |
      one
        two
    FOLDED: >-
      one
      two
"#;
    let pipeline = read(text)?;
    let variables = &job(&pipeline, "a")?.spec.variables;
    let value = |key: &str| variables.get(key).map(|variable| variable.value.as_str());
    let table = [
        ("PLAIN", "493"),
        ("QUOTED", "0755"),
        ("SINGLE", "it's"),
        ("DOUBLE", "a\tbä"),
        ("TAGGED", "1.10"),
        ("NUMBER", "5"),
        ("TRUE", "true"),
        ("YES", "yes"),
        ("DATE", "2024-01-31"),
        ("EMPTY", ""),
        ("FLOAT", "1.1"),
        ("LITERAL", "one\n  two\n"),
        ("FOLDED", "one two"),
    ];
    for (key, expected) in table {
        assert_eq!(value(key), Some(expected), "{key}");
    }
    Ok(())
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() -> Outcome {
    let pipeline = read("\u{feff}a:\r\n  script:\r\n    - |\r\n      one\r\n      two\r\n    - three\r\n")?;
    assert_eq!(super::commands(job(&pipeline, "a")?), ["one\ntwo\n", "three"]);
    let mistakes = read("\u{feff}a:\r\n  scripts: x\r\n  script: y\r\n").unwrap_err();
    assert_eq!((mistakes.0[0].line, mistakes.0[0].column, mistakes.0[0].length), (2, 3, 7));
    Ok(())
}
