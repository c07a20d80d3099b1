//! What is sent to ask for a job: who we are, and what we can do.

use std::env::consts;

use runner_core::{Error, ErrorKind, Result, Secret};
use serde::Serialize;

/// The version of GitLab Runner whose side of the API this is. Servers judge by it what they may send.
pub const COMPATIBLE_VERSION: &str = "19.4.0";

/// GitLab takes no longer request for a job.
const LONGEST_REQUEST: usize = 32 << 10;

/// What a runner tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunnerInfo {
    /// The name of the program.
    pub name: String,
    /// The version of GitLab Runner that it is compatible with.
    pub version: String,
    /// Its own version.
    pub revision: String,
    /// The operating system.
    pub platform: String,
    /// The processor.
    pub architecture: String,
    /// The executor, such as `kubernetes`. An option of an image for another one is not taken from a job.
    pub executor: String,
    /// The shell that scripts are written for.
    pub shell: String,
    /// What it can do.
    pub features: Features,
    /// Labels of the runner.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl RunnerInfo {
    /// This program on this machine, with the executor of that name.
    pub fn new(executor: impl Into<String>) -> Self {
        let executor = executor.into();
        let architecture = match consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            name: "runner".into(),
            version: COMPATIBLE_VERSION.into(),
            revision: concat!("runner ", env!("CARGO_PKG_VERSION")).into(),
            platform: consts::OS.into(),
            architecture: architecture.into(),
            features: if executor == "kubernetes" { Features::with_images() } else { Features::of_scripts() },
            executor,
            shell: "bash".into(),
            labels: Vec::new(),
        }
    }
}

/// What a runner can do, by GitLab's names. A server sends only jobs, and uses only what a runner says that it can do.
#[expect(clippy::struct_excessive_bools, reason = "each of them is a word of the protocol")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Features {
    /// Jobs have variables.
    pub variables: bool,
    /// Jobs run in an image.
    pub image: bool,
    /// Services run beside jobs.
    pub services: bool,
    /// What a job keeps is sent.
    pub artifacts: bool,
    /// Caches are restored and saved.
    pub cache: bool,
    /// Other keys of a cache are tried.
    pub fallback_cache_keys: bool,
    /// A job has several artifacts.
    pub upload_multiple_artifacts: bool,
    /// Reports are sent as they are.
    pub upload_raw_artifacts: bool,
    /// Patterns leave files out of artifacts.
    pub artifacts_exclude: bool,
    /// What to fetch is given as refspecs.
    pub refspecs: bool,
    /// Masked variables never show in a log.
    pub masking: bool,
    /// Variables are taken as they are.
    pub raw_variables: bool,
    /// A job has further steps, such as a release.
    pub multi_build_steps: bool,
    /// The log is sent again from its beginning where the server asks for it.
    pub trace_reset: bool,
    /// The end carries the checksum of the log.
    pub trace_checksum: bool,
    /// The end carries the size of the log.
    pub trace_size: bool,
    /// A job can be stopped.
    pub cancelable: bool,
    /// A canceled job runs its `after_script`.
    pub cancel_gracefully: bool,
    /// The end carries the script's exit code.
    pub return_exit_code: bool,
    /// A service has variables of its own.
    pub service_variables: bool,
    /// A service has several names.
    pub service_multiple_aliases: bool,
    /// An image has options for the executor.
    pub image_executor_opts: bool,
    /// A service has options for the executor.
    pub service_executor_opts: bool,
    /// A job is taken for good only when it is accepted.
    pub two_phase_job_commit: bool,
    /// Inputs of a job are put into its scripts.
    pub job_inputs: bool,
}

impl Features {
    /// Of an executor that runs scripts with images and services.
    pub fn with_images() -> Self {
        Self {
            image: true,
            services: true,
            service_variables: true,
            service_multiple_aliases: true,
            image_executor_opts: true,
            service_executor_opts: true,
            ..Self::of_scripts()
        }
    }

    /// Of an executor that runs scripts and has no images.
    pub fn of_scripts() -> Self {
        Self {
            variables: true,
            image: false,
            services: false,
            artifacts: true,
            cache: true,
            fallback_cache_keys: true,
            upload_multiple_artifacts: true,
            upload_raw_artifacts: true,
            artifacts_exclude: true,
            refspecs: true,
            masking: true,
            raw_variables: true,
            multi_build_steps: true,
            trace_reset: true,
            trace_checksum: true,
            trace_size: true,
            cancelable: true,
            cancel_gracefully: true,
            return_exit_code: true,
            service_variables: false,
            service_multiple_aliases: false,
            image_executor_opts: false,
            service_executor_opts: false,
            two_phase_job_commit: true,
            job_inputs: true,
        }
    }
}

/// The body of a request for a job.
#[derive(Debug, Serialize)]
pub(crate) struct JobRequest<'a> {
    pub(crate) token: &'a Secret,
    pub(crate) system_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_update: Option<&'a str>,
    pub(crate) info: &'a RunnerInfo,
}

impl JobRequest<'_> {
    /// Whether GitLab will read it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where it is too long.
    pub(crate) fn check(&self) -> Result<()> {
        let size = serde_json::to_vec(self)
            .map_err(|cause| Error::new(ErrorKind::Internal, "write a request").because(cause))?
            .len();
        // Room for a value of `last_update` that is not known yet.
        if size + 1024 > LONGEST_REQUEST {
            return Err(Error::new(
                ErrorKind::Invalid,
                "make a request that GitLab reads: the runner has too long a name, token or labels",
            )
            .with("bytes", size)
            .with("of at most", LONGEST_REQUEST));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(token: &'a Secret, info: &'a RunnerInfo, last_update: Option<&'a str>) -> JobRequest<'a> {
        JobRequest { token, system_id: "s_1", last_update, info }
    }

    #[test]
    fn a_request_has_the_token_in_its_body_and_what_the_runner_can_do() {
        let (token, info) = (Secret::new("glrt-1"), RunnerInfo::new("kubernetes"));
        let body = serde_json::to_value(request(&token, &info, Some("abc"))).unwrap();
        assert_eq!(body["token"], "glrt-1");
        assert_eq!(body["system_id"], "s_1");
        assert_eq!(body["last_update"], "abc");
        assert_eq!(body["info"]["executor"], "kubernetes");
        assert_eq!(body["info"]["version"], COMPATIBLE_VERSION);
        for feature in ["cancel_gracefully", "two_phase_job_commit", "trace_checksum", "image", "services"] {
            assert_eq!(body["info"]["features"][feature], true, "{feature}");
        }
        assert!(body["info"]["features"].get("terminal").is_none());
        let first = serde_json::to_value(request(&token, &info, None)).unwrap();
        assert!(first.get("last_update").is_none());
    }

    #[test]
    fn an_executor_without_images_says_so() {
        let info = serde_json::to_value(RunnerInfo::new("shell")).unwrap();
        assert_eq!(info["features"]["image"], false);
        assert_eq!(info["features"]["cancel_gracefully"], true);
    }

    #[test]
    fn a_request_that_the_server_would_not_read_is_refused_before_it_is_sent() {
        let (token, mut info) = (Secret::new("glrt-1"), RunnerInfo::new("kubernetes"));
        assert!(request(&token, &info, None).check().is_ok());
        info.labels = vec!["x".repeat(1000); 32];
        assert_eq!(request(&token, &info, None).check().unwrap_err().kind(), ErrorKind::Invalid);
    }
}
