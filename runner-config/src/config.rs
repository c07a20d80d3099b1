//! What a config means: validated, with variables replaced and defaults filled in.

use std::{collections::BTreeMap, time::Duration};

use runner_core::{CacheFormat, Finding, Secret};
use runner_k8s::config::{KeyClass, KubernetesConfig};

use crate::table::FLAGS;

/// What counts for all runners, and the runners.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How many jobs run at once, over all runners. 0: none is taken.
    pub concurrent: usize,
    /// How long is waited between two requests for jobs.
    pub check_interval: Duration,
    /// Where metrics and health are served, as `host:port`.
    pub listen_address: Option<String>,
    /// How much is written to the log.
    pub log_level: LogLevel,
    /// What lines of the log look like.
    pub log_format: LogFormat,
    /// How long a connection to a server is used.
    pub connection_max_age: Duration,
    /// How long an orderly end may take once jobs are aborted.
    pub shutdown_timeout: Duration,
    /// What becomes of jobs in pods when this program is told to end.
    pub shutdown: OnShutdown,
    /// The runners, in the order of the file.
    pub runners: Vec<RunnerConfig>,
    /// What is to be said at the start, one line each: keys without effect, and keys that are refused. With a
    /// [fatal](runner_core::finding::Severity::Fatal) one among them the config must not be run.
    pub findings: Vec<Finding>,
}

/// A runner: an account at a server, and how its jobs are run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerConfig {
    /// The name, for people; may be empty.
    pub name: String,
    /// The address of the server, without a slash at its end.
    pub url: String,
    /// The number of the runner at the server, for people; 0 where the config does not say.
    pub id: u64,
    /// The authentication token.
    pub token: Secret,
    /// Where the token comes from.
    pub token_source: TokenSource,
    /// When the token ends, in the form of RFC 3339; `None`: never, or it is not known.
    pub token_expires_at: Option<String>,
    /// How the server is known, and how it knows us.
    pub tls: Tls,
    /// How many jobs of this runner run at once; `None`: as many as [`Config::concurrent`] lets.
    pub limit: Option<usize>,
    /// How much of a job's log is kept, in bytes.
    pub output_limit: u64,
    /// How many requests for jobs there are at once; at least 1.
    pub request_concurrency: usize,
    /// Whether the next job is asked for only after [`Config::check_interval`].
    pub strict_check_interval: bool,
    /// After how many refused requests in a row the runner pauses; at least 1.
    pub unhealthy_requests_limit: u32,
    /// How long it pauses then.
    pub unhealthy_interval: Duration,
    /// Labels: those of all runners and its own, which count more.
    pub labels: BTreeMap<String, String>,
    /// How jobs are run.
    pub executor: ExecutorConfig,
    /// The shell of scripts; `None`: `bash` where the image has it, else `sh`.
    pub shell: Option<Shell>,
    /// Where work trees are. Variables of the job are not expanded yet.
    pub builds_dir: Option<String>,
    /// Where caches are kept on the machine of the job. Variables of the job are not expanded yet.
    pub cache_dir: Option<String>,
    /// Who reports jobs in pods.
    pub report: Report,
    /// The address that sources are cloned from.
    pub clone_url: Option<String>,
    /// Variables of each job, which count less than its own. Variables in their values are not expanded yet.
    pub environment: Vec<(String, String)>,
    /// Scripts around phases of each job.
    pub scripts: Scripts,
    /// How long preparing a job may take; `None`: as long as the job.
    pub prepare_timeout: Option<Duration>,
    /// How long fetching its sources may take; `None`: as long as the job.
    pub get_sources_timeout: Option<Duration>,
    /// Whether jobs cannot turn on `CI_DEBUG_TRACE`.
    pub debug_trace_disabled: bool,
    /// Whether git is told that the work tree is safe; `None`: as it is needed.
    pub safe_directory_checkout: Option<bool>,
    /// Whether the git configuration of the work tree is made anew; `None`: as the executor has it.
    pub clean_git_config: Option<bool>,
    /// Whether jobs choose their directory; `None`: as the executor has it.
    pub custom_build_dir: Option<bool>,
    /// Uploads of artifacts.
    pub artifact: ArtifactLimits,
    /// Where caches of jobs are kept; `None`: nowhere that runners share.
    pub cache: Option<CacheConfig>,
    /// Flags that the config sets. They count more than variables of a job, which count more than the defaults.
    pub feature_flags: BTreeMap<String, bool>,
    /// Times at which waiting too long is counted.
    pub job_queuing_durations: Vec<JobQueuing>,
}

impl RunnerConfig {
    /// Whether a flag is on, where a job's variables do not say. Flags that do not exist are off.
    pub fn is_on(&self, flag: &str) -> bool {
        let default = || FLAGS.iter().any(|known| known.name == flag && known.default);
        self.feature_flags.get(flag).copied().unwrap_or_else(default)
    }

