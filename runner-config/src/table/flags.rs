//! The feature flags of GitLab Runner.

use runner_k8s::config::KeyClass;

/// A feature flag. A variable of a job with its name counts where the config does not name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// The name.
    pub name: &'static str,
    /// What it is where nobody sets it.
    pub default: bool,
    /// What becomes of it.
    pub class: KeyClass,
    /// What it does, or why it has no effect.
    pub about: &'static str,
}

const fn works(name: &'static str, default: bool, about: &'static str) -> Flag {
    Flag { name, default, class: KeyClass::Works, about }
}

const fn no_effect(name: &'static str, default: bool, about: &'static str) -> Flag {
    Flag { name, default, class: KeyClass::NoEffect, about }
}

/// Why flags of Docker do nothing.
const NO_DOCKER: &str = "the executor `docker` is not one of this runner";

/// Why flags of Windows do nothing.
const NO_WINDOWS: &str = "jobs run on Linux";

/// Why flags that choose a way of moving archives do nothing.
const ONE_ARCHIVER: &str = "there is one way to pack and to move archives, and it is parallel";

/// Why flags that choose a client of a store do nothing.
const ONE_CLIENT: &str = "there is one client for each store";

/// Why flags of GitLab Runner's own steps do nothing.
const ONE_ENGINE: &str = "the agent runs all phases of a job itself";

/// All flags: first those that are on by default.
pub const FLAGS: &[Flag] = &[
    works("FF_USE_DIRECT_DOWNLOAD", true, "artifacts are taken from the object store where GitLab offers it"),
    no_effect("FF_USE_FASTZIP", true, ONE_ARCHIVER),
    works("FF_USE_POD_ACTIVE_DEADLINE_SECONDS", true, "the cluster ends a pod that outlives its job"),
    works("FF_SECRET_RESOLVING_FAILS_IF_MISSING", true, "a job fails whose secret is not there"),
    works("FF_USE_GIT_BUNDLE_URIS", true, "git may begin with bundles that the server names"),
    no_effect("FF_USE_DOCKER_AUTOSCALER_DIAL_STDIO", true, NO_DOCKER),
    works("FF_TIMESTAMPS", true, "each line of a log has its time"),
    works("FF_MASK_ALL_DEFAULT_TOKENS", true, "tokens of GitLab are masked by their form"),
    no_effect(
        "FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY",
        true,
        "phases are repeated with a growing pause in any case",
    ),
    no_effect(
        "FF_USE_ADAPTIVE_REQUEST_CONCURRENCY",
        true,
        "one request is enough: jobs are asked for again at once as long as there are any",
    ),
    works("FF_USE_GITALY_CORRELATION_ID", true, "git's requests carry the number that GitLab's logs have"),
    works("FF_ENABLE_JOB_INPUTS_INTERPOLATION", true, "inputs of a job are put into its scripts"),
    no_effect("FF_TEST_FEATURE", false, "it is for GitLab Runner's own tests"),
    no_effect("FF_NETWORK_PER_BUILD", false, NO_DOCKER),
    no_effect("FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY", false, "neither exec nor attach is used"),
    no_effect("FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR", false, NO_DOCKER),
    works("FF_ENABLE_BASH_EXIT_CODE_CHECK", false, "the exit code of each line of a script is looked at"),
    no_effect("FF_USE_WINDOWS_LEGACY_PROCESS_STRATEGY", false, NO_WINDOWS),
    no_effect("FF_USE_LEGACY_BASH_EVAL", false, ONE_ENGINE),
    no_effect("FF_USE_POWERSHELL_PATH_RESOLVER", false, NO_WINDOWS),
    no_effect("FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL", false, "GitLab's own interval is kept to"),
    works("FF_SCRIPT_SECTIONS", false, "lines of a script are sections of the log"),
    works("FF_ENABLE_JOB_CLEANUP", false, "the work tree is cleaned after the job"),
    works("FF_KUBERNETES_HONOR_ENTRYPOINT", false, "the entrypoint of an image is run"),
    no_effect("FF_POSIXLY_CORRECT_ESCAPES", false, "scripts are quoted as every POSIX shell has it"),
    no_effect("FF_RESOLVE_FULL_TLS_CHAIN", false, "jobs get the authorities that the runner was given"),
    no_effect("FF_DISABLE_POWERSHELL_STDIN", false, NO_WINDOWS),
    works("FF_USE_ADVANCED_POD_SPEC_CONFIGURATION", false, "`pod_spec` patches are applied"),
    works("FF_PRINT_POD_EVENTS", false, "events of the pod are in the log until it runs"),
    works("FF_USE_GIT_NATIVE_CLONE", false, "`git clone` is used"),
    no_effect("FF_USE_DUMB_INIT_WITH_KUBERNETES_EXECUTOR", false, "the agent is the first process and reaps"),
    no_effect("FF_USE_INIT_WITH_DOCKER_EXECUTOR", false, NO_DOCKER),
    works("FF_LOG_IMAGES_CONFIGURED_FOR_JOB", false, "the images of each job are in the runner's log"),
    no_effect(
        "FF_CLEAN_UP_FAILED_CACHE_EXTRACT",
        false,
        "a cache that is broken is found before a file is touched",
    ),
    no_effect("FF_USE_WINDOWS_JOB_OBJECT", false, NO_WINDOWS),
    works("FF_DISABLE_AUTOMATIC_TOKEN_ROTATION", false, "a token that is about to end is not renewed"),
    no_effect("FF_USE_LEGACY_GCS_CACHE_ADAPTER", false, ONE_CLIENT),
    no_effect(
        "FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR",
        false,
        "files are given to the user of the build container in any case",
    ),
    no_effect("FF_USE_LEGACY_S3_CACHE_ADAPTER", false, ONE_CLIENT),
    works("FF_GIT_URLS_WITHOUT_TOKENS", false, "no address that git keeps has a token in it"),
    no_effect("FF_WAIT_FOR_POD_TO_BE_REACHABLE", false, "pods are never connected to"),
    works("FF_EXPORT_HIGH_CARDINALITY_METRICS", false, "metrics are told apart by project"),
    no_effect("FF_USE_FLEETING_ACQUIRE_HEARTBEATS", false, "there are no machines here"),
    works("FF_USE_GIT_PROACTIVE_AUTH", false, "git shows its login before it is asked"),
    works("FF_HASH_CACHE_KEYS", false, "names of entries in the cache are digests of their keys"),
    no_effect("FF_USE_JOB_ROUTER", false, "jobs are asked for from GitLab itself"),
    no_effect("FF_SCRIPT_TO_STEP_MIGRATION", false, ONE_ENGINE),
    no_effect("FF_USE_PARALLEL_CACHE_TRANSFER", false, ONE_ARCHIVER),
    no_effect("FF_USE_PARALLEL_ARTIFACT_TRANSFER", false, ONE_ARCHIVER),
    no_effect("FF_CONCRETE", false, ONE_ENGINE),
    no_effect("FF_SUSPENDABLE_ENVIRONMENTS", false, "environments are not suspended here"),
    no_effect("FF_USE_NATIVE_CONTAINER_STOP", false, NO_DOCKER),
];
