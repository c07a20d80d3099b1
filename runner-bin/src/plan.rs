//! Everything that is known before anything runs: the repository, its variables, the pipeline.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::anyhow;
use runner_core::{
    ErrorKind,
    job::{Variable, Variables},
};
use runner_pipeline::{
    Context, Diagnostics, Pipeline, PipelineEvent, Predefined, Repository, TreeDigest, parse, parse_variables,
};

use crate::{
    cli::{EventName, Exec},
    fault::{Fault, WrongFile},
    view::tame,
};

/// Files of more bytes than this hold no pipeline.
const LARGEST_FILE: u64 = 64 << 20;

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The user's repository.
    pub(crate) repository: Arc<Repository>,
    /// What is known of the pipeline but for its file.
    pub(crate) predefined: Predefined,
    /// Variables that count more than those of the file.
    pub(crate) variables: Variables,
    /// The pipeline.
    pub(crate) pipeline: Pipeline,
    /// The text of its file.
    pub(crate) text: String,
    /// What it is of, for a person.
    pub(crate) title: String,
}

impl Plan {
    /// Reads all that `options` name.
    pub(crate) async fn read(options: &Exec) -> Result<Self, Fault> {
        let repository = repository(options).await.map_err(Fault::of_core)?;
        let folder = project(&options.directory, repository.root(), &options.file);
        let repository = repository.folder(&folder).map_err(Fault::of_core)?;
        let variables = variables(options)?;
        let name = options.file.display().to_string();
        let event = event(options.event);
        let predefined = Predefined::of(&repository, event, &name).await.map_err(Fault::of_core)?;
        let text = pipeline_text(repository.root(), &options.file, &name)?;
        let repository = Arc::new(repository);
        let tree: Arc<dyn TreeDigest> = Arc::clone(&repository) as Arc<dyn TreeDigest>;
        let context = Context {
            predefined: predefined.variables.clone(),
            overrides: variables.clone(),
            tree: Some(tree),
        };
        let pipeline = parse(&name, &text, &context).map_err(|diagnostics| wrong(diagnostics, &text))?;
        let of = match (predefined.variables.value("CI_COMMIT_TAG"), repository.branch()) {
            (tag, _) if !tag.is_empty() => format!(" of {tag}"),
            (_, Some(branch)) => format!(" of {branch}"),
            (_, None) => String::new(),
        };
        let called = pipeline.name.as_ref().map(|name| format!(" · {}", tame(name))).unwrap_or_default();
        let title = format!("{name} · {event}{of}{called}");
        Ok(Self { repository, predefined, variables, pipeline, text, title })
    }
}

/// The project: the nearest directory with the pipeline's file, from `directory` up to the top of the work tree. A
/// folder with a file of its own is a project of its own, as the examples of a larger project are.
fn project(directory: &Path, top: &Path, file: &Path) -> PathBuf {
    let start = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let mut within = start.ancestors().take_while(|ancestor| ancestor.starts_with(top));
    let found = within.find(|ancestor| file.is_relative() && ancestor.join(file).is_file());
    found.unwrap_or(top).to_owned()
}

/// The repository. A folder in it that has the file is a project of its own, as examples in a larger project are.
async fn repository(options: &Exec) -> runner_core::Result<Repository> {
    let repository = Repository::discover(&options.directory).await?;
    let is_folder = options.file.is_relative() && options.directory.join(&options.file).is_file();
    if is_folder { repository.folder(&options.directory) } else { Ok(repository) }
}

fn event(name: EventName) -> PipelineEvent {
    match name {
        EventName::Push => PipelineEvent::Push,
        EventName::Tag => PipelineEvent::Tag,
        EventName::MergeRequestEvent => PipelineEvent::MergeRequest,
        EventName::Schedule => PipelineEvent::Schedule,
        EventName::Web => PipelineEvent::Web,
    }
}

fn wrong(diagnostics: Diagnostics, text: &str) -> Fault {
    Fault::wrong_use(WrongFile { diagnostics, text: text.to_owned() })
}

/// The variables of the file and of the command line, which count more.
fn variables(options: &Exec) -> Result<Variables, Fault> {
    let mut variables = match &options.variables_file {
        Some(path) => {
            let name = path.display().to_string();
            let missing = || Fault::wrong_use(anyhow!("there is no file {name} with variables"));
            let text = read(path, &name)?.ok_or_else(missing)?;
            // The text holds secrets, so no mistake is shown with its line.
            parse_variables(&name, &text).map_err(|diagnostics| wrong(diagnostics, ""))?
        }
        None => Variables::default(),
    };
    for (key, value) in &options.variables {
        // A secret of the file stays one with another value.
        let masked = variables.get(key).is_some_and(|variable| variable.masked);
        variables.push(Variable { public: false, masked, ..Variable::new(key, value) });
    }
    Ok(variables)
}

fn pipeline_text(root: &Path, file: &Path, name: &str) -> Result<String, Fault> {
    read(&root.join(file), name)?.ok_or_else(|| {
        Fault::wrong_use(anyhow!("there is no file {name} in {}", root.display()))
            .help("go to a project with a pipeline, or name one with -C DIR, or its file with --file")
    })
}

/// The text of a file; `None` where there is no such file.
fn read(path: &Path, name: &str) -> Result<Option<String>, Fault> {
    let size = match fs_err::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fault::wrong_use(error)),
    };
    if size > LARGEST_FILE {
        return Err(Fault::wrong_use(anyhow!("{name} has {size} bytes; nobody writes so long a file")));
    }
    let bytes = fs_err::read(path).map_err(Fault::wrong_use)?;
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|it| **it == b'\n').count();
        Fault::wrong_use(anyhow!("{name} is no text: line {} holds bytes that are not UTF-8", line + 1))
    })
}

impl Fault {
    /// An error of the core: whose fault it is shows in its kind.
    pub(crate) fn of_core(error: runner_core::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Unauthorized => {
                Self::wrong_use(Failed(error))
            }
            _ => Self::ours(Failed(error)),
        }
    }
}

/// A core error as a sentence: its own text is a fragment that completes it.
#[derive(Debug)]
struct Failed(runner_core::Error);

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "failed to {}", self.0)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
