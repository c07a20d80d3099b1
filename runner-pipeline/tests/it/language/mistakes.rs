//! What is said of a wrong file: each mistake with its place, all of them at once.

use super::{Outcome, read};

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

#[test]
fn what_is_no_job() -> Outcome {
    check(
        r"build:
  stage: build
",
        &[
            "1:1+5 `build` has no `script` | add `script:` with the commands to run, or put a dot before the name to hide the job",
        ],
    )?;
    check(
        "build: {}\n",
        &[
            "1:1+5 `build` has no `script` | add `script:` with the commands to run, or put a dot before the name to hide the job",
        ],
    )?;
    check(
        r"stagse: [a]
build:
  script: x
",
        &["1:1+6 `stagse` is neither a keyword nor a job | did you mean `stages`?"],
    )?;
    check(
        r"varibles:
  A: 1
build:
  script: x
",
        &["1:1+8 `varibles` is neither a keyword nor a job | did you mean `variables`?"],
    )?;
    check(
        r"build:
  scirpt: x
  foo: 1
",
        &[
            "1:1+5 `build` has no `script` | add `script:` with the commands to run, or put a dot before the name to hide the job",
            "2:3+6 unknown keyword `scirpt` of a job | did you mean `script`?",
            "3:3+3 unknown keyword `foo` of a job",
        ],
    )?;
    Ok(())
}

#[test]
fn unsupported_keywords() -> Outcome {
    check(
        r"include: a.yml
build:
  script: x
  only: [main]
  trigger: a
  secrets: {}
",
        &[
            "1:1+7 not supported yet: `include`",
            "4:3+4 not supported yet: `only`",
            "5:3+7 not supported yet: `trigger`",
            "6:3+7 not supported yet: `secrets`",
        ],
    )?;
    check(
        r"build:
  trigger: a/b
",
        &["2:3+7 not supported yet: `trigger`"],
    )?;
    Ok(())
}

#[test]
fn defaults_and_the_workflow() -> Outcome {
    check(
        r"build:
  script: x
  inherit: {default: [imgae], variables: 5}
",
        &[
            "3:23+5 unknown keyword `imgae` in `inherit:default` | did you mean `image`?",
            "3:42+1 `inherit:variables` must be true, false or a list of names, but is the number 5",
        ],
    )?;
    check(
        r"image: a
default:
  image: b
  stage: x
  retry: 5
build:
  script: x
",
        &[
            "1:1+5 `image` is there twice: here and in `default` | remove one; the other one is in line 3",
            "4:3+5 unknown keyword `stage` of `default` | it has after_script, artifacts, before_script, cache, hooks, image, interruptible, retry, services, tags, timeout",
            "5:10+1 `retry` must be a whole number from 0 to 2, but is the number 5",
        ],
    )?;
    check(
        r"workflow:
  rules:
    - when: manual
  foo: 1
build:
  script: x
",
        &[
            "3:13+6 unknown value `manual` of `workflow:rules:when` | it is one of always, never",
            "4:3+3 unknown keyword `foo` of `workflow` | it has name, rules, auto_cancel",
        ],
    )?;
    check(
        r"stages: build
variables: x
default: x
workflow: x
a:
  script: x
",
        &[
            "1:9+5 `stages` must be a list, but is a string | put it in brackets: `[…]`",
            "2:12+1 `variables` must be a mapping, but is a string",
            "3:10+1 `default` must be a mapping, but is a string",
            "4:11+1 `workflow` must be a mapping, but is a string",
        ],
    )?;
    Ok(())
}

#[test]
fn stages() -> Outcome {
    check(
        r"stages: [compile, test]
build:
  stage: complie
  script: x
",
        &["3:10+7 unknown stage `complie` | did you mean `compile`?"],
    )?;
    check(
        r"stages: [compile]
build:
  script: x
",
        &[
            "2:1+5 `build` has no `stage`, and there is no stage `test` | add `stage:`; the stages are .pre, compile, .post",
        ],
    )?;
    Ok(())
}

