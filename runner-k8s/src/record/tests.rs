use std::time::Duration;

use runner_core::{
    CacheScope,
    executor::LogLimits,
    job::{Credential, Variable},
};

use runner_core::agent::{LogStart, Reports};

use super::*;

pub(crate) fn order() -> Order {
    Order {
        attempt: 1,
        executor: "kubernetes".into(),
        runner: "r".into(),
        slot: 0,
        greeting: Vec::new(),
        log: LogLimits::default(),
        builds_dir: "/builds".into(),
        start_budget: Duration::from_mins(3),
        grace: Duration::from_secs(10),
        patience: Duration::from_secs(10),
        debug_trace_disabled: false,
        cache_scope: CacheScope { runner: String::new(), project: String::new(), protected: false },
        channel: false,
        services: Vec::new(),
        reports: Reports::Nothing,
        log_start: LogStart::default(),
    }
}

fn record() -> Record {
    Record {
        runner: "r".into(),
        state: SecretText::new("token"),
        slot: 3,
        parts: 0,
        pod: "pod".into(),
        attempt: 1,
        pull: 0,
        before: LogDigest::default(),
        inserted: Vec::new(),
        replaced: None,
        pod_made: false,
        wish: None,
        ending: None,
    }
}

fn stored(job: &JobSpec) -> (Stored, Vec<Secret>) {
    let order = order();
    let storing = Storing {
        remote: None,
        namespace: "ci",
        manager: "m",
        owner: None,
        job,
        order: &order,
        record: record(),
        caches: None,
        values: BTreeMap::new(),
    };
    let (first, others) = storing.secrets().unwrap();
    (Stored::of(first).unwrap(), others)
}

#[test]
fn a_job_survives_its_secret() {
    let mut job = JobSpec::new("42", "build");
    job.variables.push(Variable { masked: true, ..Variable::raw("TOKEN", "hunter2") });
    let (stored, others) = stored(&job);
    let lease = stored.lease(&others).unwrap();
    assert_eq!((&*lease.job, lease.runner.as_str(), lease.state.expose()), (&job, "r", "token"));
    assert_eq!(stored.order().unwrap(), order());
    assert!(!stored.has_logins());
}

#[test]
fn a_large_job_is_split_and_comes_together_again() {
    let mut job = JobSpec::new("42", "build");
    // Text that does not compress.
    let mut seed = 1_u64;
    let mut noise = String::new();
    while noise.len() < 3 << 20 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise.push(char::from(b'!' + seed.to_le_bytes()[5] % 90));
    }
    job.variables.push(Variable::raw("NOISE", noise));
    let (stored, others) = stored(&job);
    assert_eq!(stored.record.parts, others.len());
    assert!(others.len() > 1);
    assert_eq!(stored.names().len(), others.len() + 1);
    let size = |secret: &Secret| secret.data.iter().flatten().map(|(_, value)| value.0.len()).sum::<usize>();
    assert!(others.iter().chain([&stored.secret]).all(|secret| size(secret) < 1 << 20));
    assert_eq!(*stored.lease(&others).unwrap().job, job);
    assert!(stored.lease(&[]).is_err());
}

#[test]
fn logins_make_it_a_pull_secret() {
    let mut job = JobSpec::new("42", "build");
    let login = |kind: &str| Credential {
        kind: kind.into(),
        url: "registry.example:5000".into(),
        username: "ci".into(),
        password: SecretText::new("hunter2"),
    };
    job.credentials.extend([login("registry"), login("other")]);
    let (stored, _) = stored(&job);
    assert_eq!(stored.secret.type_.as_deref(), Some("kubernetes.io/dockerconfigjson"));
    let logins = bytes(&stored.secret, LOGINS).unwrap();
    let expected = r#"{"auths":{"registry.example:5000":{"password":"hunter2","username":"ci"}}}"#;
    assert_eq!(std::str::from_utf8(logins).unwrap(), expected);
}

#[test]
fn names_are_the_same_for_the_same_job_and_differ_for_others() {
    let name = |job: &str| secret_name("m", &JobId::new(job));
    assert_eq!(name("42"), name("42"));
    assert_ne!(name("a/b"), name("a b"));
    for odd in ["", "Ünïcode/Jöb", "a.b_c", &"x".repeat(200), "---"] {
        let name = name(odd);
        assert!(name.len() <= 63, "{name}");
        assert!(
            name.chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
        );
        assert!(!name.ends_with('-') && !name.contains("--"), "{name}");
    }
}
