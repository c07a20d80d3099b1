//! Mistakes of a file as YAML.

use super::*;

#[test]
fn text_that_is_no_pipeline() -> Outcome {
    check("", &["1:1+1 the file is empty | a pipeline is at least one job with a `script`"])?;
    check("# nothing\n", &["1:1+1 the file is empty | a pipeline is at least one job with a `script`"])?;
    check(
        r".a:
  script: x
",
        &["1:1+2 the file has no job | a job is a name without a dot before it, and below it `script:`"],
    )?;
    check(
        r"- a
- b
",
        &[
            "1:1+1 the file must be a mapping, but is a list | a job is `name:`, and below it, indented, `script:`",
        ],
    )?;
    check(
        "hello\n",
        &[
            "1:1+5 the file must be a mapping, but is a string | a job is `name:`, and below it, indented, `script:`",
        ],
    )?;
    Ok(())
}

#[test]
fn invalid_yaml() -> Outcome {
    check("build:\n\tscript: x\n", &["2:1+1 a tab in the indentation | indent with spaces"])?;
    check("build:\n  script:\n  \t- x\n", &["3:3+1 a tab in the indentation | indent with spaces"])?;
    check(
        r#"build:
  script: "x
"#,
        &[
            "2:11+2 this is no valid YAML: while scanning a quoted scalar, found unexpected end of stream | look at the indentation, at quotes and at brackets, in this line and before it",
        ],
    )?;
    check(
        r"build:
  script: [a, b
",
        &[
            "2:15+1 this is no valid YAML: while parsing a flow sequence, expected ',' or ']' | look at the indentation, at quotes and at brackets, in this line and before it",
        ],
    )?;
    check(
        r"build:
  script:
    - a
   - b
",
        &[
            "4:4+3 this is no valid YAML: while parsing a block mapping, did not find expected key | look at the indentation, at quotes and at brackets, in this line and before it",
        ],
    )?;
    check(
        r"build:
  script: a: b
",
        &[
            "2:12+3 this is no valid YAML: mapping values are not allowed in this context | a text that holds a colon and a space must be in quotes",
        ],
    )?;
    Ok(())
}

#[test]
fn documents_and_keys_that_are_there_twice() -> Outcome {
    check(
        r"build:
  script: x
---
test:
  script: y
",
        &["3:1+3 not supported yet: more than one document in a file"],
    )?;
    check(
        r"spec:
  inputs: {}
---
test:
  script: y
",
        &["3:1+3 not supported yet: more than one document in a file"],
    )?;
    check(
        r"build:
  script: x
  image: a
  image: b
build:
  script: y
",
        &[
            "4:3+5 `image` is there twice | the other one is in line 3, column 3",
            "5:1+5 `build` is there twice | the other one is in line 1, column 1",
        ],
    )?;
    Ok(())
}

#[test]
fn tags_and_aliases() -> Outcome {
    check(
        r"build:
  script: !reference [.a, script]
",
        &["2:11+12 not supported yet: `!reference`"],
    )?;
    check(
        r"build:
  script: !foo x
",
        &["2:11+6 not supported yet: `!foo`"],
    )?;
    check("build: *nothing\n", &["1:8+8 `*nothing` names nothing | define it further up, as in `&nothing`"])?;
    check(
        r"build: &a
  script: x
  variables: *a
",
        &["3:14+2 this alias is part of what it names"],
    )?;
    check(
        r"build:
  <<: text
  script: x
",
        &[
            "2:3+2 `<<` must name mappings, but this is a string | write `<<: *name` with the name of a mapping that has `&name`",
        ],
    )?;
    Ok(())
}
