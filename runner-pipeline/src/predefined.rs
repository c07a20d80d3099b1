//! GitLab's predefined `CI_*` variables, made of the real repository and of what the pipeline is run for.
//!
//! What only a server knows is left out (`CI_REGISTRY`, `CI_PAGES_URL`, …): set it with a variables file. Values are
//! taken as they are, without expansion: a commit message may hold a dollar sign.

use std::{fmt, str::FromStr, time::SystemTime};

use runner_core::job::{JobId, Project, RefKind, Variable, Variables};

use crate::{
    pipeline::{JobWhen, PipelineJob},
    repository::{Repository, RepositoryError},
};

mod merge_request;
mod reference;
mod timestamp;

pub(crate) use merge_request::REF_PATH as MERGE_REQUEST_REF;
pub(crate) use timestamp::iso8601;

use reference::Reference;

/// The number of bytes from which on a commit's message is cut.
const MESSAGE_LIMIT: usize = 100_000;

/// What a pipeline is run for (`CI_PIPELINE_SOURCE`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PipelineEvent {
    /// Commits were pushed to the branch that is checked out.
    #[default]
    Push,
    /// The tag that is checked out was pushed. Its variables are those of a push, but for the tag.
    Tag,
    /// A merge request of the branch that is checked out into the default branch.
    MergeRequest,
    /// A schedule.
    Schedule,
    /// A person started it.
    Web,
}

impl PipelineEvent {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Push, Self::Tag, Self::MergeRequest, Self::Schedule, Self::Web];

    /// The name, as a person writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            _ => self.source(),
        }
    }

    /// The value of `CI_PIPELINE_SOURCE`.
    pub fn source(self) -> &'static str {
        match self {
            Self::Push | Self::Tag => "push",
            Self::MergeRequest => "merge_request_event",
            Self::Schedule => "schedule",
            Self::Web => "web",
        }
    }
}

impl fmt::Display for PipelineEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for PipelineEvent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|event| event.as_str() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|event| event.as_str()).collect();
            format!("there is no event {text:?}; the events are {}", known.join(", "))
        })
    }
}

/// What is known of a pipeline before its file is read. [`Predefined::default`] knows nothing.
#[derive(Debug, Clone, Default)]
pub struct Predefined {
    /// What it is run for.
    pub event: PipelineEvent,
    /// The variables that `rules` may use, and every job gets.
    pub variables: Variables,
    /// The project. Its number is made of its address: the same on each run.
    pub project: Project,
    /// The number of this run: unique on this machine, growing.
    pub pipeline_id: u64,
    pub(crate) reference: Reference,
    /// Variables that every job gets, but `rules` may not use.
    persisted: Variables,
}

impl Predefined {
    /// What is known of a pipeline that is run for `event` with the file `config_file`, relative to the root.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](runner_core::ErrorKind::Invalid) where the event asks for a tag or a branch that is not
    /// there.
    pub async fn of(
        repository: &Repository,
        event: PipelineEvent,
        config_file: &str,
    ) -> runner_core::Result<Self> {
        let failed =
            |error: RepositoryError| error.during("make the variables of the event", repository.root());
        let reference = Reference::of(repository, event).await.map_err(failed)?;
        let mut variables = List::default();
        server(&mut variables, repository);
        let project = project(&mut variables, repository);
        variables.add("CI_DEFAULT_BRANCH", repository.default_branch());
        variables.add("CI_CONFIG_PATH", config_file);
        let now = SystemTime::now();
        let age = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let pipeline_id = u64::try_from(age.as_micros()).unwrap_or_default();
        variables.add("CI_PIPELINE_IID", age.as_secs().to_string());
        variables.add("CI_PIPELINE_SOURCE", event.source());
        variables.add("CI_PIPELINE_CREATED_AT", iso8601(now));
        commit(&mut variables, repository, &reference);
        if event == PipelineEvent::MergeRequest {
            merge_request::variables(&mut variables, repository, &reference, &project)
                .await
                .map_err(failed)?;
        }
        user(&mut variables, repository);
        let url = variables.0.value("CI_PROJECT_URL");
        let persisted = persisted(pipeline_id, &url);
        Ok(Self { event, variables: variables.0, project, pipeline_id, reference, persisted })
    }

