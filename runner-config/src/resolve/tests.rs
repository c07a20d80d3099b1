use runner_core::CacheFormat;
use runner_k8s::config::KeyClass;

use super::*;
use crate::{
    config::{CacheStore, ExecutorConfig, S3Encryption, Shell, TokenSource},
    parse,
    table::{FLAGS, sections},
};

/// A runner that is complete.
const RUNNER: &str =
    "[[runners]]\nurl = \"https://g.example\"\ntoken = \"glrt-secret\"\nexecutor = \"kubernetes\"\n";

fn resolve_in(text: &str, variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse("config.toml", text).resolve(&Surroundings::new(variables))
}

/// A complete runner with more lines.
fn runner(lines: &str) -> Result<Config, Mistakes> {
    resolve_in(&format!("{RUNNER}{lines}"), &[])
}

fn mistakes(text: &str) -> String {
    resolve_in(text, &[]).unwrap_err().to_string()
}

fn said(config: &Config) -> Vec<String> {
    config.findings.iter().map(|finding| format!("{:?} {}", finding.severity, finding.message)).collect()
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let text = "concurent = 4\ncheck_interval = \"3s\"\n[[runners]]\nurl = \"gitlab\"\ntoken = 5\n\
                limit = -1\nexecutor = \"kubernets\"\nprepare_timeout = \"soon\"\n[runners.kubernetes]\n\
                imgae = \"a\"\ncpu_limit = \"much\"\n[[runners.kubernetes.volumes.pvc]]\nname = \"a\"\n\
                mount_paht = \"/a\"\n[runners.cache]\nType = \"s33\"\n";
    insta::assert_snapshot!(mistakes(text));
}

#[test]
fn a_text_that_is_no_toml_is_told_with_every_place() {
    insta::assert_snapshot!(mistakes("concurrent = \n[[runners]]\ntoken = \"glrt-secret\nurl = 'x'\n"));
}

#[test]
fn no_secret_shows_in_a_mistake() {
    let slip = mistakes(&RUNNER.replace("token =", "tokn ="));
    assert!(slip.contains("did you mean `token`?") && !slip.contains("secret"), "{slip}");
    let wrong = mistakes(&format!("{RUNNER}[runners.kubernetes]\nbearer_token = [\"glrt-secret\"]\n"));
    assert!(wrong.contains("the value has the wrong form") && !wrong.contains("secret"), "{wrong}");
    let beside = mistakes(&format!(
        "{RUNNER}[runners.cache]\nType=\"s3\"\ns3 = {{ SecretKey = \"secret\", Bucket = \"b\" }}"
    ));
    assert!(beside.contains("unknown key `Bucket`") && !beside.contains("secret"), "{beside}");
    let bare = mistakes(&RUNNER.replace("\"glrt-secret\"", "glrt-secret # secret"));
    assert!(bare.contains("must be quoted") && !bare.contains("secret"), "{bare}");
    let registration = mistakes(&RUNNER.replace("glrt-secret", "GR1348941secret"));
    assert!(
        registration.contains("registration token") && !registration.contains("1secret"),
        "{registration}"
    );
}

#[test]
fn the_case_of_keys_does_not_matter_but_that_of_names_of_the_user_does() {
    let config = runner("Limit = 2\n[runners.Cache]\ntype = \"s3\"\n[runners.cache.S3]\nbucketname = \"b\"\nACCESSKEY = \"a\"\n\
                         secretKey = \"b\"\n[runners.kubernetes]\nImage = \"i\"\n[runners.kubernetes.Pod_Labels]\nTeam = \"x\"\n\
                         [[runners.kubernetes.volumes.PVC]]\nName = \"a\"\nmount_path = \"/a\"\n")
    .unwrap();
    let runner = &config.runners[0];
    assert_eq!(runner.limit, Some(2));
    assert!(matches!(&runner.cache.as_ref().unwrap().store, CacheStore::S3(s3) if s3.bucket == "b"));
    let ExecutorConfig::Kubernetes(pods) = &runner.executor else { panic!("{runner:?}") };
    assert_eq!((pods.image.as_str(), pods.volumes.pvc[0].name.as_str()), ("i", "a"));
    assert_eq!(pods.pod_labels.get("Team").map(String::as_str), Some("x"));
    let twice = mistakes(&format!("{RUNNER}limit = 1\nLIMIT = 2\n"));
    assert!(twice.contains("`limit` is there twice"), "{twice}");
}

