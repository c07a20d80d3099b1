//! Files that are large, deep, or made to harm: each is read or refused, neither takes long.

use std::fmt::Write as _;

use super::{Outcome, read};

fn refusal(text: &str) -> String {
    read(text).map_or_else(|mistakes| mistakes.0[0].message.clone(), |_| "it was read".to_owned())
}

#[test]
fn a_file_of_five_megabytes_is_refused() {
    let text = format!("a:\n  script:\n{}", "    - echo hello\n".repeat(300_000));
    assert_eq!(refusal(&text), "the file has 5100013 bytes; the limit is 2097152");
}

#[test]
fn depth_is_limited() {
    let deep = "more than 100 levels";
    assert_eq!(refusal(&format!("a:\n {}x\n", "- ".repeat(500_000))), deep);
    assert_eq!(refusal(&"? ".repeat(500_000)), deep);
    assert_eq!(refusal(&format!("a: {}{}", "[".repeat(200), "]".repeat(200))), deep);
    assert!(refusal(&format!("a: {}", "[".repeat(1_000_000))).contains("recursion limit exceeded"));
}

#[test]
fn aliases_and_merging_cannot_make_a_small_file_huge() -> Outcome {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        writeln!(bomb, "a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 10].join(", "))?;
    }
    assert_eq!(refusal(&bomb), "aliases make this larger than 1000000 values or 100 levels");

    let many = |count: usize| (0..count).map(|index| format!("k{index}: 1")).collect::<Vec<_>>().join(", ");
    let mut merges = format!("a: &a {{{}}}\n", many(2000));
    let mut extends = format!(".a: {{variables: {{{}}}}}\n", many(2000));
    for job in 0..5000 {
        writeln!(merges, "j{job}:\n  <<: *a")?;
        writeln!(extends, "j{job}: {{extends: .a, script: x}}")?;
    }
    assert_eq!(refusal(&merges), "`<<` brings in more than 1000000 values");
    assert_eq!(refusal(&extends), "more than 20000 jobs, or 3000000 values in all of them");
    Ok(())
}

#[test]
fn bases_that_all_extend_each_other_are_looked_at_once() -> Outcome {
    let mut text = String::from("x: {script: y, extends: .l0j0}\n");
    for level in 0..14 {
        let bases = (0..20).map(|base| format!(".l{}j{base}", level + 1)).collect::<Vec<_>>().join(", ");
        for base in 0..20 {
            writeln!(text, ".l{level}j{base}: {{extends: [{bases}]}}")?;
        }
    }
    assert_eq!(refusal(&text), "more than 11 jobs extend each other in a row");
    Ok(())
}

#[test]
fn many_parallel_jobs_that_need_each_other_are_refused() -> Outcome {
    let mut text = String::from("j0: {script: x, parallel: 200}\n");
    for job in 1..90 {
        writeln!(text, "j{job}: {{script: x, parallel: 200, needs: [j{}]}}", job - 1)?;
    }
    assert_eq!(refusal(&text), "all jobs together need more than 1000000 others");
    Ok(())
}

#[test]
fn a_long_cycle_is_shortened() -> Outcome {
    let mut text = String::new();
    for job in 0..3000 {
        writeln!(text, "j{job}: {{script: x, needs: [j{}]}}", (job + 1) % 3000)?;
    }
    let expected = "`j0` needs itself: j0 → j1 → j2 → j3 → j4 → j5 → … (2994 more) → j0";
    assert_eq!(refusal(&text), expected);
    Ok(())
}

#[test]
fn mistakes_are_counted_after_the_first_two_hundred() {
    let jobs: Vec<String> = (0..5000).map(|job| format!("j{job}:\n  scirpt: x\n  script: y\n")).collect();
    let mistakes = read(&jobs.concat()).unwrap_err().0;
    assert_eq!(mistakes.len(), 201);
    assert_eq!(mistakes[200].message, "and 4800 more mistakes");
}

#[test]
fn five_thousand_jobs_are_read() -> Outcome {
    let mut text = String::from(".base:\n  script: [a, b]\n  rules: [{if: $A =~ /^x/}, {when: always}]\n");
    for job in 0..5000 {
        let needs = if job < 10 { String::new() } else { format!("j{}, j{}", job - 1, job - 10) };
        writeln!(text, "j{job}:\n  extends: .base\n  needs: [{needs}]\n  rules: [{{if: $B != \"b{job}\"}}]")?;
    }
    assert_eq!(read(&text)?.included().count(), 5000);
    Ok(())
}
