//! Mistakes in what a job says of itself.

use super::*;

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