    /// What the job's `ref` is: the name of the branch or tag, or the ref of the merge request.
    pub(crate) fn reference_name(&self) -> String {
        match self.reference.kind {
            RefKind::MergeRequest => merge_request::REF_PATH.to_owned(),
            RefKind::Branch | RefKind::Tag => self.reference.name.clone(),
        }
    }

    /// The variables that count less than those of the file, for one job.
    pub(crate) fn of_job(
        &self,
        job: &PipelineJob,
        id: &JobId,
        instance: Option<(usize, usize)>,
    ) -> Variables {
        let mut list = List(self.persisted.clone());
        list.add("CI_JOB_ID", id.as_str());
        list.add("CI_JOB_URL", format!("{}/-/jobs/{id}", self.variables.value("CI_PROJECT_URL")));
        list.0.push(Variable { public: false, masked: true, ..Variable::raw("CI_JOB_TOKEN", "") });
        list.add("CI_JOB_STARTED_AT", iso8601(SystemTime::now()));
        list.add("CI_JOB_NAME", &job.name);
        list.add("CI_JOB_NAME_SLUG", slug(&job.name));
        list.add("CI_JOB_GROUP_NAME", &job.group);
        list.add("CI_JOB_STAGE", &job.stage);
        if job.when == JobWhen::Manual {
            list.add("CI_JOB_MANUAL", "true");
        }
        if let Some(image) = &job.spec.image {
            list.0.push(Variable::new("CI_JOB_IMAGE", image.name.as_str()));
        }
        if let Some((index, _)) = instance {
            list.add("CI_NODE_INDEX", index.to_string());
        }
        list.add("CI_NODE_TOTAL", instance.map_or(1, |(_, total)| total).to_string());
        list.0.0.extend(self.variables.0.iter().cloned());
        list.add("CI_RUNNER_TAGS", serde_json::to_string(&job.tags).unwrap_or_default());
        list.0
    }
}

/// Variables in the making.
#[derive(Debug, Default)]
pub(crate) struct List(Variables);

impl List {
    pub(crate) fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.push(Variable::raw(key, value));
    }
}

fn server(list: &mut List, repository: &Repository) {
    let remote = repository.remote().filter(|remote| !remote.host.is_empty()).unwrap_or_default();
    let url = remote.server().unwrap_or_else(|| "https://localhost".to_owned());
    let host = if remote.host.is_empty() { "localhost" } else { &remote.host };
    let scheme = if remote.scheme == "http" { "http" } else { "https" };
    let port = remote.port.unwrap_or(if scheme == "http" { 80 } else { 443 }).to_string();
    for key in ["CI", "GITLAB_CI"] {
        list.add(key, "true");
    }
    list.add("CI_SERVER_FQDN", url.split_once("://").map_or("", |(_, host)| host));
    list.add("CI_SERVER_HOST", host);
    list.add("CI_SERVER_NAME", "GitLab");
    list.add("CI_SERVER_PORT", port);
    list.add("CI_SERVER_PROTOCOL", scheme);
    list.add("CI_SERVER_SHELL_SSH_HOST", host);
    list.add("CI_SERVER_SHELL_SSH_PORT", "22");
    list.add("CI_API_V4_URL", format!("{url}/api/v4"));
    list.add("CI_API_GRAPHQL_URL", format!("{url}/api/graphql"));
    list.add("CI_SERVER_URL", url);
    // Of the server whose language this is; scripts compare them.
    list.add("CI_SERVER_VERSION", "19.4.0");
    list.add("CI_SERVER_VERSION_MAJOR", "19");
    list.add("CI_SERVER_VERSION_MINOR", "4");
    list.add("CI_SERVER_VERSION_PATCH", "0");
    list.add("CI_SERVER_REVISION", "");
    list.add("CI_TEMPLATE_REGISTRY_HOST", "registry.gitlab.com");
    list.add("GITLAB_FEATURES", "");
}