#[test]
fn needs() -> Outcome {
    check(
        r"build:
  stage: build
  script: x
  needs: [tset, build, {job: test}, test]
test:
  script: x
",
        &[
            "4:11+4 unknown job `tset` in `needs` | did you mean `test`?",
            "4:17+5 `build` names itself in `needs`",
            "4:30+4 `test` is of a later stage (`test`) | `needs` may name jobs of the same stage and of earlier ones",
            "4:37+4 `test` is needed twice",
        ],
    )?;
    check(
        r"a:
  script: x
  needs: [b]
b:
  script: x
  needs: [c]
c:
  script: x
  needs: [a]
",
        &["9:11+1 `a` needs itself: a → b → c → a"],
    )?;
    Ok(())
}

#[test]
fn odd_needs() -> Outcome {
    check(
        r"a:
  script: x
  needs: b
b:
  script: x
  needs: [{pipeline: 1}, {artifacts: yes}, 5]
",
        &[
            "3:10+1 `needs` must be a list, but is a string | put it in brackets: `[…]`",
            "6:12+8 not supported yet: `needs:pipeline`",
            "6:26+1 an item of `needs` has no `job` | add `job:` with the name of a job",
            r#"6:44+1 an item of `needs` must be a string, but is the number 5 | put it in quotes: "5""#,
        ],
    )?;
    check(
        r"a:
  script: x
  rules: [{when: never}]
b:
  script: x
  needs: [a]
",
        &[
            "6:11+1 `b` needs `a`, which is not part of this pipeline | its rules leave it out for this event; write `- job: a` with `optional: true` if that may be",
        ],
    )?;
    Ok(())
}

#[test]
fn dependencies() -> Outcome {
    check(
        r"a:
  script: x
b:
  script: x
  needs: [a]
  dependencies: [c, d, b]
c:
  script: x
",
        &[
            "6:18+1 `c` is in `dependencies`, but not in `needs` | a job with `needs` gets artifacts only of the jobs that it needs",
            "6:21+1 unknown job `d` in `dependencies`",
            "6:24+1 `b` is in `dependencies`, but not in `needs` | a job with `needs` gets artifacts only of the jobs that it needs",
        ],
    )?;
    check(
        r"a:
  script: x
  environment: {name: p, on_stop: stopp}
stop:
  script: x
  environment: {name: p, action: stop}
",
        &["3:35+5 unknown job `stopp` in `environment:on_stop` | did you mean `stop`?"],
    )?;
    Ok(())
}

#[test]
fn extends() -> Outcome {
    check(
        r".a:
  extends: .b
.b:
  extends: [.c]
.c:
  extends: .a
x:
  extends: .a
  script: x
",
        &["2:12+2 `.a` extends itself: .a → .b → .c → .a"],
    )?;
    check(
        r"x:
  extends: [.bse, .list]
  script: x
.base: {}
.list: [1]
",
        &[
            "2:13+4 unknown job `.bse` in `extends` | did you mean `.base`?",
            "2:19+5 `.list` cannot be extended: it is a list | only mappings can be extended; for others use `*aliases`",
        ],
    )?;
    check(
        r"x:
  extends: 5
  script: x
",
        &["2:12+1 `extends` must be a string or a list of strings, but is the number 5"],
    )?;
    Ok(())
}

#[test]
fn scripts() -> Outcome {
    check(
        r"a:
  script: 5
b:
  script: {a: b}
c:
  script:
    - echo a: b
    - 5
    -
d:
  script: []
e:
  script: ''
",
        &[
            "2:11+1 `script` must be a string or a list of strings, but is the number 5",
            "4:11+1 `script` must be a string or a list of strings, but is a mapping | a colon and a space make a mapping of it: put the whole command in quotes",
            "7:7+1 a command of `script` must be a string, but is a mapping | a colon and a space make a mapping of it: put the whole command in quotes",
            "8:7+1 a command of `script` must be a string, but is the number 5 | put it in quotes",
            "9:6+1 a command of `script` must be a string, but is empty | put it in quotes",
            "11:11+1 `script` must not be empty | write at least one command",
            "13:11+2 `script` must not be empty | write at least one command",
        ],
    )?;
    Ok(())
}

