//! The supervisor, with real processes.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use runner_agent::{
    host::{Command, Exit, FileAction, Host, Process, ProcessEnd, ProcessEvent, ProcessSignal},
    supervise::{SupervisedHost, SupervisorProgram},
};
use runner_core::ErrorKind;

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const GRACE: Duration = Duration::from_secs(5);

pub(crate) fn program() -> SupervisorProgram {
    SupervisorProgram::Path(PathBuf::from(env!("CARGO_BIN_EXE_runner-agent")))
}

mod end;

fn host() -> Result<SupervisedHost> {
    Ok(SupervisedHost::start(&program())?)
}

fn shell(script: &str) -> Command {
    Command {
        program: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
        directory: "/".into(),
    }
}

/// What a process printed until it ended, and how it did. The rest of its events is left to be read.
async fn until_end(process: &mut Process) -> Result<(String, ProcessEnd)> {
    let mut output = Vec::new();
    loop {
        match process.next().await {
            Some(ProcessEvent::Output(bytes)) => output.extend_from_slice(&bytes),
            Some(ProcessEvent::Ended(end)) => return Ok((String::from_utf8(output)?, end)),
            None => return Err("the host is gone".into()),
        }
    }
}

/// What a process prints until nobody holds its output any more.
async fn until_closed(process: &mut Process) -> Result<String> {
    let mut output = Vec::new();
    while let Some(event) = process.next().await {
        if let ProcessEvent::Output(bytes) = event {
            output.extend_from_slice(&bytes);
        }
    }
    Ok(String::from_utf8(output)?)
}

/// Reads output until it holds `text`.
async fn until_printed(process: &mut Process, text: &str) -> Result<String> {
    let mut output = String::new();
    while !output.contains(text) {
        match process.next().await {
            Some(ProcessEvent::Output(bytes)) => output.push_str(std::str::from_utf8(&bytes)?),
            other => return Err(format!("no {text} after {output}, but {other:?}").into()),
        }
    }
    Ok(output)
}

async fn run(host: &SupervisedHost, script: &str) -> Result<(String, ProcessEnd)> {
    let mut process = host.start(shell(script)).await?;
    until_end(&mut process).await
}

/// The processes whose command line holds `mark`.
fn processes(mark: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let line = String::from_utf8_lossy(&fs::read(path.join("cmdline")).unwrap_or_default()).into_owned();
        if line.contains(mark) && path.file_name().is_some_and(|name| name != "self" && name != "thread-self")
        {
            found.push(format!("{}: {line}", path.display()));
        }
    }
    Ok(found)
}

/// A number that no other test uses: seconds to sleep for, by which a process is found again.
fn mark(test: u32) -> String {
    format!("{}{test:03}", 100_000 + std::process::id() % 100_000)
}

fn number(text: &str) -> Result<i32> {
    Ok(text.trim().parse()?)
}