#[test]
fn variables_are_replaced_where_they_are_and_nowhere_else() {
    let text = "listen_address = \":$PORT\"\n[[runners]]\nname = \"$NAME\"\nurl = \"https://$HOST/\"\ntoken = \"${TOKEN}\"\n\
                clone_url = \"http://$HOST\"\nexecutor = \"kubernetes\"\nenvironment = [\"A=$HOST\", \"B=a=b\"]\n\
                pre_build_script = \"echo $HOST\"\nbuilds_dir = \"/$HOST\"\n[runners.kubernetes]\nimage = \"$HOST\"\n";
    let variables = [("PORT", "9252"), ("HOST", "g"), ("TOKEN", "glrt-t"), ("NAME", "")];
    let config = resolve_in(text, &variables).unwrap();
    let runner = &config.runners[0];
    assert_eq!(config.listen_address.as_deref(), Some(":9252"));
    assert_eq!(
        (runner.name.as_str(), runner.url.as_str(), runner.token.expose()),
        ("", "https://g", "glrt-t")
    );
    assert_eq!(runner.clone_url.as_deref(), Some("http://g"));
    assert_eq!(runner.environment, [("A".into(), "$HOST".into()), ("B".into(), "a=b".into())]);
    assert_eq!(runner.scripts.pre_build.as_deref(), Some("echo $HOST"));
    assert_eq!(runner.builds_dir.as_deref(), Some("/$HOST"));
    let ExecutorConfig::Kubernetes(pods) = &runner.executor else { panic!("{runner:?}") };
    assert_eq!(pods.image, "$HOST");
    insta::assert_snapshot!(mistakes(text));
}

#[test]
fn the_token_comes_from_the_first_place_that_has_one() {
    let text = "[[runners]]\nurl = \"https://g.example\"\nexecutor = \"shell\"\n";
    let source = |variables: &[(&str, &str)]| {
        resolve_in(text, variables).map(|config| config.runners[0].token_source.clone())
    };
    let both = [("CI_SERVER_TOKEN", "a"), ("RUNNER_TOKEN", "b")];
    assert_eq!(source(&both).unwrap(), TokenSource::Variable("CI_SERVER_TOKEN"));
    assert_eq!(source(&both[1..]).unwrap(), TokenSource::Variable("RUNNER_TOKEN"));
    let with_token = format!("{text}token = \"glrt-x\"\n");
    assert_eq!(resolve_in(&with_token, &both).unwrap().runners[0].token_source, TokenSource::Config);
    let nothing = source(&[]).unwrap_err().to_string();
    assert!(nothing.contains("has no `token`") && nothing.contains("CI_SERVER_TOKEN"), "{nothing}");
    let registration = source(&[("REGISTRATION_TOKEN", "GR1")]).unwrap_err().to_string();
    assert!(registration.contains("runner register"), "{registration}");
}

#[test]
fn a_token_file_that_is_named_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t");
    let text = RUNNER.replace("token = \"glrt-secret\"\n", "");
    let variables = [
        ("CI_SERVER_TOKEN_FILE".to_owned(), file.display().to_string()),
        ("RUNNER_TOKEN".into(), "b".into()),
    ];
    let resolve =
        || parse("c", &text).resolve(&Surroundings::new(variables.clone()).with_files(folder.path()));
    assert!(resolve().unwrap_err().to_string().contains("CI_SERVER_TOKEN_FILE cannot be read"));
    fs_err::write(&file, "glrt-f\n").unwrap();
    assert_eq!(resolve().unwrap().runners[0].token.expose(), "glrt-f");
}

#[test]
fn who_only_looks_needs_no_server_and_no_variables() {
    let text = "[[runners]]\nexecutor = \"kubernetes\"\n[[runners]]\nurl = \"http://$URL\"\ntoken = \"$TOKEN\"\nexecutor = \"shell\"\n\
                [runners.cache]\nType = \"s3\"\n[runners.cache.s3]\nBucketName = \"b\"\nAccessKey = \"$KEY\"\n";
    let config = parse("c", text).resolve_offline(&Surroundings::default()).unwrap();
    assert_eq!((config.runners.len(), config.runners[1].token.expose()), (2, ""));
    assert_eq!(config.runners[1].cache, None);
    let wrong = text.replace("kubernetes", "kubernetse");
    assert_eq!(parse("c", &wrong).resolve_offline(&Surroundings::default()).unwrap_err().found.len(), 1);
}

/// A value for each key that is said something about, as TOML.
fn sample(section: &str, key: &str) -> &'static str {
    match (section, key) {
        ("runners", "job_status_final_update_retry_limit") => "3",
        ("runners", "proxy_exec" | "use_slot_cgroups")
        | ("runners.cache.s3", "DisableAssumeRoleCredentialsCaching") => "true",
        ("runners.cache.s3", "AssumeRoleMaxConcurrency") | ("session_server", "session_timeout") => "1",
        ("", "machine") => "{ shutdown_drain = { enabled = true } }",
        ("experimental", "usage_logger") | ("runners.experimental", "boot_verify") => "{ enabled = true }",
        ("runners", "referees") => "{ metrics = { queries = [] } }",
        (
            "runners",
            "instance" | "ssh" | "docker" | "parallels" | "virtualbox" | "machine" | "custom" | "autoscaler",
        ) => "{ anything = 1 }",
        _ => "\"x\"",
    }
}