/// A job in which everything is of a wrong type.
const WRONG_TYPES: &str = r"a:
  script: x
  stage: 5
  image: [a]
  services: x
  tags: docker
  variables: [A]
  when: sometimes
  allow_failure: 'true'
  timeout: soon
  retry: 3
  interruptible: 1
  coverage: abc
  parallel: many
  environment: {url: x}
  resource_group: ''
  rules: x
  artifacts: x
  cache: x
  needs: x
  dependencies: x
  before_script: 1
  inherit: true
  hooks: x
";

#[test]
fn types() -> Outcome {
    check(
        WRONG_TYPES,
        &[
            r#"3:10+1 `stage` must be a string, but is the number 5 | put it in quotes: "5""#,
            "4:10+1 `image` must be a string, but is a list",
            "5:13+1 `services` must be a list, but is a string | put it in brackets: `[…]`",
            "6:9+6 `tags` must be a list, but is a string | put it in brackets: `[…]`",
            "7:14+1 `variables` must be a mapping, but is a list",
            "8:9+9 unknown value `sometimes` of `when` | it is one of on_success, on_failure, always, manual, never",
            "9:18+6 `allow_failure` must be true, false or a mapping with `exit_codes`, but is a string | write it without quotes",
            "10:12+4 `timeout` is no duration: `soon` | write it as in `1h 30m`, `3 days` or `90 seconds`",
            "11:10+1 `retry` must be a whole number from 0 to 2, but is the number 3",
            "12:18+1 `interruptible` must be true or false, but is the number 1",
            r"13:13+3 `coverage` is no regular expression: it must be between slashes | write it as in `/total: (\d+)%/`",
            "14:13+4 `parallel` must be a number or a mapping with `matrix`, but is a string",
            "15:16+1 `environment` has no `name` | add `name:` to `environment`",
            "16:19+2 `resource_group` must not be empty",
            "17:10+1 `rules` must be a list, but is a string | put it in brackets: `[…]`",
            "18:14+1 `artifacts` must be a mapping, but is a string",
            "19:10+1 `cache` must be a mapping or a list of mappings, but is a string",
            "20:10+1 `needs` must be a list, but is a string | put it in brackets: `[…]`",
            "21:17+1 `dependencies` must be a list, but is a string | put it in brackets: `[…]`",
            "22:18+1 `before_script` must be a string or a list of strings, but is the number 1",
            "23:12+4 `inherit` must be a mapping, but is the boolean true",
            "24:10+1 `hooks` must be a mapping, but is a string",
        ],
    )
}

#[test]
fn scalars_that_are_no_strings() -> Outcome {
    check(
        r"build:
  script: x
  stage: yes
  image: 3.10
",
        &[
            r#"3:10+3 `stage` must be a string, but is the boolean true | put it in quotes: "yes""#,
            r#"4:10+4 `image` must be a string, but is the number 3.1 | put it in quotes: "3.10""#,
        ],
    )?;
    Ok(())
}

#[test]
fn variables() -> Outcome {
    check(
        r"variables:
  A:
  B: [1]
  'C D': 1
  E: {value: a, options: [b], foo: 1}
a:
  script: x
  variables:
    F: {value: 1, description: x}
",
        &[
            r#"2:3+1 `variables:A` has no value | write "" for an empty value"#,
            "3:6+1 `variables:B` must be a string, a number or a boolean, but is a list",
            "4:3+5 `C D` is no name of a variable | a name is letters, digits and `_`",
            "5:14+1 the value of `variables:E` is none of its `options`",
            "5:31+3 unknown keyword `foo` of `variables:E` | it has value, description, options, expand",
            "9:19+11 unknown keyword `description` of `variables:F` | it has value, expand",
        ],
    )?;
    Ok(())
}

#[test]
fn artifacts() -> Outcome {
    check(
        r"a:
  script: x
  artifacts:
    path: [a]
    paths: a
    when: manual
    expire_in: whenever
    reports: {junti: a.xml, dotenv: 5, coverage_report: {path: a}}
    public: true
    access: nobody
",
        &[
            "4:5+4 unknown keyword `path` of `artifacts` | did you mean `paths`?",
            "5:12+1 `artifacts:paths` must be a list, but is a string | put it in brackets: `[…]`",
            "6:11+6 unknown value `manual` of `artifacts:when` | it is one of on_success, on_failure, always",
            "7:16+8 `artifacts:expire_in` is no duration: `whenever` | write it as in `1h 30m`, `3 days` or `90 seconds`",
            "8:15+5 unknown report `junti` of `artifacts:reports` | did you mean `junit`?",
            "8:37+1 `artifacts:reports:dotenv` must be a string or a list of strings, but is the number 5",
            "8:57+1 `artifacts:reports:coverage_report` has no `coverage_format`",
            "10:5+6 `artifacts` has both `access` and `public`: only one of them may be there",
            "10:13+6 unknown value `nobody` of `artifacts:access` | it is one of all, developer, maintainer, none",
        ],
    )?;
    Ok(())
}

