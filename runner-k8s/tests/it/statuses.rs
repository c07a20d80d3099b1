//! The corpus of statuses of pods, each with all that it must be judged to say.
//!
//! `recorded` holds what a real API server answered; `written` holds what one cannot be made to answer at will, in the
//! form that Kubernetes documents; `refusals` holds recorded answers to the creation of a pod.

mod table;

use std::{collections::BTreeSet, fs, path::PathBuf};

use k8s_openapi::api::core::v1::Pod;
use kube::core::Status;
use runner_k8s::status::{Begun, ContainerState, Judgement, Waiting, refusal};
use serde::de::DeserializeOwned;

use table::{Row, STATUSES, Source};

fn directory(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/statuses").join(name)
}

#[expect(clippy::panic, reason = "a test says which file is missing")]
fn text(directory_name: &str, file: &str) -> String {
    let path = directory(directory_name).join(format!("{file}.json"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[expect(clippy::panic, reason = "a test says which file is broken")]
fn read<T: DeserializeOwned>(directory_name: &str, file: &str) -> T {
    serde_json::from_str(&text(directory_name, file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn state(state: &ContainerState) -> String {
    match state {
        ContainerState::Ended { exit_code, reason, .. } => format!("ended {exit_code} {reason}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn waits(waiting: &Waiting) -> String {
    let lasting = if waiting.permanent { "for good" } else { "for a while" };
    let container = waiting.container.as_deref().unwrap_or("pod");
    format!("{container} waits {lasting} ({:?}, {}): {}", waiting.cause, waiting.reason, waiting.line)
}

/// All of a judgement as text, one part a line; a part that has nothing to say is left out.
fn told(judgement: &Judgement) -> Vec<String> {
    let services = judgement.services.iter().map(|(name, service)| format!("{name} {}, ", state(service)));
    let mut told = vec![format!(
        "{}: helper {}, {}build {}; {}",
        judgement.bound.as_deref().unwrap_or("unbound"),
        state(&judgement.helper),
        services.collect::<String>(),
        state(&judgement.build),
        if judgement.begun == Begun::MayHave { "may have begun" } else { "has not begun" },
    )];
    told.extend(judgement.waiting.as_ref().map(waits));
    told.extend(
        judgement
            .ending
            .as_ref()
            .map(|ending| format!("ends ({:?}, {}): {}", ending.cause, ending.reason, ending.line)),
    );
    told.extend(judgement.oom.iter().map(|oom| {
        format!("{} of {}: {}", oom.container, oom.limit.as_deref().unwrap_or("no limit"), oom.line)
    }));
    told.extend(judgement.record.iter().map(|record| format!("record {record}")));
    told
}

fn judged(row: &Row) -> Vec<String> {
    told(&Judgement::of(&read::<Pod>(row.source.directory(), row.file)))
}

#[test]
fn each_status_is_judged_right() {
    let mut wrong = Vec::new();
    for row in STATUSES {
        let found = judged(row);
        if found != row.told {
            wrong.push(format!("    row(\"{}\", {:?}, &{found:#?}),\n", row.file, row.source));
        }
    }
    assert!(wrong.is_empty(), "judged otherwise:\n{}", wrong.concat());
}

#[test]
fn each_refusal_is_judged_right() {
    let mut wrong = Vec::new();
    for (file, told) in table::REFUSALS {
        let found = waits(&refusal(&read::<Status>("refusals", file)));
        if found != *told {
            wrong.push(format!("    ({file:?}, {found:?}),\n"));
        }
    }
    assert!(wrong.is_empty(), "judged otherwise:\n{}", wrong.concat());
}

#[test]
fn the_table_has_one_row_for_each_file_and_most_are_recorded() {
    let files = |name: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(directory(name)).expect("a directory of the corpus");
        entries
            .map(|entry| {
                entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned()
            })
            .collect()
    };
    for source in [Source::Recorded, Source::Written] {
        let rows: Vec<_> =
            STATUSES.iter().filter(|row| row.source == source).map(|row| row.file.to_owned()).collect();
        assert_eq!(rows.iter().cloned().collect::<BTreeSet<_>>(), files(source.directory()));
        assert_eq!(rows.len(), files(source.directory()).len(), "a row is there twice");
        assert!(rows.len() >= 40);
    }
    let refusals: BTreeSet<_> = table::REFUSALS.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(refusals, files("refusals"));
}

/// `pod` as it would be after more attempts, in a cluster that changed meanwhile without a reason for the pod.
fn later(pod: &str) -> String {
    pod.replace("Back-off pulling image", "Back-off 40s pulling image")
        .replace(
            "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: true}, 2 Insufficient memory",
            "0/9 nodes are available: 3 Insufficient memory, 6 node(s) had untolerated taint {gpu: true}",
        )
        .replace("0/1 nodes are available: 1 ", "0/7 nodes are available: 7 ")
        .replace("containerd-mount3299144749", "containerd-mount1180452231")
        .replace(
            "4178b1632157c579d2b579d98475563f917a0bcdade18b9781e27b99fef374e8",
            "9e8b1632157c579d2b579d98475563f917a0bcdade18b9781e27b99fef374e9",
        )
        .replace("available: 60884Ki", "available: 60112Ki")
        .replace("requested: 64000, used: 0", "requested: 64000, used: 1800")
        .replace("10.0.0.1:443: i/o", "10.0.0.2:443: i/o")
        .replace("\"restartCount\": 0", "\"restartCount\": 3")
        .replace("2026-11-25T03:4", "2026-11-25T03:5")
}

#[test]
fn a_line_stays_while_its_reason_stays() {
    let lines = |text: &str| {
        let pod: Pod = serde_json::from_str(text).expect("a pod");
        let Judgement { waiting, ending, .. } = Judgement::of(&pod);
        (waiting.map(|waiting| waiting.line), ending.map(|ending| ending.line))
    };
    for row in STATUSES {
        let text = text(row.source.directory(), row.file);
        assert_eq!(lines(&text), lines(&later(&text)), "{}", row.file);
    }
}

#[test]
fn every_line_is_one_line_of_bearable_length_that_holds_no_error_of_a_runtime() {
    for row in STATUSES {
        let judgement = Judgement::of(&read::<Pod>(row.source.directory(), row.file));
        let lines = judgement.waiting.iter().map(|waiting| &waiting.line);
        for line in lines.chain(judgement.ending.iter().map(|ending| &ending.line)) {
            assert!(!line.contains('\n') && line.chars().count() < 300, "{}: {line}", row.file);
            assert!(!line.contains("rpc error") && !line.contains("OCI runtime"), "{}: {line}", row.file);
        }
    }
}

#[test]
fn a_rejection_after_a_container_ran_is_none_at_the_door() {
    let rejected = Judgement::of(&read::<Pod>("recorded", "rejected-cpu"));
    let running = Judgement::of(&read::<Pod>("recorded", "running"));
    let creating = Judgement::of(&read::<Pod>("recorded", "pulling-stalled"));
    assert_eq!(rejected.clone().after(&creating).begun, Begun::CertainlyNot);
    assert_eq!(rejected.after(&running).begun, Begun::MayHave);
}

#[test]
fn the_cause_of_a_failed_pull_stays_where_the_kubelet_only_backs_off() {
    let said = Judgement::of(&read::<Pod>("recorded", "pull-c404"));
    let unsaid = Judgement::of(&read::<Pod>("written", "pull-backoff-old-kubelet"));
    assert_ne!(unsaid.waiting, said.waiting);
    assert_eq!(unsaid.after(&said).waiting, said.waiting);
}

#[test]
fn a_cut_off_status_never_means_that_nothing_ran() {
    for row in STATUSES {
        let mut pod: Pod = read(row.source.directory(), row.file);
        let Some(status) = pod.status.as_mut() else { continue };
        status.container_statuses = None;
        status.reason = None;
        let judgement = Judgement::of(&pod);
        assert_eq!(judgement.begun == Begun::CertainlyNot, judgement.bound.is_none(), "{}", row.file);
    }
}

#[test]
fn answers_that_no_cluster_was_asked_for_are_understood() {
    let answer = |code: u16, reason: &str, message: &str| {
        waits(&refusal(&Status::failure(message, reason).with_code(code)))
    };
    let busy = "pod waits for a while (Refused(Busy), runner_system_failure): waiting for the API server: it is overloaded or fails";
    assert_eq!(answer(429, "TooManyRequests", "please try again later"), busy);
    assert_eq!(answer(504, "Timeout", "Timeout: request did not complete within requested timeout"), busy);
    assert_eq!(
        answer(
            403,
            "Forbidden",
            "admission webhook \"policy.example.com\" denied the request: no latest tags,\nplease"
        ),
        "pod waits for good (Refused(Denied), configuration_error): the admission webhook policy.example.com of the cluster forbids the pod: no latest tags, please"
    );
    assert_eq!(
        answer(401, "Unauthorized", "Unauthorized"),
        "pod waits for a while (Refused(Unauthorized), runner_system_failure): the API server does not accept the credentials of the runner"
    );
}