#[test]
fn every_key_without_effect_and_every_refused_one_is_told_in_one_line_with_its_line() {
    for section in sections().into_iter().filter(|section| section.path != "runners.kubernetes") {
        for key in section.keys.iter().filter(|key| key.class != KeyClass::Works) {
            let value = sample(section.path, key.name);
            let more = if section.path == "session_server" { "listen_address = \"a:1\"\n" } else { "" };
            let more = if key.name == "listen_address" { "" } else { more };
            let text = match section.path {
                "" => format!("{} = {value}\n{RUNNER}", key.name),
                "session_server" | "experimental" => {
                    format!("{RUNNER}{}\n{more}{} = {value}\n", section.header, key.name)
                }
                "runners" => format!("{RUNNER}{} = {value}\n", key.name),
                _ => format!("{RUNNER}{}\n{} = {value}\n", section.header, key.name),
            };
            let config = resolve_in(&text, &[]).unwrap_or_else(|mistakes| panic!("{text}{mistakes}"));
            let line =
                text.lines().position(|line| line.starts_with(&format!("{} =", key.name))).unwrap() + 1;
            let (severity, verb) = match key.class {
                KeyClass::Refused => (Severity::Fatal, "is refused"),
                _ => (Severity::Note, "has no effect"),
            };
            let said = said(&config);
            let is_told = |message: &String| {
                message.starts_with(&format!("{severity:?} config.toml:{line}: `"))
                    && message.contains(&format!("{}` {verb}: {}", key.name, key.why.unwrap_or_default()))
            };
            assert_eq!(said.iter().filter(|message| is_told(message)).count(), 1, "{text}{said:?}");
        }
    }
}

#[test]
fn every_flag_without_effect_is_told_and_a_flag_that_is_not_known_is_no_mistake() {
    for flag in FLAGS {
        let config = runner(&format!("[runners.feature_flags]\n{} = true\n", flag.name)).unwrap();
        assert_eq!(said(&config).len(), usize::from(flag.class != KeyClass::Works), "{}", flag.name);
        assert!(config.runners[0].is_on(flag.name));
        assert_eq!(config.runners[0].working_flags().count(), usize::from(flag.class == KeyClass::Works));
    }
    let config = runner("[runners.feature_flags]\nFF_TIMESTAMP = true\n").unwrap();
    assert_eq!(said(&config), ["Warning config.toml:6: there is no flag FF_TIMESTAMP"]);
    assert_eq!(config.findings[0].mend, "did you mean FF_TIMESTAMPS?");
}

#[test]
fn keys_of_pods_that_have_no_effect_or_are_refused_are_told_with_their_lines() {
    let config = runner("[runners.kubernetes]\npoll_interval = 1\nsuspend_pvc_size = \"1Gi\"\n").unwrap();
    insta::assert_snapshot!(said(&config).join("\n"));
}

#[test]
fn an_executor_that_is_not_done_here_is_refused_without_a_word_about_its_section() {
    let config = resolve_in(
        &format!("{}[runners.docker]\nimage = \"a\"\n", RUNNER.replace("kubernetes", "docker")),
        &[],
    );
    let config = config.unwrap();
    assert_eq!(config.runners.len(), 0);
    assert_eq!(
        said(&config),
        ["Fatal config.toml:4: the executor \"docker\" is refused: jobs run in pods or on this machine"]
    );
}

#[test]
fn a_user_for_jobs_on_this_machine_is_refused_and_not_passed_over() {
    let text = format!("user = \"ci\"\n{}", RUNNER.replace("kubernetes", "shell"));
    let config = resolve_in(&text, &[]).unwrap();
    assert!(
        said(&config)[0].starts_with("Fatal config.toml:1: `user` is refused: jobs of the executor `shell`")
    );
}

#[test]
fn shells_of_windows_are_refused() {
    for shell in ["cmd", "pwsh", "powershell"] {
        let config = runner(&format!("shell = \"{shell}\"\n")).unwrap();
        assert!(said(&config)[0].starts_with("Fatal config.toml:5: `runners[0].shell` is refused"));
    }
    assert_eq!(runner("shell = \"sh\"\n").unwrap().runners[0].shell, Some(Shell::Sh));
}

