use std::path::Path;

use clap::Parser;

use super::*;

/// A program with one command.
#[derive(Debug, Parser)]
struct Of<A: Args> {
    #[command(flatten)]
    args: A,
}

fn parse<A: Args>(line: &str) -> Result<A, String> {
    let words = ["runner"].into_iter().chain(line.split_whitespace());
    Of::<A>::try_parse_from(words).map(|of| of.args).map_err(|error| error.to_string())
}

fn variables(variables: &[(&str, &str)]) -> Variables {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_line_of_gitlab_s_unit_of_systemd_is_understood() {
    let line = "--config /etc/gitlab-runner/config.toml --working-directory /var/lib/gitlab-runner --service gitlab-runner \
                --user gitlab-runner";
    let run = parse::<Run>(line).unwrap();
    assert_eq!(run.config.config.as_deref(), Some(Path::new("/etc/gitlab-runner/config.toml")));
    assert_eq!(run.user.as_deref(), Some("gitlab-runner"));
    assert_eq!(run.listen_address(&variables(&[("LISTEN_ADDRESS", ":9252")])).as_deref(), Some(":9252"));
    let named = parse::<Run>("--listen-address :1").unwrap();
    assert_eq!(named.listen_address(&variables(&[("LISTEN_ADDRESS", ":9252")])).as_deref(), Some(":1"));
}

#[test]
fn the_config_is_where_gitlab_runner_has_it() {
    let path = |line: &str, set: &[(&str, &str)], is_root| {
        parse::<List>(line).unwrap().config.path(&variables(set), is_root).display().to_string()
    };
    assert_eq!(path("-c a.toml", &[("CONFIG_FILE", "b")], true), "a.toml");
    assert_eq!(path("", &[("CONFIG_FILE", "b"), ("HOME", "/h")], false), "b");
    assert_eq!(path("", &[("HOME", "/h")], false), "/h/.gitlab-runner/config.toml");
    assert_eq!(path("", &[("HOME", "/root")], true), "/etc/gitlab-runner/config.toml");
}

#[test]
fn a_registration_is_what_the_command_line_says_and_the_environment_gives_the_rest() {
    let line = "-n -u https://g/ -t glrt-x --name build --executor kubernetes --kubernetes-image alpine \
                --kubernetes-namespace ci --template-config t.toml";
    let register = parse::<Register>(line).unwrap();
    let registration =
        register.registration(&variables(&[("CI_SERVER_URL", "https://other")]), None).unwrap();
    assert_eq!((registration.server.url.as_str(), registration.token.expose()), ("https://g", "glrt-x"));
    assert!(!registration.is_registration);
    assert_eq!(registration.details, Details { description: "build".into(), ..Details::default() });
    let NewRunner { executor, image, namespace, .. } = registration.entry;
    assert_eq!((executor.as_str(), image.as_str(), namespace.as_str()), ("kubernetes", "alpine", "ci"));
    assert_eq!(register.template(&Variables::new()).as_deref(), Some(Path::new("t.toml")));

    let from_chart = variables(&[
        ("CI_SERVER_URL", "https://g"),
        ("CI_SERVER_TOKEN", "glrt-y"),
        ("RUNNER_EXECUTOR", "kubernetes"),
        ("RUNNER_NAME", "pod-1"),
        ("TEMPLATE_CONFIG_FILE", "/t"),
        ("REGISTRATION_TOKEN", ""),
    ]);
    let register = parse::<Register>("--non-interactive").unwrap();
    let registration = register.registration(&from_chart, None).unwrap();
    assert_eq!((registration.token.expose(), registration.details.description.as_str()), ("glrt-y", "pod-1"));
    assert_eq!(register.template(&from_chart).as_deref(), Some(Path::new("/t")));
}

#[test]
fn what_is_for_registration_tokens_is_read_as_people_write_it() {
    let line = "-u https://g -r GR1 --description d --tag-list a,b --run-untagged=false --locked --paused=false \
                --access-level ref_protected --maximum-timeout 600 --maintenance-note note";
    let registration = parse::<Register>(line).unwrap().registration(&Variables::new(), None).unwrap();
    assert!(registration.is_registration);
    let details = Details {
        description: "d".into(),
        tags: vec!["a".into(), "b".into()],
        run_untagged: Some(false),
        is_locked: true,
        access_level: "ref_protected".into(),
        maximum_timeout: 600,
        is_paused: false,
        maintenance_note: "note".into(),
    };
    assert_eq!(registration.details, details);
    let tags = variables(&[("RUNNER_TAG_LIST", "x, y,")]);
    let registration = parse::<Register>("-u https://g -r GR1").unwrap().registration(&tags, None).unwrap();
    assert_eq!(registration.details.tags, ["x", "y"]);
}

#[test]
fn what_is_missing_is_told_with_the_flag() {
    let missing =
        |line: &str| parse::<Register>(line).unwrap().registration(&Variables::new(), None).unwrap_err();
    assert!(missing("-t glrt-x").contains("--url"));
    assert!(missing("-u https://g").contains("--token"));
    assert!(parse::<Register>("-t a -r b").is_err());
    assert!(parse::<Register>("--access-level all").is_err());
}

#[test]
fn runners_are_selected_by_flags_and_never_by_nothing() {
    let unregister = |line: &str| parse::<Unregister>(line).unwrap().selection();
    assert!(unregister("").unwrap_err().contains("--all-runners"));
    assert!(unregister("--url https://g").is_err());
    assert_eq!(unregister("-n a").unwrap(), Selection { name: Some("a".into()), ..Selection::default() });
    assert!(unregister("--all-runners").unwrap().is_all);
    let verify = parse::<Verify>("--delete -t glrt-x").unwrap();
    assert_eq!(verify.which.selection().token, Some(Secret::new("glrt-x")));
    assert!(verify.delete);
}
