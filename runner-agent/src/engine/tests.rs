//! The engine with a host that does what a test says, under a clock that does not wait.

use std::time::Duration;

use runner_core::{
    ErrorKind, FailureReason, JobOutcome, Phase,
    executor::Stop,
    job::{CachePolicy, CacheSpec, Dependency, DependencyFile, When},
};
use tokio::time::Instant;

mod fakes;
mod trial;

use fakes::Act;
use trial::{Store, Trial, part};

const GRACE: Duration = Duration::from_secs(10);

fn graceful() -> Stop {
    Stop::Graceful { deadline: Instant::now() + Duration::from_mins(20) }
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_through_its_phases() {
    let seen = Trial::with("none", Act::Exit(0)).kept(When::OnSuccess).run().await;
    assert_eq!(seen.end.outcome, JobOutcome::Succeeded);
    assert!(seen.end.script_begun);
    let phases = [
        Phase::Prepare,
        Phase::GetSources,
        Phase::Script,
        Phase::AfterScript,
        Phase::UploadArtifacts,
        Phase::Cleanup,
    ];
    assert_eq!(seen.phases, phases);
    assert_eq!(seen.uploads, 1);
    seen.ended_well(Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn few_git_processes_make_a_fresh_work_tree() {
    let seen = Trial::with("none", Act::Exit(0)).run().await;
    let git = seen.commands.iter().filter(|command| command.program == "git");
    assert_eq!(git.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_an_argument() {
    let seen = Trial::with("none", Act::Exit(0)).variable("CI_JOB_TOKEN", "secret").run().await;
    let secrets = seen.commands.iter().flat_map(|command| &command.arguments);
    assert_eq!(secrets.filter(|argument| argument.contains("secret")).count(), 0);
}

/// The trials in which one part of a job never comes to an end by itself.
fn endless(act: Act) -> Vec<(Phase, Trial)> {
    let everything = CacheSpec { key: "k".into(), paths: vec!["made".into()], ..CacheSpec::default() };
    let saved = CacheSpec { policy: CachePolicy::Push, ..everything.clone() };
    let mut downloading = Trial::with("none", Act::Exit(0));
    downloading.store = Store::Silent;
    downloading.job.dependencies.push(Dependency {
        file: Some(DependencyFile { filename: "a.zip".into(), size: 1 }),
        ..Dependency::default()
    });
    let mut uploading = Trial::with("none", Act::Exit(0)).kept(When::Always);
    uploading.store = Store::Silent;
    vec![
        (Phase::GetSources, Trial::with("fetch", act)),
        (Phase::GetSources, Trial::with("git", act)),
        (Phase::RestoreCache, Trial::with("none", act).cached(everything)),
        (Phase::DownloadArtifacts, downloading),
        (Phase::Script, Trial::with("script", act)),
        (Phase::AfterScript, Trial::with("after_script", act)),
        (Phase::SaveCache, Trial::with("none", act).cached(saved)),
        (Phase::UploadArtifacts, uploading),
    ]
}

const ACTS: [Act; 5] = [Act::UntilTerm, Act::UntilKill, Act::ForEver, Act::Flood, Act::HangAtStart];

#[tokio::test(start_paused = true)]
async fn an_abort_ends_every_phase_at_once() {
    for act in ACTS {
        for (phase, trial) in endless(act) {
            let seen = trial.stopped(Stop::Abort).run().await;
            assert_eq!(seen.end.outcome, JobOutcome::Canceled, "{act:?} {phase:?}");
            assert!(seen.phases.contains(&phase), "{act:?} {phase:?}");
            seen.ended_well(Duration::from_secs(15));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_interruption_ends_every_phase_after_the_grace() {
    for act in ACTS {
        for (phase, trial) in endless(act) {
            let seen = trial.stopped(Stop::Interrupt).run().await;
            assert_eq!(seen.reason(), Some(FailureReason::RunnerInterrupted), "{act:?} {phase:?}");
            assert_eq!(seen.ran("after_script"), phase >= Phase::AfterScript, "{act:?} {phase:?}");
            seen.ended_well(GRACE * 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_ends_what_it_should() {
    for act in ACTS {
        for (phase, trial) in endless(act) {
            let seen = trial.stopped(graceful()).run().await;
            assert_eq!(seen.end.outcome, JobOutcome::Canceled, "{act:?} {phase:?}");
            assert_eq!(seen.ran("after_script"), phase >= Phase::Script, "{act:?} {phase:?}");
            // What runs because of a stop has its own time, or ends at the stop's deadline.
            let bound = if phase > Phase::Script { Duration::from_mins(21) } else { GRACE * 3 };
            seen.ended_well(bound);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_jobs_time_ends_every_phase_up_to_the_script() {
    for act in ACTS {
        for (phase, mut trial) in endless(act).into_iter().filter(|(phase, _)| *phase <= Phase::Script) {
            trial.job.timeout = Duration::from_mins(30);
            let seen = trial.run().await;
            assert_eq!(seen.reason(), Some(FailureReason::JobExecutionTimeout), "{act:?} {phase:?}");
            assert_eq!(seen.ran("after_script"), phase == Phase::Script, "{act:?} {phase:?}");
            assert!(seen.took >= Duration::from_mins(30));
            seen.ended_well(Duration::from_mins(31));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_script_ends_by_itself() {
    for act in ACTS {
        for (phase, mut trial) in endless(act).into_iter().filter(|(phase, _)| *phase > Phase::Script) {
            trial.job.timeout = Duration::from_mins(1);
            let seen = trial.run().await;
            let expected =
                (phase == Phase::UploadArtifacts).then_some(FailureReason::ExternalDependencyFailure);
            assert_eq!(seen.reason(), expected, "{act:?} {phase:?}");
            seen.ended_well(Duration::from_mins(21));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sharper_stop_shortens_the_grace() {
    let (abort_after, deadline) = (Duration::from_secs(3), Instant::now() + Duration::from_secs(4));
    let seen = Trial::with("script", Act::UntilKill).stopped(Stop::Graceful { deadline }).run().await;
    assert_eq!(seen.end.outcome, JobOutcome::Canceled);
    assert!(!seen.ran("after_script"));
    seen.ended_well(abort_after + Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_log_without_room_holds_no_stop_up() {
    for room in [0, 10, 300, 100_000] {
        for how in [Stop::Abort, Stop::Interrupt, Stop::Graceful { deadline: Instant::now() }] {
            let mut trial = Trial::with("script", Act::Flood).stopped(how);
            trial.room = room;
            trial.stop_anyway = Some(Duration::from_mins(10));
            let seen = trial.run().await;
            assert!(!seen.end.outcome.is_success(), "{room} {how:?}");
            assert!(!seen.ended.is_empty(), "{room} {how:?}");
            assert!(seen.took < Duration::from_mins(12), "{room} {how:?}: {:?}", seen.took);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_whose_log_has_no_room_ends_in_time() {
    let mut trial = Trial::with("script", Act::Flood);
    trial.room = 100_000;
    trial.job.timeout = Duration::from_mins(1);
    trial.stop_anyway = Some(Duration::from_mins(10));
    trial.stop_when_busy = None;
    let seen = trial.run().await;
    assert_eq!(seen.reason(), Some(FailureReason::JobExecutionTimeout));
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_waiting_for_another_try_ends_the_wait() {
    let trial = Trial::with("fetch", Act::Exit(128)).variable("GET_SOURCES_ATTEMPTS", "10");
    let seen = trial.run().await;
    assert_eq!(seen.reason(), Some(FailureReason::RunnerSystemFailure));
    assert_eq!(seen.took.as_secs(), 1 + 2 + 4 + 8 + 16 + 30 * 4);

    let mut trial = Trial::with("fetch", Act::Exit(128)).variable("GET_SOURCES_ATTEMPTS", "10");
    trial.job.timeout = Duration::from_secs(20);
    let seen = trial.run().await;
    assert_eq!(seen.reason(), Some(FailureReason::JobExecutionTimeout));
    seen.ended_well(Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_goes_away_is_never_a_success() {
    for name in ["fetch", "git", "script", "after_script"] {
        let seen = Trial::with(name, Act::Vanish).run().await;
        assert_eq!(seen.reason(), Some(FailureReason::RunnerSystemFailure), "{name}");
        assert_eq!(seen.end.script_begun, matches!(name, "script" | "after_script"));
        seen.ended_well(Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_call_lies_the_job_ends_and_is_no_success_unless_its_script_was() {
    let lies = [
        Act::Exit(1),
        Act::Signal(9),
        Act::Vanish,
        Act::Refuse(ErrorKind::Unavailable),
        Act::Refuse(ErrorKind::NotFound),
        Act::Refuse(ErrorKind::Lost),
        Act::ForEver,
        Act::HangAtStart,
    ];
    for lie in lies {
        for call in 0..4 {
            let trial = Trial::new(move |number, _| if number == call { lie } else { Act::Exit(0) });
            let seen = trial.run().await;
            let script_fails = seen.commands.get(call).map(part) != Some("after_script");
            assert!(!script_fails || !seen.end.outcome.is_success(), "{lie:?} at {call}: {:?}", seen.end);
            seen.ended_well(Duration::from_mins(70));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_that_may_not_have_been_started_counts_as_begun() {
    let seen = Trial::with("script", Act::Refuse(ErrorKind::Lost)).run().await;
    assert!(seen.end.script_begun);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_may_work_later_is_tried_again() {
    let trial = Trial::new(|number, command| match (part(command), number) {
        ("script", 2 | 3) => Act::Refuse(ErrorKind::Unavailable),
        _ => Act::Exit(0),
    });
    let seen = trial.variable("EXECUTOR_JOB_SECTION_ATTEMPTS", "3").run().await;
    assert_eq!(seen.end.outcome, JobOutcome::Succeeded);
    assert_eq!(seen.took.as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_cleanup_that_hangs_is_given_up_and_told() {
    let mut trial = Trial::with("none", Act::Exit(0));
    trial.hangs_at_the_end = true;
    let seen = trial.run().await;
    assert_eq!(seen.end.outcome, JobOutcome::Succeeded);
    assert_eq!(seen.notices, 1);
    seen.ended_well(Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_step_has_its_own_time() {
    let mut trial = Trial::with("script", Act::UntilTerm);
    trial.job.steps[0].timeout = Some(Duration::from_secs(7));
    let seen = trial.run().await;
    assert_eq!(seen.reason(), Some(FailureReason::JobExecutionTimeout));
    assert_eq!(seen.took.as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn artifacts_that_are_refused_fail_a_good_job_and_no_other() {
    let mut trial = Trial::with("none", Act::Exit(0)).kept(When::Always);
    trial.store = Store::Refusing;
    assert_eq!(trial.run().await.reason(), Some(FailureReason::ExternalDependencyFailure));

    let mut trial = Trial::with("script", Act::Exit(3)).kept(When::Always);
    trial.store = Store::Refusing;
    assert_eq!(trial.run().await.end.outcome, JobOutcome::script_failed(3));
}

#[tokio::test(start_paused = true)]
async fn artifacts_are_kept_as_their_when_says() {
    for (when, code, uploads) in
        [(When::OnSuccess, 1, 0), (When::OnFailure, 1, 1), (When::Always, 1, 1), (When::OnFailure, 0, 0)]
    {
        let seen = Trial::with("script", Act::Exit(code)).kept(when).run().await;
        assert_eq!(seen.uploads, uploads, "{when:?} {code}");
    }
    let canceled = Trial::with("script", Act::UntilTerm).kept(When::OnFailure).stopped(graceful());
    assert_eq!(canceled.run().await.uploads, 1);
}

#[tokio::test(start_paused = true)]
async fn artifacts_that_are_gone_fail_the_job_before_its_script() {
    let mut trial = Trial::with("none", Act::Exit(0));
    trial
        .job
        .dependencies
        .push(Dependency { file: Some(DependencyFile::default()), ..Dependency::default() });
    let seen = trial.run().await;
    assert_eq!(seen.reason(), Some(FailureReason::ExternalDependencyFailure));
    assert!(!seen.end.script_begun && !seen.ran("after_script"));
}