#[test]
fn caches() -> Outcome {
    check(
        r"a:
  script: x
  cache:
    - key: a/b
    - key: {prefix: x}
    - key: {files: [a, b, c]}
    - policy: pul
    - when: manual
      fallback_keys: [1, a, b, c, d, e, f]
",
        &[
            "4:5+1 `cache` has 5 items; the limit is 4",
            "4:12+3 `cache:key` must not hold a `/`, or be `.` or `..` | use `-` instead, or `$CI_COMMIT_REF_SLUG` for the name of a branch",
            "5:12+1 `cache:key` has no `files` | list up to two files in `files`",
            "6:20+1 `cache:key:files` must have one or two items, but has 3",
            "7:15+3 unknown value `pul` of `cache:policy` | did you mean `pull`?",
            "8:13+6 unknown value `manual` of `cache:when` | it is one of on_success, on_failure, always",
            "9:22+1 `cache:fallback_keys` has 6 items; the limit is 5",
            r#"9:23+1 an item of `cache:fallback_keys` must be a string, but is the number 1 | put it in quotes: "1""#,
        ],
    )?;
    check(
        r"a:
  script: x
  cache:
    key: {files: [a]}
    paths: [x]
",
        &["4:18+1 not supported yet: `cache:key:files` without a repository"],
    )?;
    check(
        r"a:
  script: x
  cache: {key: x, policy: $P}
",
        &["3:27+2 `cache:policy` is `$P`, which is `` here | it is one of pull-push, pull, push"],
    )?;
    Ok(())
}

#[test]
fn rules() -> Outcome {
    check(
        r#"a:
  script: x
  rules:
    - if: $A = 'b'
    - if: "$A =~ /b(/"
    - if: '$B == "x'
    - iff: x
    - changes: [a]
    - when: delayed
      start_in: 5 minutes
    - allow_failure: 1
    - {}
    - text
    - if: >
        $A ==
b:
  script: x
  rules: []
"#,
        &[
            "4:14+1 unknown operator `=` | write `==`",
            "5:18+4 invalid regular expression: unclosed group | it is one of RE2, without look-around",
            r#"6:18+2 a string without its closing ""#,
            "7:7+3 unknown keyword `iff` of `rules` | did you mean `if`?",
            "8:7+7 not supported yet: `rules:changes`",
            "9:13+7 not supported yet: `rules:when: delayed`",
            "10:7+8 not supported yet: `rules:start_in`",
            "11:22+1 `rules:allow_failure` must be true or false, but is the number 1",
            "12:7+1 an item of `rules` must not be empty",
            "13:7+4 an item of `rules` must be a mapping, but is a string | a rule is a mapping such as `- if: $CI_COMMIT_BRANCH`",
            "15:9+5 something is missing at the end | write a variable, a string or `null` after the operator",
            "18:10+1 `rules` must not be empty | without `rules` a job always runs; `when: never` as a rule keeps it out",
        ],
    )?;
    check(
        r"a:
  script: x
  when: never
b:
  script: x
  when: delayed
  start_in: 1 day
",
        &[
            "3:9+5 `never` is no value of `when`: only a rule may have it | write `rules: [{when: never}]`, or put a dot before the job's name",
            "6:9+7 not supported yet: `when: delayed`",
            "7:3+8 not supported yet: `start_in`",
        ],
    )?;
    Ok(())
}

#[test]
fn parallel_and_failures() -> Outcome {
    check(
        r"a:
  script: x
  parallel: 500
b:
  script: x
  parallel: {matrix: []}
c:
  script: x
  parallel: {}
d:
  script: x
  parallel:
    matrix:
      - A: [1, 1]
e:
  script: x
  parallel:
    matrix:
      - A: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]
        B: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]