    /// Flags that are set, exist, and work.
    pub fn working_flags(&self) -> impl Iterator<Item = (&str, bool)> {
        let works = |name: &str| FLAGS.iter().any(|flag| flag.name == name && flag.class == KeyClass::Works);
        self.feature_flags.iter().filter(move |(name, _)| works(name)).map(|(name, on)| (name.as_str(), *on))
    }
}

/// Where the token of a runner comes from: for a message that says where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// The config names it, or variables that it is made of.
    Config,
    /// A variable of the environment.
    Variable(&'static str),
    /// A file, by its path.
    File(String),
}

/// How the server is known, and how it knows us: paths of files in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities that its certificate is checked against; `None`: those of the system.
    pub ca_file: Option<String>,
    /// The certificate that is shown to it.
    pub cert_file: Option<String>,
    /// The key of that certificate.
    pub key_file: Option<String>,
}

/// How jobs are run.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutorConfig {
    /// Each in a pod of its own.
    Kubernetes(Box<KubernetesConfig>),
    /// Each in a directory of the machine that this program runs on.
    Shell,
}

impl ExecutorConfig {
    /// The name, as the key `executor` has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kubernetes(_) => "kubernetes",
            Self::Shell => "shell",
        }
    }
}

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// `bash`
    Bash,
    /// `sh`
    Sh,
}

/// What becomes of jobs that can outlive this program when it is told to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnShutdown {
    /// They run on.
    #[default]
    Leave,
    /// They fail as interrupted.
    Abort,
}

/// Who reports jobs that run elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Report {
    /// The agent beside the job, as far as it can.
    #[default]
    Agent,
    /// This program.
    Relay,
}

/// How much is written to the log; the most severe comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only errors; `panic` and `fatal` mean it as well.
    Error,
    /// And warnings.
    Warning,
    /// And what happens to jobs.
    Info,
    /// And what happens inside.
    Debug,
}

/// What lines of the log look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// Scripts around phases of each job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scripts {
    /// Before the sources are there.
    pub pre_get_sources: Option<String>,
    /// After the sources are there.
    pub post_get_sources: Option<String>,
    /// Before the script of the job.
    pub pre_build: Option<String>,
    /// After the script of the job.
    pub post_build: Option<String>,
}

/// Uploads of artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtifactLimits {
    /// How long an upload may take.
    pub upload_timeout: Duration,
    /// How long the server may take to answer once it has everything.
    pub response_header_timeout: Duration,
}

/// Times at which waiting too long is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobQueuing {
    /// When it applies, in the form of cron with seconds and years; empty: always.
    pub periods: Vec<String>,
    /// The time zone of the periods; empty: that of the machine.
    pub timezone: String,
    /// What is too long.
    pub threshold: Duration,
    /// A regular expression of how many jobs of the project run already; empty: any number.
    pub jobs_running_for_project: String,
}

/// Where caches of jobs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// What the names of all objects in a bucket begin with; may be empty.
    pub path: String,
    /// Whether runners find each other's entries.
    pub is_shared: bool,
    /// The largest entry that is saved, in bytes as they are stored; `None`: no limit.
    pub max_uploaded_archive_size: Option<u64>,
    /// How entries are stored.
    pub format: CacheFormat,
    /// Whether a bucket that is not there is made.
    pub is_bucket_made: bool,
    /// The store.
    pub store: CacheStore,
}

/// A store of caches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheStore {
    /// One that speaks S3.
    S3(Box<S3Config>),
    /// A directory of this machine, by its path.
    Directory(String),
}

/// A store that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the switches are independent, and these are GitLab Runner's"
)]
pub struct S3Config {
    /// `host` or `host:port`; `None`: Amazon's.
    pub server_address: Option<String>,
    /// What we show to it.
    pub credentials: S3Credentials,
    /// The bucket.
    pub bucket: String,
    /// The region of the bucket; `None`: to be found out.
    pub region: Option<String>,
    /// Whether it is spoken to without TLS.
    pub is_insecure: bool,
    /// How it encrypts; `None`: as the bucket says.
    pub encryption: Option<S3Encryption>,
    /// Whether Amazon's addresses for both IPv4 and IPv6 are used.
    pub dual_stack: bool,
    /// Whether the bucket stands in the path and not in the host.
    pub path_style: bool,
    /// Whether Amazon's transfer acceleration is used.
    pub accelerate: bool,
    /// The role that uploads and downloads.
    pub role: Option<String>,
    /// The role that uploads, if it is another one.
    pub upload_role: Option<String>,
}

/// What is shown to a store that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Credentials {
    /// Keys.
    Keys {
        /// The access key.
        access_key: Secret,
        /// The secret key.
        secret_key: Secret,
        /// The token of temporary keys; may be empty.
        session_token: Secret,
    },
    /// The role of the machine or of the service account.
    Machine,
}

/// How a store that speaks S3 encrypts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Encryption {
    /// With keys of its own, `AES256`.
    S3,
    /// With this key of its key service.
    Kms(String),
    /// With this key of its key service, twice.
    KmsTwice(String),
}