/// Waits until `condition` holds.
async fn wait_for(condition: impl Fn() -> Result<bool> + Send + Sync) -> Result {
    let wait = async {
        while !condition()? {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await?
}

#[tokio::test]
async fn files_are_read_with_the_rights_of_the_supervisor() {
    let host = host().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = "0123456789".repeat(1_000_000);
    fs::write(folder.path().join("file"), &text).unwrap();
    let mut process = host.files(FileAction::Content, &folder.path().join("file")).await.unwrap();
    let (read, end) = until_end(&mut process).await.unwrap();
    assert!(read == text, "{} bytes", read.len());
    assert_eq!(end.exit, Exit::Code(0));
    let mut missing = host.files(FileAction::Content, &folder.path().join("missing")).await.unwrap();
    assert_eq!(until_end(&mut missing).await.unwrap().1.exit, Exit::Code(2));
    let mut clearing = host.files(FileAction::Clear, folder.path()).await.unwrap();
    assert_eq!(until_end(&mut clearing).await.unwrap().1.exit, Exit::Code(0));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_without_end_is_read_no_further_than_it_is_wanted() {
    let host = host().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("hole");
    // It takes no space.
    fs::File::create(&place).unwrap().set_len(1 << 40).unwrap();
    let mut process = host.files(FileAction::Content, &place).await.unwrap();
    assert!(matches!(process.next().await, Some(ProcessEvent::Output(_))));
    process.signal(ProcessSignal::Kill);
    while let Some(event) = process.next().await {
        assert!(matches!(event, ProcessEvent::Output(_)), "{event:?}");
    }
    assert_eq!(run(&host, "echo still there").await.unwrap().0, "still there\n");
}

#[tokio::test]
async fn output_and_errors_keep_their_order() {
    let host = host().unwrap();
    let script = "for n in 1 2 3 4 5 6 7 8 9; do echo out$n; echo err$n >&2; done";
    let (output, end) = run(&host, script).await.unwrap();
    let expected: Vec<_> = (1..10).flat_map(|n| [format!("out{n}"), format!("err{n}")]).collect();
    assert_eq!(output.lines().collect::<Vec<_>>(), expected);
    assert_eq!(end.exit, Exit::Code(0));
}

#[tokio::test]
async fn ends_are_told_as_they_are() {
    let host = host().unwrap();
    for (script, exit) in [
        ("exit 0", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("exit 255", Exit::Code(255)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("kill -40 $$", Exit::Signal(40)),
    ] {
        assert_eq!(run(&host, script).await.unwrap().1.exit, exit, "{script}");
    }
    assert_eq!(Exit::Signal(9).code(), 137);
}

#[tokio::test]
async fn a_process_starts_as_from_a_fresh_shell() {
    let host = host().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut command =
        shell("pwd; cat; echo in=$?; printenv GREETING; env; cat /proc/self/stat | cut -d' ' -f5; echo $$");
    command.directory = directory.path().canonicalize().unwrap();
    command.environment.push(("GREETING".into(), "hello\nworld".into()));
    let mut process = host.start(command).await.unwrap();
    let (output, _) = until_end(&mut process).await.unwrap();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.first().copied(), directory.path().canonicalize().unwrap().to_str());
    assert!(output.contains("in=0\nhello\nworld\n"), "{output}");
    assert!(!output.contains("CARGO"), "{output}");
    assert_eq!(lines.iter().rev().nth(1), lines.last(), "it leads its group: {output}");
}

#[tokio::test]
async fn signals_that_the_runner_ignores_are_not_ignored_by_jobs() {
    let host = host().unwrap();
    let (output, _) = run(&host, "grep -E '^Sig(Ign|Blk)' /proc/self/status").await.unwrap();
    for line in output.lines() {
        let mask = u64::from_str_radix(line.split_whitespace().next_back().unwrap(), 16).unwrap();
        // The C library keeps two real-time signals to itself.
        assert_eq!(mask & 0x7fff_ffff, 0, "{output}");
    }
    assert_eq!(output.lines().count(), 2);
}

#[tokio::test]
async fn what_a_process_wrote_comes_before_its_end_and_what_children_write_after_it() {
    let host = host().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let gate = directory.path().join("gate");
    let script =
        format!("(while ! test -e {0}; do sleep 0.01; done; echo late) & seq 20000; exit 3", gate.display());
    let mut process = host.start(shell(&script)).await.unwrap();
    let (output, end) = until_end(&mut process).await.unwrap();
    assert_eq!(end.exit, Exit::Code(3));
    assert!(output.ends_with("19999\n20000\n"), "the end is missing after {} bytes", output.len());
    fs::write(gate, "").unwrap();
    assert_eq!(until_closed(&mut process).await.unwrap(), "late\n");
}

#[tokio::test]
async fn a_child_that_floods_does_not_hold_back_the_end() {
    let host = host().unwrap();
    let mut process = host.start(shell("yes & exit 5")).await.unwrap();
    let (_, end) = until_end(&mut process).await.unwrap();
    assert_eq!(end.exit, Exit::Code(5));
    let (ended, _) = tokio::join!(host.end_all(Duration::ZERO), until_closed(&mut process));
    ended.unwrap();
}

#[tokio::test]
async fn a_process_that_nobody_reads_stops_and_holds_back_no_other() {
    let host = host().unwrap();
    let mut flooder = host.start(shell("yes $$")).await.unwrap();
    for _ in 0..20 {
        assert_eq!(run(&host, "echo hello; exit 1").await.unwrap().1.exit, Exit::Code(1));
    }
    let pid = until_printed(&mut flooder, "\n").await.unwrap();
    let pid = pid.lines().next().unwrap().to_owned();
    // It sleeps in the kernel, at a full pipe.
    let children = format!("/proc/{pid}/task/{pid}/children");
    wait_for(|| {
        let yes = fs::read_to_string(&children)?;
        let of = if yes.trim().is_empty() { pid.as_str() } else { yes.trim() };
        Ok(fs::read_to_string(format!("/proc/{of}/wchan"))?.contains("pipe")
            || fs::read_to_string(format!("/proc/{of}/stat"))?.contains(") S "))
    })
    .await
    .unwrap();
    host.end_all(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn output_of_a_process_that_nobody_holds_is_thrown_away() {
    let host = host().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let done = directory.path().join("done");
    let script = format!("head -c 20000000 /dev/zero; touch {}", done.display());
    drop(host.start(shell(&script)).await.unwrap());
    wait_for(|| Ok(done.exists())).await.unwrap();
}

#[tokio::test]
async fn a_signal_reaches_the_whole_group_and_may_be_handled() {
    let host = host().unwrap();
    let script = "trap 'echo handled; exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    let mut process = host.start(shell(script)).await.unwrap();
    until_printed(&mut process, "ready").await.unwrap();
    process.signal(ProcessSignal::Terminate);
    let (output, end) = until_end(&mut process).await.unwrap();
    assert!(output.contains("handled"), "{output}");
    assert_eq!(end.exit, Exit::Code(9));
    // An ended one takes a signal without harm.
    process.signal(ProcessSignal::Kill);
    let mut process =
        host.start(shell("trap '' TERM; echo ready; while :; do sleep 1000; done")).await.unwrap();
    until_printed(&mut process, "ready").await.unwrap();
    process.signal(ProcessSignal::Terminate);
    process.signal(ProcessSignal::Kill);
    assert_eq!(until_end(&mut process).await.unwrap().1.exit, Exit::Signal(9));
}

#[tokio::test]
async fn what_cannot_be_started_is_said_plainly() {
    let host = host().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    let mut permissions = fs::metadata(&script).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&script, permissions).unwrap();
    let script = script.to_str().unwrap();
    let with = |change: &dyn Fn(&mut Command)| {
        let mut command = shell("exit 0");
        change(&mut command);
        command
    };
    let large = "x".repeat(200_000);
    let cases = [
        (with(&|command| command.program = "no-such-program".into()), ErrorKind::NotFound, "no-such-program"),
        (
            with(&|command| command.program = "/no/such/program".into()),
            ErrorKind::NotFound,
            "/no/such/program",
        ),
        (with(&|command| command.program = script.into()), ErrorKind::NotFound, "interpreter"),
        (with(&|command| command.program = "/etc/passwd".into()), ErrorKind::Invalid, "/etc/passwd"),
        (with(&|command| command.program = "/etc".into()), ErrorKind::Invalid, "/etc"),
        (
            with(&|command| command.directory = "/no/such/directory".into()),
            ErrorKind::Invalid,
            "/no/such/directory",
        ),
        (with(&|command| command.directory = "/etc/passwd".into()), ErrorKind::Invalid, "/etc/passwd"),
        (
            with(&|command| command.environment.push(("HUGE".into(), large.clone()))),
            ErrorKind::Invalid,
            "HUGE",
        ),
        (
            with(&|command| command.environment.push(("NULL".into(), "a\0b".into()))),
            ErrorKind::Invalid,
            "NULL",
        ),
        (with(&|command| command.arguments.push("a\0b".into())), ErrorKind::Invalid, "NUL"),
    ];
    for (command, kind, word) in cases {
        let error = host.start(command).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.chain().contains(word), "{error:?}");
    }
    assert_eq!(run(&host, "exit 6").await.unwrap().1.exit, Exit::Code(6));
}

#[tokio::test]
async fn programs_are_found() {
    let host = host().unwrap();
    assert_eq!(
        host.find(&["no-such-shell", "sh"], "/nowhere:/bin").await.unwrap().as_deref(),
        Some("/bin/sh")
    );
    assert_eq!(host.find(&["no-such-shell"], "/bin").await.unwrap(), None);
}

#[tokio::test]
async fn what_a_process_uses_is_recorded() {
    let host = host().unwrap();
    // The shell keeps a string of 50 MB and more.
    let script = "x=$(head -c 52000000 /dev/zero | tr '\\0' x); echo ${#x}";
    let (output, end) = run(&host, script).await.unwrap();
    assert_eq!(output, "52000000\n");
    assert!(end.usage.peak_memory >= 50_000_000, "{:?}", end.usage);
    assert!(!end.usage.cpu.is_zero(), "{:?}", end.usage);
}

/// Resident memory at its peak, in KiB.
fn peak(process: &str) -> Result<u64> {
    let status = fs::read_to_string(Path::new("/proc").join(process).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

#[tokio::test]
async fn much_output_takes_little_memory() {
    let host = host().unwrap();
    let mut process = host.start(shell("echo $PPID; exec head -c 200000000 /dev/zero")).await.unwrap();
    let mut bytes = 0;
    let mut first = None;
    loop {
        match process.next().await.unwrap() {
            ProcessEvent::Output(output) => {
                bytes += output.len();
                let line = output.split(|byte| *byte == b'\n').next().unwrap_or_default();
                first = first.or_else(|| Some(String::from_utf8_lossy(line).into_owned()));
            }
            ProcessEvent::Ended(end) => break assert_eq!(end.exit, Exit::Code(0)),
        }
    }
    let supervisor = first.unwrap();
    assert_eq!(bytes, 200_000_000 + supervisor.len() + 1);
    let peak = peak(&supervisor).unwrap();
    assert!(peak < 16 << 10, "the supervisor took {peak} KiB");
}

#[tokio::test]
async fn a_program_that_cannot_supervise_is_refused() {
    let error = SupervisedHost::start(&SupervisorProgram::ThisProgram).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.chain().contains("run_if_asked"), "{}", error.chain());
    let error = SupervisedHost::start(&SupervisorProgram::Path("/no/such/program".into())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // Another program says nothing that is understood, or ends.
    let host = SupervisedHost::start(&SupervisorProgram::Path("/bin/echo".into())).unwrap();
    let error = host.start(shell("exit 0")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost);
}
