//! What outlives its end: nothing.

use super::*;

#[tokio::test]
async fn nothing_that_hides_outlives_the_end_of_all() {
    let host = host().unwrap();
    let mark = mark(1);
    let script = format!(
        "(env -i /usr/bin/setsid /bin/sh -c '/bin/sleep {mark} & exit' &) ; (trap '' TERM; sleep {mark} & wait; sleep {mark}) & \
         setsid sh -c \"setsid sleep {mark} & trap '' TERM HUP INT; while :; do sleep {mark}; done\" & \
         sleep {mark} & kill -STOP $!; echo ready"
    );
    let mut process = host.start(shell(&script)).await.unwrap();
    until_printed(&mut process, "ready").await.unwrap();
    wait_for(|| Ok(processes(&mark)?.len() >= 5)).await.unwrap();
    host.end_all(Duration::from_millis(50)).await.unwrap();
    assert_eq!(processes(&mark).unwrap(), Vec::<String>::new());
    until_closed(&mut process).await.unwrap();
    // It can be used again, and ending nothing is quick.
    assert_eq!(run(&host, "exit 4").await.unwrap().1.exit, Exit::Code(4));
    host.end_all(GRACE).await.unwrap();
}

#[tokio::test]
async fn those_that_end_when_asked_may_clean_up() {
    let host = host().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let cleaned = directory.path().join("cleaned");
    let script = format!(
        "setsid sh -c 'trap \"echo yes > {0}; exit\" TERM; echo ready; while :; do sleep 0.01; done' & wait",
        cleaned.display()
    );
    let mut process = host.start(shell(&script)).await.unwrap();
    until_printed(&mut process, "ready").await.unwrap();
    host.end_all(Duration::from_mins(1)).await.unwrap();
    assert_eq!(fs::read_to_string(cleaned).unwrap(), "yes\n");
}

#[tokio::test]
async fn a_fork_bomb_is_defused() {
    let host = host().unwrap();
    let mark = mark(2);
    // Each process starts two others, in sessions of their own and deaf to TERM, as long as fewer than 200 are there.
    let script = format!(
        "trap '' TERM; bomb() {{ while :; do if test $(ls /proc | wc -l) -lt {}; then setsid sh -c \"$BOMB\" {mark} & fi; \
         sleep 0.02; done; }}; bomb",
        fs::read_dir("/proc").unwrap().count() + 200
    );
    let mut command = shell(&script);
    command.environment.push(("BOMB".into(), script));
    let _process = host.start(command).await.unwrap();
    wait_for(|| Ok(processes(&mark)?.len() >= 100)).await.unwrap();
    host.end_all(Duration::ZERO).await.unwrap();
    assert_eq!(processes(&mark).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_outlives_a_runner_that_is_killed() {
    let mark = mark(3);
    // What happens when the runner is killed is that its end of the pipe is closed.
    let host = host().unwrap();
    let mut process =
        host.start(shell(&format!("setsid sleep {mark} & sleep {mark} & echo ready; sleep {mark}"))).await;
    until_printed(process.as_mut().unwrap(), "ready").await.unwrap();
    wait_for(|| Ok(processes(&mark)?.len() >= 3)).await.unwrap();
    drop(host);
    wait_for(|| Ok(processes(&mark)?.is_empty())).await.unwrap();
}

#[tokio::test]
async fn closing_waits_until_nothing_is_left() {
    let mark = mark(4);
    let host = host().unwrap();
    let mut process = host.start(shell(&format!("setsid sleep {mark} & echo ready"))).await.unwrap();
    until_printed(&mut process, "ready").await.unwrap();
    wait_for(|| Ok(!processes(&mark)?.is_empty())).await.unwrap();
    host.close().await;
    host.close().await;
    assert_eq!(processes(&mark).unwrap(), Vec::<String>::new());
    let error = host.start(shell("exit 0")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error:?}");
}

#[tokio::test]
async fn a_killed_supervisor_is_told_and_leaves_nothing() {
    let mark = mark(5);
    let host = host().unwrap();
    let script =
        format!("echo $PPID; setsid sleep {mark} & setsid sh -c 'sleep {mark} & wait' & sleep {mark}");
    let mut process = host.start(shell(&script)).await.unwrap();
    let supervisor = number(&until_printed(&mut process, "\n").await.unwrap()).unwrap();
    wait_for(|| Ok(processes(&mark)?.len() >= 4)).await.unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(supervisor), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    assert_eq!(process.next().await, None, "no end is known");
    for error in [host.end_all(GRACE).await.unwrap_err(), host.find(&["sh"], "/bin").await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Lost);
        assert!(error.chain().contains("signal: 9"), "{}", error.chain());
    }
    assert_eq!(processes(&mark).unwrap(), Vec::<String>::new());
    host.close().await;
}

#[tokio::test]
async fn a_supervisor_that_a_job_stops_is_killed_and_leaves_nothing() {
    let mark = mark(6);
    let host = host().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let gate = directory.path().join("gate");
    let script = format!(
        "(setsid sleep {mark} &); setsid sleep {mark} & echo $PPID; while ! test -e {}; do sleep 0.01; done; kill -STOP $PPID; sleep {mark}",
        gate.display()
    );
    let mut process = host.start(shell(&script)).await.unwrap();
    let supervisor = number(&until_printed(&mut process, "\n").await.unwrap()).unwrap();
    fs::write(gate, "").unwrap();
    wait_for(|| Ok(fs::read_to_string(format!("/proc/{supervisor}/stat"))?.contains(") T "))).await.unwrap();
    // The first of them is a child of the supervisor's alone.
    wait_for(|| Ok(processes(&mark)?.len() >= 4)).await.unwrap();
    // From here on all patience ends at once.
    tokio::time::pause();
    let error = host.end_all(GRACE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
    host.close().await;
    assert_eq!(processes(&mark).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_supervisor_does_not_mind_signals_that_are_not_for_it() {
    let host = host().unwrap();
    let (output, _) =
        run(&host, "kill -INT $PPID; kill -TERM $PPID; kill -HUP $PPID; echo still").await.unwrap();
    assert_eq!(output, "still\n");
    assert_eq!(run(&host, "exit 2").await.unwrap().1.exit, Exit::Code(2));
}
