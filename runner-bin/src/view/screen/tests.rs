use runner_core::{Failure, FailureReason, Phase};

use super::*;
use crate::ledger::Role;

const SECTION: &str = "section_start:1:step_script\r\x1b[0K\x1b[36;1mExecuting the script\x1b[0;m\n";

fn failed(code: i32, allowed: bool) -> Ending {
    Ending::Failed {
        failure: Failure {
            reason: FailureReason::ScriptFailure,
            exit_code: Some(code),
            message: format!("exit code {code}"),
        },
        allowed,
    }
}

fn take_lines(screen: &mut Screen) -> String {
    let lines = screen.lines().to_owned();
    screen.forget_lines();
    lines
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn two_jobs_side_by_side_on_no_terminal() {
    let start = Instant::now();
    let mut screen = Screen::new(["build", "unit tests"], Palette::new(false), false, start);
    screen.log(0, SECTION.as_bytes(), start);
    screen.log(0, b"\x1b[32;1m$ make\x1b[0;m\ncompi", start);
    screen.log(1, b"\x1b[32;1m$ pytest\x1b[0;m\n1%\r50%\r", start);
    screen.log(0, b"ling\nsection_end:2:step_script\r\x1b[0K", start + seconds(2));
    screen.end(0, &Ending::Succeeded, Some(seconds(2)), start + seconds(2));
    screen.log(1, b"\x1b[31m1 failed\x1b[0m", start + seconds(3));
    screen.end(1, &failed(1, false), Some(seconds(75)), start + seconds(4));
    insta::assert_snapshot!(take_lines(&mut screen), @r"
    build      │ ▸ Executing the script
    build      │ $ make
    unit tests │ $ pytest
    build      │ compiling
    build      │ ◂ script 2.0s
    build      ✓ passed (2.0s)
    unit tests │ 1 failed
    unit tests ✗ failed: exit code 1 (1m 15s)
    ");
}

#[test]
fn a_terminal_gets_the_colours_of_the_job_and_ours() {
    let start = Instant::now();
    let mut screen = Screen::new(["a", "b"], Palette::new(true), true, start);
    screen.log(1, b"\x1b[2Jx \x1b[31mred\n", start);
    insta::assert_snapshot!(format!("{:?}", take_lines(&mut screen)), @r#""\u{1b}[35mb\u{1b}[0m \u{1b}[2m│\u{1b}[0m x \u{1b}[31mred\u{1b}[0m\n""#);
}

#[test]
fn a_prompt_shows_after_a_while_and_its_end_makes_no_empty_line() {
    let start = Instant::now();
    let mut screen = Screen::new(["ask"], Palette::new(false), false, start);
    screen.log(0, b"Name? ", start);
    screen.tick(start);
    assert_eq!(take_lines(&mut screen), "");
    screen.tick(start + PATIENCE);
    assert_eq!(take_lines(&mut screen), "ask │ Name?\n");
    screen.log(0, b"\nEve\n", start + PATIENCE);
    assert_eq!(take_lines(&mut screen), "ask │ Eve\n");
    let mut file = String::new();
    screen.take_texts(|_, text| file.push_str(text));
    assert_eq!(file, "Name? \nEve\n");
    assert_eq!(screen.tail(0), "Name? \nEve\n");
}

#[test]
fn odd_names_neither_break_lines_nor_steer_the_terminal() {
    let start = Instant::now();
    let long = "a name that is longer than anybody would like to see";
    let mut screen = Screen::new(["\x1b[2Jx\ny", "変", long], Palette::new(false), false, start);
    for job in 0..3 {
        screen.log(job, b"hi\n", start);
    }
    insta::assert_snapshot!(take_lines(&mut screen), @r"
    x y                          │ hi
    変                           │ hi
    a name that is longer than … │ hi
    ");
}

#[test]
fn the_area_says_what_runs_and_what_waits_for_what() {
    let start = Instant::now();
    let role = |name: &str, needs: &[&str]| Role {
        name: name.into(),
        stage: "stage".into(),
        needs: Some(needs.iter().copied().map(str::to_owned).collect()),
    };
    let mut ledger = Ledger::new([role("build", &[]), role("lint", &[]), role("deploy", &["build", "lint"])]);
    let mut screen = Screen::new(["build", "lint", "deploy"], Palette::new(false), true, start);
    ledger.entries[0].start(start);
    ledger.entries[0].enter(Phase::Script, start + seconds(2));
    ledger.entries[1].start(start + seconds(9));
    screen.log(0, b"done\nDownloading\t45%\r", start + seconds(8));
    let area = screen.area(&ledger, Room { width: 70, height: 24 }, start + seconds(10));
    insta::assert_snapshot!(area.join("\n"), @r"
     ⠋ build   script              0:08  Downloading 45%
     ⠋ lint    starts              0:01
       deploy  waits for build, lint
     2 running · 1 waiting · 0 done · 0:10 · Ctrl-C cancels
    ");
    let narrow = screen.area(&ledger, Room { width: 30, height: 6 }, start + seconds(10));
    insta::assert_snapshot!(narrow.join("\n"), @r"
     ⠋ build   script           …
       … and 2 more
     2 running · 1 waiting · 0 d…
    ");
}

#[test]
fn the_area_is_gone_when_all_have_ended() {
    let start = Instant::now();
    let mut ledger = Ledger::new([Role { name: "a".into(), ..Role::default() }]);
    let screen = Screen::new(["a"], Palette::new(false), true, start);
    ledger.entries[0].state = State::Ended(Ending::Succeeded);
    assert!(screen.area(&ledger, Room { width: 80, height: 24 }, start).is_empty());
}

#[test]
fn a_section_without_lines_shows_only_if_it_took_long() {
    let start = Instant::now();
    let mut screen = Screen::new(["a"], Palette::new(false), false, start);
    let section = |screen: &mut Screen, name: &str, took| {
        screen.log(0, format!("section_start:1:{name}\r\x1b[0KHeading of {name}\n").as_bytes(), start);
        screen.log(0, format!("section_end:1:{name}\r\x1b[0K").as_bytes(), start + took);
    };
    section(&mut screen, "quick", Duration::ZERO);
    section(&mut screen, "cleanup_file_variables", seconds(3));
    screen.log(0, b"Job succeeded\n", start);
    insta::assert_snapshot!(take_lines(&mut screen), @r"
    a │ ▸ Heading of cleanup_file_variables
    a │ ◂ cleanup 3.0s
    ");
}