fn project(list: &mut List, repository: &Repository) -> Project {
    let remote = repository.remote().filter(|remote| !remote.path.is_empty());
    let directory = repository.root().file_name().map(|name| name.to_string_lossy().into_owned());
    let path = remote.map(|remote| remote.path).or(directory).unwrap_or_else(|| "project".to_owned());
    let path = if path.contains('/') { path } else { format!("local/{path}") };
    let (namespace, name) = path.rsplit_once('/').unwrap_or(("local", &path));
    let server = list.0.value("CI_SERVER_URL");
    // A project without a home on a server is told apart by where it lies.
    let home = repository.remote().and_then(|remote| remote.server());
    let identity =
        home.map_or_else(|| repository.root().display().to_string(), |home| format!("{home}/{path}"));
    let id = number(&identity);
    list.add("CI_PROJECT_ID", id.to_string());
    list.add("CI_PROJECT_NAME", name);
    list.add("CI_PROJECT_TITLE", name);
    list.add("CI_PROJECT_DESCRIPTION", "");
    list.add("CI_PROJECT_PATH", &path);
    list.add("CI_PROJECT_PATH_SLUG", slug(&path));
    list.add("CI_PROJECT_NAMESPACE", namespace);
    list.add("CI_PROJECT_NAMESPACE_ID", number(namespace).to_string());
    list.add("CI_PROJECT_NAMESPACE_SLUG", slug(namespace));
    list.add("CI_PROJECT_ROOT_NAMESPACE", namespace.split('/').next().unwrap_or(namespace));
    list.add("CI_PROJECT_URL", format!("{server}/{path}"));
    list.add("CI_PROJECT_VISIBILITY", "private");
    list.add("CI_PROJECT_REPOSITORY_LANGUAGES", "");
    list.add("CI_PROJECT_CLASSIFICATION_LABEL", "");
    Project { id, name: name.to_owned() }
}

fn commit(list: &mut List, repository: &Repository, reference: &Reference) {
    let commit = repository.commit().cloned().unwrap_or_default();
    list.add("CI_COMMIT_SHA", &commit.sha);
    list.add("CI_COMMIT_SHORT_SHA", short(&commit.sha));
    list.add("CI_COMMIT_BEFORE_SHA", &reference.before);
    list.add("CI_COMMIT_REF_NAME", &reference.name);
    list.add("CI_COMMIT_REF_SLUG", slug(&reference.name));
    match reference.kind {
        RefKind::Branch if reference.is_named => list.add("CI_COMMIT_BRANCH", &reference.name),
        RefKind::Tag => {
            list.add("CI_COMMIT_TAG", &reference.name);
            list.add("CI_COMMIT_TAG_MESSAGE", &reference.tag_message);
        }
        RefKind::Branch | RefKind::MergeRequest => {}
    }
    let message = cut(&commit.message);
    list.add("CI_COMMIT_MESSAGE", message);
    list.add("CI_COMMIT_MESSAGE_IS_TRUNCATED", (message.len() < commit.message.len()).to_string());
    list.add("CI_COMMIT_TITLE", title(message));
    list.add("CI_COMMIT_DESCRIPTION", description(message));
    list.add("CI_COMMIT_REF_PROTECTED", (reference.name == repository.default_branch()).to_string());
    list.add("CI_COMMIT_TIMESTAMP", &commit.timestamp);
    let author = format!("{} <{}>", commit.author_name, commit.author_email);
    list.add("CI_COMMIT_AUTHOR", if commit.sha.is_empty() { String::new() } else { author });
}