",
        &[
            "3:13+3 `parallel` must be a whole number from 1 to 200, but is the number 500",
            "6:22+1 `parallel:matrix` makes no job",
            "9:13+1 `parallel` has no `matrix` | write a number, or `matrix:`",
            "10:1+1 `parallel` makes two jobs with the name `d: [1]` | the matrix has the same values twice",
            "19:7+1 `parallel:matrix` makes more than 200 jobs",
        ],
    )?;
    check(
        r"a:
  script: x
  retry: {max: 2, when: [script_failur], exit_codes: x}
  allow_failure: {exit_codes: [1, a]}
",
        &[
            "3:26+13 unknown value `script_failur` of `retry:when` | did you mean `script_failure`?",
            "3:54+1 `retry:exit_codes` must be a number or a list of numbers, but is a string",
            "4:35+1 `allow_failure:exit_codes` must be a whole number from -2147483648 to 2147483647, but is a string",
        ],
    )?;
    Ok(())
}

#[test]
fn images_and_services() -> Outcome {
    check(
        r"a:
  script: x
  image: {entrypoint: ['']}
  services: [{alias: db}, 5, {name: x, ports: [1], pull_policy: sometimes}]
",
        &[
            "3:10+1 `image` has no `name` | add `name:` to `image`",
            "4:14+1 `services` has no `name` | add `name:` to `services`",
            r#"4:27+1 an item of `services` must be a string, but is the number 5 | put it in quotes: "5""#,
            "4:40+5 not supported yet: `services:ports`",
            "4:65+9 unknown value `sometimes` of `services:pull_policy` | it is one of always, if-not-present, never",
        ],
    )?;
    Ok(())
}

#[test]
fn names_that_cannot_be() -> Outcome {
    let long = "ä".repeat(256);
    check(
        &format!("'':\n  script: x\n'true':\n  script: x\n{long}:\n  script: x\n? [a, b]\n: script\n"),
        &[
            "1:1+2 a job must have a name",
            "3:1+6 `true` is reserved: a job must have another name",
            "5:1+256 the name of this job has 256 letters; the limit is 255",
            "7:3+1 a key must be a string, but is a list | put it in quotes if it is meant as a text",
        ],
    )
}

#[test]
fn too_many_levels_of_extends() -> Outcome {
    let chain: Vec<String> =
        (0..13).map(|level| format!(".j{level}:\n  extends: .j{}\n", level + 1)).collect();
    let chain = chain.concat();
    check(
        &format!("{chain}.j13: {{}}\nx:\n  script: a\n"),
        &["24:12+4 more than 11 jobs extend each other in a row | the row begins with `.j0`"],
    )
}

#[test]
fn a_mistake_in_what_jobs_share_is_reported_once() -> Outcome {
    check(
        ".base: &base\n  image: [a]\na:\n  extends: .base\n  script: x\nb:\n  <<: *base\n  script: x\n",
        &["2:10+1 `image` must be a string, but is a list"],
    )
}

#[test]
fn a_fault_in_an_expression_has_its_place_within_the_string() -> Outcome {
    check(
        "a:\n  script: x\n  rules:\n    - if: '$A == ''b'' && ?'\n    - if: \"$A == \\\"b\\\" && ?\"\n",
        &["4:27+1 `?` is not understood here", "5:27+1 `?` is not understood here"],
    )
}

#[test]
fn variables_in_a_circle_have_no_value() -> Outcome {
    check(
        "variables: {A: $B, B: x-$A}\nleft out: {script: x, rules: [when: never]}\na: {script: x}\nb: {script: x}\n\
         c: {script: x, variables: {A: y}}\nd: {script: x, variables: {C: $D, D: $E, E: $C, A: y}}\n",
        &[
            "3:1+1 the variables of `a` refer to each other in a circle: A → B → A | give one of them a value, or \
             `expand: false` where a dollar sign is meant as it is",
            "6:1+1 the variables of `d` refer to each other in a circle: C → D → E → C | give one of them a value, or \
             `expand: false` where a dollar sign is meant as it is",
        ],
    )
}
