use super::*;

fn assembled(variables: Vec<Variable>) -> (Environment, Vec<FileVariable>, Vec<String>) {
    let mut job = JobSpec::new("1", "job");
    job.variables = Variables(variables);
    let places = Places { root: "/b".into(), project: "/b/p".into(), temporary: "/b/t".into() };
    let base = [("PATH", "/bin"), ("HOME", "/home"), ("GIT_DIR", "/mine/.git"), ("BASH_ENV", "/rc")];
    let settings = EngineSettings {
        builds_dir: "/b".into(),
        environment: base.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        ..EngineSettings::default()
    };
    assemble(&job, &places, &settings)
}

fn value(environment: &Environment, key: &str) -> Option<String> {
    let mut found = environment.pairs().into_iter().filter(|(name, _)| name == key);
    let first = found.next().map(|(_, value)| value);
    assert_eq!(found.next(), None, "{key} is there twice");
    first
}

fn file(key: &str, content: &str) -> Variable {
    Variable { file: true, ..Variable::new(key, content) }
}

#[test]
fn values_are_expanded_once_unless_raw() {
    let (environment, _, _) = assembled(vec![
        Variable::new("A", "1"),
        Variable::new("B", "$A-${C}-$unknown"),
        Variable::new("C", "$A"),
        Variable::raw("D", "$A"),
        Variable::new("E", "$CI_PROJECT_DIR/x"),
    ]);
    assert_eq!(value(&environment, "B").as_deref(), Some("1-$A-"));
    assert_eq!(value(&environment, "D").as_deref(), Some("$A"));
    assert_eq!(value(&environment, "E").as_deref(), Some("/b/p/x"));
}

#[test]
fn a_file_variable_is_the_path_of_its_content() {
    let (environment, files, _) = assembled(vec![
        Variable::new("NAME", "me"),
        file("CONFIG", "name: $NAME"),
        Variable::new("USES", "--config=$CONFIG"),
        file("../evil", "x"),
        file(".runner", "x"),
        file("gone", "x"),
        Variable::new("gone", "plain"),
    ]);
    assert_eq!(value(&environment, "CONFIG").as_deref(), Some("/b/t/CONFIG"));
    assert_eq!(value(&environment, "USES").as_deref(), Some("--config=/b/t/CONFIG"));
    assert_eq!(value(&environment, "gone").as_deref(), Some("plain"));
    assert_eq!(files.len(), 3);
    assert_eq!(files[0], FileVariable { path: "/b/t/CONFIG".into(), content: "name: me".into() });
    for file in &files[1..] {
        assert!(file.path.to_string_lossy().starts_with("/b/t/variable-"), "{file:?}");
    }
}

#[test]
fn what_no_environment_can_hold_is_left_out_with_a_warning() {
    let (environment, _, warnings) = assembled(vec![
        Variable::raw("", "x"),
        Variable::raw("A=B", "x"),
        Variable::raw("NUL", "a\0b"),
        Variable::raw("GOOD", "x"),
    ]);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert_eq!(value(&environment, "NUL"), None);
    assert_eq!(value(&environment, "GOOD").as_deref(), Some("x"));
}

#[test]
fn the_job_wins_over_the_base_and_ours_wins_over_the_job() {
    let (mut environment, _, _) = assembled(vec![
        Variable::raw("HOME", "/job"),
        Variable::raw("CI_PROJECT_DIR", "/elsewhere"),
        Variable::raw("CI", "yes"),
    ]);
    assert_eq!(value(&environment, "HOME").as_deref(), Some("/job"));
    assert_eq!(value(&environment, "CI_PROJECT_DIR").as_deref(), Some("/b/p"));
    assert_eq!(value(&environment, "CI").as_deref(), Some("yes"));
    assert_eq!(environment.path(), "/bin");
    assert_eq!(environment.value("CI_JOB_STATUS"), "running");
    environment.set("CI_JOB_STATUS", "failed");
    assert_eq!(value(&environment, "CI_JOB_STATUS").as_deref(), Some("failed"));
}

#[test]
fn the_base_decides_neither_the_repository_nor_what_shells_run() {
    let (environment, _, _) = assembled(vec![Variable::raw("ENV", "production")]);
    assert_eq!(value(&environment, "GIT_DIR"), None);
    let (of_shell, of_children) = environment.for_shell();
    assert!(of_shell.iter().all(|(key, _)| key != "ENV" && key != "BASH_ENV"));
    assert_eq!(of_children, vec![("ENV".to_owned(), "production".to_owned())]);
}
