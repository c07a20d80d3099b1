//! The command line. What the words mean for a run is settled in `exec.rs`; nothing here touches a file.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg_attr(not(test), expect(dead_code, reason = "nothing runs the jobs of a server yet"))]
#[expect(clippy::doc_markdown, reason = "clap shows these texts as they are")]
pub(crate) mod accounts;
pub(crate) mod cache;

/// Runs CI jobs.
#[derive(Debug, Parser)]
#[command(name = "runner", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the pipeline of a .gitlab-ci.yml here and now, without GitLab.
    ///
    /// Each job gets a directory of its own with the files that git knows: tracked ones as they are now, and new ones
    /// that are not ignored. Your own directory is only read, but for .runner/, where artifacts and logs land.
    ///
    /// Exit status: 0 all is well, 1 a job failed or the run was cancelled, 2 wrong use or a wrong file, 3 runner could
    /// not do its work.
    Exec(Box<Exec>),

    /// Takes jobs of the GitLab servers of a config.toml, and runs them.
    ///
    /// TERM and INT end it at once: jobs in pods run on, report themselves and are adopted by the next one. QUIT ends it
    /// when its jobs have ended. HUP has it read the config again, which it also does by itself when that changes.
    Run(accounts::Run),

    /// Adds a runner to a config.toml.
    ///
    /// The token is the one that GitLab shows when the runner is made on its pages (glrt-…). Nothing of the config changes
    /// but for the new entry at its end.
    Register(Box<accounts::Register>),

    /// Asks the servers whether they know the runners of a config.toml.
    Verify(accounts::Verify),

    /// Takes runners off their server and out of a config.toml.
    Unregister(accounts::Unregister),

    /// Lists the runners of a config.toml.
    List(accounts::List),

    /// Looks after the store of caches that a config.toml names.
    Cache(cache::Cache),
}

/// What `runner exec` is asked for.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Exec {
    /// Jobs to run, with what they need; without any, the whole pipeline. Naming a manual job starts it.
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,

    /// Where the project is: anywhere in its repository, or a folder of one that has a pipeline's file of its own.
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,

    /// The pipeline's file, relative to the top of the project.
    #[arg(short, long, value_name = "FILE", default_value = ".gitlab-ci.yml")]
    pub(crate) file: PathBuf,

    /// Sets a variable; may be repeated. It counts more than one in the file, and is masked where that one is.
    #[arg(long = "variable", value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) variables: Vec<(String, String)>,

    /// Sets variables from a file: KEY=VALUE lines, or YAML with values or {value, masked, file, raw}.
    #[arg(long, value_name = "FILE")]
    pub(crate) variables_file: Option<PathBuf>,

    /// What the pipeline is run for, as its rules see it.
    #[arg(long, value_enum, value_name = "EVENT", default_value_t = EventName::Push)]
    pub(crate) event: EventName,

    /// How many jobs run at a time; without it, as many as there are processors, and on a cluster 10.
    #[arg(short, long = "jobs", value_name = "N", value_parser = at_least_one)]
    pub(crate) jobs_at_once: Option<NonZeroUsize>,

    /// Shows the jobs and what they wait for; runs nothing.
    #[arg(long)]
    pub(crate) list: bool,

    /// Where jobs run.
    #[arg(long, value_enum, value_name = "EXECUTOR", default_value_t = ExecutorName::Local)]
    pub(crate) executor: ExecutorName,

    /// A config.toml: its first `[[runners]]` with the executor "kubernetes" says how pods are made.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Takes the `[[runners]]` of that name.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) runner: Option<String>,

    /// Neither restores nor saves caches.
    #[arg(long)]
    pub(crate) no_cache: bool,

    /// Keeps the directories of the jobs, and says where they are.
    #[arg(long)]
    pub(crate) keep: bool,

    /// What stdout gets: text for a person, or one JSON document (the text then goes to stderr).
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Output::Human)]
    pub(crate) output: Output,

    /// When to use colours.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

const EXAMPLES: &str = "\
Examples:
  runner exec                             all jobs, as a push would run them
  runner exec --list                      what would run, and what waits for what
  runner exec unit                        the job \"unit\" and the jobs that it needs
  runner exec --event tag                 as the push of a tag would
  runner exec --variable DEPLOY=no -j 4   with a variable, four jobs at a time
  runner exec --executor kubernetes       in pods of the cluster that kubectl talks to";

/// What a pipeline is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum EventName {
    /// A push of a branch.
    Push,
    /// A push of a tag.
    Tag,
    /// A merge request.
    MergeRequestEvent,
    /// A schedule.
    Schedule,
    /// The button "New pipeline".
    Web,
}

/// Where jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExecutorName {
    /// On this machine, each in a directory of its own.
    Local,
    /// On the cluster of the kubeconfig or of --config, each in a pod of its own.
    Kubernetes,
}

/// What stdout gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text for a person.
    Human,
    /// One JSON document.
    Json,
}

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "it must be a number, and at least 1".to_owned())
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if key.is_empty() || !key.chars().all(is_part) || key.starts_with(|letter: char| letter.is_ascii_digit())
    {
        return Err(format!(
            "\"{key}\" is no name of a variable: letters, digits and _ make one, and no digit begins it"
        ));
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    fn exec(words: &[&str]) -> Exec {
        let parsed = Cli::try_parse_from(["runner", "exec"].iter().chain(words)).unwrap();
        let Command::Exec(exec) = parsed.command else { panic!("it is for exec") };
        *exec
    }

    #[test]
    fn a_value_may_hold_equal_signs_and_nothing() {
        let exec = exec(&["--variable", "A=b=c", "--variable", "EMPTY=", "build", "test: [a, b]"]);
        assert_eq!(exec.variables, [("A".into(), "b=c".into()), ("EMPTY".into(), String::new())]);
        assert_eq!(exec.jobs, ["build", "test: [a, b]"]);
    }

    #[test]
    fn what_is_no_assignment_is_explained() {
        insta::assert_snapshot!(assignment("1A=b").unwrap_err(), @r#""1A" is no name of a variable: letters, digits and _ make one, and no digit begins it"#);
        assert!(assignment("novalue").is_err());
    }

    #[test]
    fn events_are_named_as_in_gitlab() {
        assert_eq!(exec(&["--event", "merge_request_event"]).event, EventName::MergeRequestEvent);
    }
}