#[test]
fn a_store_is_told_what_it_lacks() {
    let cases = [
        ("Type = \"s3\"", "the cache has no `BucketName`"),
        ("Type = \"gcs\"", "`ServerAddress = \"storage.googleapis.com\"`, and an HMAC key"),
        ("Type = \"azure\"", "a gateway such as versitygw"),
        ("Type = \"directory\"\nPath = \"/a\"", "is for `executor = \"shell\"`"),
        ("Type = \"s3\"\nformat = \"zipp\"\n[runners.cache.s3]\nBucketName=\"b\"", "did you mean \"zip\"?"),
        ("Type = \"S3x\"", "did you mean \"s3\"?"),
        (
            "Type = \"s3\"\n[runners.cache.s3]\nBucketName=\"b\"\nAccessKey=\"a\"",
            "the cache has no `SecretKey`",
        ),
        (
            "Type = \"s3\"\n[runners.cache.s3]\nBucketName=\"b\"\nSecretKey=\"a\"",
            "the cache has no `AccessKey`",
        ),
        (
            "Type = \"s3\"\n[runners.cache.s3]\nBucketName=\"b\"\nServerAddress=\"http://minio:9000/\"",
            "write \"minio:9000\" and `Insecure = true`",
        ),
        (
            "Type = \"s3\"\n[runners.cache.s3]\nBucketName=\"b\"\nServerSideEncryption=\"KMS\"",
            "needs `ServerSideEncryptionKeyID`",
        ),
        (
            "Type = \"s3\"\n[runners.cache.s3]\nBucketName=\"b\"\nAuthenticationType=\"acess-key\"",
            "did you mean \"access-key\"?",
        ),
    ];
    for (lines, expected) in cases {
        let told = runner(&format!("[runners.cache]\n{lines}\n")).unwrap_err().to_string();
        assert!(told.contains(expected), "{lines}: {told}");
    }
    let config = runner(
        "[runners.cache]\nType = \"s3\"\n[runners.cache.s3]\nBucketName=\"b\"\nServerSideEncryption=\"s3\"\n",
    )
    .unwrap();
    let CacheStore::S3(s3) = &config.runners[0].cache.as_ref().unwrap().store else { panic!("{config:?}") };
    assert_eq!((&s3.encryption, s3.path_style, s3.dual_stack), (&Some(S3Encryption::S3), false, true));
}

#[test]
fn stores_take_their_credentials_from_the_mounted_secret() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [("accesskey", "a"), ("secretkey", "s")] {
        fs_err::write(folder.path().join(name), value).unwrap();
    }
    let surroundings = Surroundings::default().with_files(folder.path());
    let text = format!("{RUNNER}[runners.cache]\nType = \"s3\"\n[runners.cache.s3]\nBucketName=\"b\"\n");
    let config = parse("c", &text).resolve(&surroundings).unwrap();
    let CacheStore::S3(s3) = &config.runners[0].cache.as_ref().unwrap().store else { panic!("{config:?}") };
    let expected = crate::config::S3Credentials::Keys {
        access_key: Secret::new("a"),
        secret_key: Secret::new("s"),
        session_token: Secret::default(),
    };
    assert_eq!(s3.credentials, expected);
}

#[test]
fn a_cache_in_a_directory_is_for_jobs_on_this_machine() {
    let text = RUNNER.replace("kubernetes", "shell");
    let cache = |lines: &str| {
        let config = parse("c", &format!("{text}[runners.cache]\n{lines}")).resolve(&Surroundings::default());
        config.map(|config| config.runners[0].cache.clone()).map_err(|mistakes| mistakes.to_string())
    };
    let found =
        cache("Type = \"directory\"\nPath = \"/srv/cache\"\nMaxUploadedArchiveSize = 5\n").unwrap().unwrap();
    assert_eq!(found.store, CacheStore::Directory("/srv/cache".into()));
    assert_eq!((found.format, found.max_uploaded_archive_size), (CacheFormat::Packs, Some(5)));
    assert!(cache("Type = \"directory\"\n").unwrap_err().contains("needs `Path`"));
}

#[test]
fn empty_sections_of_other_stores_are_no_word_worth() {
    let sections = "[runners.cache]\nMaxUploadedArchiveSize = 0\n[runners.cache.s3]\n[runners.cache.gcs]\n[runners.cache.azure]\n";
    let config = runner(sections).unwrap();
    assert_eq!((config.runners[0].cache.as_ref(), said(&config)), (None, vec![]));
}

#[test]
fn who_only_looks_has_the_cache_where_it_can_be_used() {
    let text = format!(
        "{RUNNER}[runners.cache]\nType = \"s3\"\n[runners.cache.s3]\nBucketName = \"b\"\nAccessKey = \"$KEY\"\nSecretKey = \"s\"\n"
    );
    let cache = |variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = parse("c", &text).resolve_offline(&Surroundings::new(variables)).unwrap();
        config.runners[0].cache.is_some()
    };
    assert!(cache(&[("KEY", "a")]));
    assert!(!cache(&[]));
}
