//! Mistakes in which jobs there are, and what they wait for.

use super::*;

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