fn user(list: &mut List, repository: &Repository) {
    let email = repository.user_email();
    list.add("GITLAB_USER_ID", "1");
    list.add("GITLAB_USER_EMAIL", email);
    list.add("GITLAB_USER_LOGIN", email.split('@').next().unwrap_or_default());
    list.add("GITLAB_USER_NAME", repository.user_name());
}

fn persisted(pipeline_id: u64, project_url: &str) -> Variables {
    let mut list = List::default();
    list.add("CI_SERVER", "yes");
    list.add("CI_PIPELINE_ID", pipeline_id.to_string());
    list.add("CI_PIPELINE_URL", format!("{project_url}/-/pipelines/{pipeline_id}"));
    list.add("CI_RUNNER_ID", "1");
    list.add("CI_RUNNER_DESCRIPTION", "runner exec");
    list.add("CI_RUNNER_VERSION", env!("CARGO_PKG_VERSION"));
    list.add("CI_RUNNER_REVISION", "");
    list.add("CI_RUNNER_SHORT_TOKEN", "");
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    list.add("CI_RUNNER_EXECUTABLE_ARCH", format!("{}/{arch}", std::env::consts::OS));
    list.0
}

/// `text` in lower case, everything but letters and digits replaced by `-`, at most 63 bytes, without `-` around it.
pub(crate) fn slug(text: &str) -> String {
    let letters = text.to_lowercase();
    let plain = letters.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' });
    plain.take(63).collect::<String>().trim_matches('-').to_owned()
}

/// The first eight letters of a hash.
pub(crate) fn short(sha: &str) -> &str {
    sha.get(..8).unwrap_or(sha)
}

fn cut(message: &str) -> &str {
    message.get(..message.floor_char_boundary(MESSAGE_LIMIT)).unwrap_or(message)
}

fn title(message: &str) -> &str {
    message.split(['\r', '\n']).next().unwrap_or_default()
}

/// The message without its first line; all of it where that line is so long that GitLab cuts it when it shows it.
fn description(message: &str) -> &str {
    if title(message).chars().count() >= 100 {
        return message;
    }
    let rest = message.split_once('\n').map_or("", |(_, rest)| rest);
    rest.strip_suffix('\n').unwrap_or(rest)
}

/// A number from 1 on that is the same for the same text (FNV-1a).
fn number(text: &str) -> u64 {
    let hash =
        text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    u64::from(hash >> 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_that_of_gitlab() {
        assert_eq!(slug("Feature/ABC_1.x"), "feature-abc-1-x");
        assert_eq!(slug("--ä--b"), "b");
        assert_eq!(slug(&"a".repeat(80)).len(), 63);
        assert_eq!(slug(&format!("{}/b", "a".repeat(62))), "a".repeat(62));
    }

    #[test]
    fn a_description_is_the_message_without_its_title() {
        assert_eq!(description("title\n\nbody\n"), "\nbody");
        assert_eq!(description("title"), "");
        let long = format!("{}\n\nbody", "x".repeat(100));
        assert_eq!(description(&long), long);
    }

    #[test]
    fn a_long_message_is_cut_between_letters() {
        let message = "ä".repeat(MESSAGE_LIMIT);
        assert_eq!(cut(&message).len(), MESSAGE_LIMIT);
        assert!(cut(&format!("x{message}")).len() < MESSAGE_LIMIT);
    }

    #[test]
    fn an_event_is_named_as_people_write_it() {
        assert_eq!("tag".parse(), Ok(PipelineEvent::Tag));
        assert_eq!(PipelineEvent::Tag.source(), "push");
        assert!("pull".parse::<PipelineEvent>().unwrap_err().contains("merge_request_event"));
    }

    #[test]
    fn a_project_number_is_never_zero_and_stays() {
        assert_eq!(number("https://gitlab.com/a/b"), number("https://gitlab.com/a/b"));
        assert!(number("") > 0);
    }
}
