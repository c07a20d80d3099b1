//! The configs of real set-ups go on working, and nothing that is said about them frightens their owners.

use runner_config::{
    Config, ExecutorConfig, Surroundings, TokenSource,
    config::{CacheStore, S3Credentials},
    parse,
};
use runner_core::Secret;

const HOME: &str = include_str!("configs/pods_of_a_home.toml");
const CACHE: &str = include_str!("configs/cache_in_the_cluster.toml");
const REGISTERED: &str = include_str!("configs/written_by_register.toml");

fn variables(variables: &[(&str, &str)]) -> Surroundings {
    Surroundings::new(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())))
}

fn config(text: &str, surroundings: &Surroundings) -> Result<Config, String> {
    parse("config.toml", text).resolve(surroundings).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn a_config_whose_token_is_in_a_mounted_secret_needs_neither_token_nor_executor() {
    let secrets = tempfile::tempdir().unwrap();
    fs_err::write(secrets.path().join("runner-token"), "glrt-home").unwrap();
    fs_err::write(secrets.path().join("runner-registration-token"), "").unwrap();
    let surroundings = variables(&[("CI_SERVER_URL", "https://gitlab.com/")]).with_files(secrets.path());
    let config = config(HOME, &surroundings).unwrap();
    assert_eq!(config.findings, []);
    assert_eq!((config.concurrent, config.check_interval.as_secs()), (2, 30));
    let runner = &config.runners[0];
    assert_eq!((runner.url.as_str(), runner.token.expose()), ("https://gitlab.com", "glrt-home"));
    let path = secrets.path().join("runner-token").display().to_string();
    assert_eq!(runner.token_source, TokenSource::File(path));
    let ExecutorConfig::Kubernetes(kubernetes) = &runner.executor else { panic!("{runner:?}") };
    assert_eq!((kubernetes.namespace.as_str(), kubernetes.cpu_limit.as_str()), ("ci", "1000m"));
    assert_eq!(kubernetes.volumes.empty_dir.len(), 1);
}

#[test]
fn a_cache_with_keys_from_the_environment_has_them() {
    let surroundings = variables(&[
        ("CI_SERVER_URL", "https://gitlab.com"),
        ("CI_SERVER_TOKEN", "glrt-mesh"),
        ("CACHE_S3_ACCESS_KEY", "access"),
        ("CACHE_S3_SECRET_KEY", "se$cret"),
    ]);
    let config = config(CACHE, &surroundings).unwrap();
    assert_eq!(config.findings, []);
    let cache = config.runners[0].cache.as_ref().unwrap();
    assert!(cache.is_shared);
    let CacheStore::S3(s3) = &cache.store else { panic!("{cache:?}") };
    assert_eq!((s3.bucket.as_str(), s3.is_insecure, s3.path_style), ("ci-cache", true, true));
    let keys = S3Credentials::Keys {
        access_key: Secret::new("access"),
        secret_key: Secret::new("se$cret"),
        session_token: Secret::default(),
    };
    assert_eq!(s3.credentials, keys);
    assert_eq!(config.runners[0].token_source, TokenSource::Variable("CI_SERVER_TOKEN"));
    assert!(!format!("{config:?}").contains("se$cret") && !format!("{config:?}").contains("glrt"));
}

#[test]
fn variables_of_a_cache_that_are_not_set_are_told_with_their_lines() {
    let surroundings =
        variables(&[("CI_SERVER_URL", "https://gitlab.com"), ("CI_SERVER_TOKEN", "glrt-mesh")]);
    insta::assert_snapshot!(config(CACHE, &surroundings).unwrap_err());
}

#[test]
fn a_config_that_was_written_by_register_is_read_without_a_word() {
    let config = config(REGISTERED, &Surroundings::default()).unwrap();
    assert_eq!(config.findings, []);
    assert_eq!((config.check_interval.as_secs(), config.shutdown_timeout.as_secs()), (3, 30));
    let runner = &config.runners[0];
    assert_eq!((runner.url.as_str(), runner.id), ("https://gitlab.example.com", 42));
    assert_eq!((runner.token_expires_at.as_deref(), &runner.cache), (None, &None));
    assert!(runner.is_on("FF_KUBERNETES_HONOR_ENTRYPOINT") && runner.is_on("FF_TIMESTAMPS"));
}
