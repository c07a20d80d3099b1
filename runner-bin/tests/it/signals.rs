//! Ctrl-C: once politely, twice at once; the summary comes in both cases.

use crate::project::Project;

const SLEEPER: &str = "sleeper:\n  script:\n    - echo it-sleeps\n    - sleep 1000\n  after_script:\n    - echo after-ran\n\
                       later:\n  stage: deploy\n  script: echo later\n";

#[test]
fn the_first_signal_lets_after_script_run() {
    for signal in ["INT", "TERM"] {
        let project = Project::new(SLEEPER).unwrap();
        let run = project.start_until("│ it-sleeps").unwrap();
        run.signal(signal).unwrap();
        let ran = run.finish().unwrap();
        assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("│ after-ran"), "{}", ran.stdout);
        assert!(ran.stdout.contains("2 canceled"), "{}", ran.stdout);
        assert!(!ran.stdout.contains("│ later"), "{}", ran.stdout);
        assert!(project.leftovers().unwrap().is_empty());
    }
}

#[test]
fn the_second_signal_stops_at_once() {
    let pipeline = SLEEPER.replace("echo after-ran", "echo after-sleeps; sleep 1000");
    let project = Project::new(&pipeline).unwrap();
    let mut run = project.start_until("│ it-sleeps").unwrap();
    run.signal("INT").unwrap();
    run.wait_for("│ after-sleeps").unwrap();
    run.signal("INT").unwrap();
    let ran = run.finish().unwrap();
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("canceled"), "{}", ran.stdout);
    assert!(project.leftovers().unwrap().is_empty());
}
