//! `runner register`, `runner verify` and `runner unregister`: accounts at a server, and their entries in the config.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use runner_config::{
    Config, Machine, Surroundings, SystemId, edit,
    registration::{self, Fates, Registration},
};
use runner_core::{Error, ErrorKind, Finding, Secret, Severity};

use crate::{
    cli::{
        Color, Output,
        accounts::{ConfigPath, Register, Unregister, Variables, Verify},
    },
    exit_code::ExitStatus,
    fault::{Fault, WrongFile},
    gitlab_accounts::GitLabAccounts,
    short_token::short_token,
    stdio::Stdio,
    wire,
};

/// Makes a runner known to its server, and adds it to the config.
pub(crate) async fn register(options: &Register) -> ExitStatus {
    Desk::new(&options.config).register(options).await.unwrap_or_else(|fault| told(&fault))
}

/// Asks the servers whether they know the runners.
pub(crate) async fn verify(options: &Verify) -> ExitStatus {
    Desk::new(&options.config).verify(options).await.unwrap_or_else(|fault| told(&fault))
}

/// Takes runners off their servers and out of the config.
pub(crate) async fn unregister(options: &Unregister) -> ExitStatus {
    Desk::new(&options.config).unregister(options).await.unwrap_or_else(|fault| told(&fault))
}

fn told(fault: &Fault) -> ExitStatus {
    let stdio = Stdio::new(Output::Human, Color::Auto, wire::taste());
    Stdio::error(&fault.text(stdio.error_palette().is_on()));
    fault.status
}

/// What all three need.
struct Desk {
    path: PathBuf,
    surroundings: Surroundings,
    accounts: GitLabAccounts,
    stdio: Stdio,
}

impl Desk {
    fn new(config: &ConfigPath) -> Self {
        let variables = wire::variables();
        let path = config.path(&variables, wire::is_root());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let surroundings = Surroundings::new(variables.clone()).with_files(Path::new(runner_config::SECRETS));
        let accounts = GitLabAccounts { folder: folder.to_owned(), variables, system_id: String::new() };
        let stdio = Stdio::new(Output::Human, Color::Auto, wire::taste());
        Self { path, surroundings, accounts, stdio }
    }

    /// Finds out who this manager is. The folder of the config must be there, or each call would be another one.
    fn identify(&mut self) -> Result<(), Fault> {
        fs_err::create_dir_all(&self.accounts.folder).map_err(Fault::wrong_use)?;
        let identity = SystemId::load(&self.accounts.folder, &Machine::read(wire::host_name()));
        if let Some(finding) = identity.finding {
            Stdio::error(&format!("note: {}: {}\n", finding.message, finding.mend));
        }
        self.accounts.system_id = identity.id;
        Ok(())
    }

    async fn register(mut self, options: &Register) -> Result<ExitStatus, Fault> {
        let variables: &Variables = &self.accounts.variables;
        let template = options.template(variables).map(fs_err::read_to_string).transpose();
        let template = template.map_err(Fault::wrong_use)?;
        let mut wanted =
            options.registration(variables, template).map_err(|text| Fault::wrong_use(anyhow!(text)))?;
        if wanted.details.description.is_empty() {
            wanted.details.description = wire::host_name();
        }
        let text = match fs_err::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Fault::wrong_use(error)),
        };
        wanted.entry.executor = self.executor_of(&wanted, &text)?;
        edit::can_save(&self.path).map_err(Fault::wrong_use)?;
        self.identify()?;
        let (name, is_new) = (wanted.details.description.clone(), wanted.is_registration);
        let token = wanted.token.clone();
        let changed = wanted.run(&self.accounts, &self.accounts.system_id, &text).await;
        let changed = changed.map_err(|error| fault(&error))?;
        edit::save(&self.path, &changed).map_err(Fault::ours)?;
        let did = if is_new { "Registering runner... succeeded" } else { "Verifying runner... is valid" };
        self.say(did, token.expose());
        self.stdio.text(&format!(
            "Runner registered successfully. It is {name:?} in {}, and a manager that runs takes it up by itself.\n",
            self.path.display()
        ));
        Ok(ExitStatus::Success)
    }

    /// The executor of the entry that is to be. What a manager would refuse must not be registered.
    fn executor_of(&self, wanted: &Registration, text: &str) -> Result<String, Fault> {
        let mut entry = wanted.entry.clone();
        entry.url.clone_from(&wanted.server.url);
        entry.token = Secret::new("glrt-not-known-yet");
        let whole = edit::add(text, &entry, wanted.template.as_deref()).map_err(Fault::wrong_use)?;
        let parsed = runner_config::parse(&self.path.display().to_string(), &whole);
        let config = parsed.resolve_offline(&self.surroundings).map_err(|mistakes| {
            let lines = text.lines().count();
            match mistakes.found.iter().find(|mistake| mistake.line > lines) {
                // Its place is in a file that nobody has written yet.
                Some(new) if mistakes.found.iter().all(|mistake| mistake.line > lines) => {
                    let help = new.help.as_deref().unwrap_or_default();
                    Fault::wrong_use(anyhow!("the new runner cannot be used: {} ({help})", new.message))
                }
                _ => Fault::wrong_use(WrongFile::from(mistakes)),
            }
        })?;
        refusals(&config)?;
        Ok(config.runners.last().map(|runner| runner.executor.name().to_owned()).unwrap_or_default())
    }

    async fn verify(mut self, options: &Verify) -> Result<ExitStatus, Fault> {
        let (text, config) = self.read()?;
        self.identify()?;
        let (accounts, selection) = (&self.accounts, options.which.selection());
        let fates = registration::verify(accounts, &config, &selection, &accounts.system_id).await;
        let fates = fates.map_err(|error| none_fits(&error, &self.path))?;
        let is_removed = |fate: &Result<(), Error>| {
            fate.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unauthorized)
        };
        for (index, fate) in &fates {
            match fate {
                Ok(()) => self.say("Verifying runner... is valid", token_at(&config, *index)),
                Err(_) if is_removed(fate) => {
                    self.say("Verifying runner... is removed", token_at(&config, *index));
                }
                Err(error) => tell(&config, *index, error),
            }
        }
        let removed: Vec<_> =
            fates.iter().filter(|(_, fate)| is_removed(fate)).map(|(index, _)| *index).collect();
        if options.delete {
            self.take_out(&text, &removed)?;
        } else if !removed.is_empty() {
            let text = "GitLab does not know all of the runners: take these out of the config with --delete, and register new ones";
            return Err(Fault::wrong_use(anyhow!(text)));
        }
        Ok(status_of(&fates, |fate| fate.is_ok() || is_removed(fate)))
    }

    async fn unregister(mut self, options: &Unregister) -> Result<ExitStatus, Fault> {
        let selection = options.selection().map_err(|text| Fault::wrong_use(anyhow!(text)))?;
        let (text, config) = self.read()?;
        self.identify()?;
        let accounts = &self.accounts;
        let fates = registration::unregister(accounts, &config, &selection, &accounts.system_id).await;
        let fates = fates.map_err(|error| none_fits(&error, &self.path))?;
        for (index, fate) in &fates {
            match fate {
                Ok(()) => {
                    self.say("Unregistering runner from GitLab succeeded", token_at(&config, *index));
                }
                Err(error) => tell(&config, *index, error),
            }
        }
        let gone: Vec<_> = fates.iter().filter(|(_, fate)| fate.is_ok()).map(|(index, _)| *index).collect();
        self.take_out(&text, &gone)?;
        Ok(status_of(&fates, Result::is_ok))
    }

    /// The config as it stands, and what it means.
    fn read(&self) -> Result<(String, Config), Fault> {
        let text = fs_err::read_to_string(&self.path).map_err(Fault::wrong_use)?;
        let parsed = runner_config::parse(&self.path.display().to_string(), &text);
        let config = parsed.resolve(&self.surroundings);
        let config = config.map_err(|mistakes| Fault::wrong_use(WrongFile::from(mistakes)))?;
        refusals(&config)?;
        Ok((text, config))
    }

    fn take_out(&self, text: &str, indexes: &[usize]) -> Result<(), Fault> {
        if indexes.is_empty() {
            return Ok(());
        }
        let changed = edit::remove(text, indexes).map_err(Fault::ours)?;
        edit::save(&self.path, &changed).map_err(Fault::ours)?;
        self.stdio.text(&format!("Updated {}\n", self.path.display()));
        Ok(())
    }

    fn say(&self, what: &str, token: &str) {
        self.stdio.text(&format!("{what}  runner={}\n", short_token(token)));
    }
}

/// A config of which something is refused has fewer runners than its file.
fn refusals(config: &Config) -> Result<(), Fault> {
    let fatal = |finding: &&Finding| finding.severity == Severity::Fatal;
    match config.findings.iter().find(fatal) {
        Some(finding) => Err(Fault::wrong_use(anyhow!("{}: {}", finding.message, finding.mend))),
        None => Ok(()),
    }
}

fn token_at(config: &Config, index: usize) -> &str {
    config.runners.get(index).map(|runner| runner.token.expose()).unwrap_or_default()
}

/// Says why the server of a runner could not be asked.
fn tell(config: &Config, index: usize, error: &Error) {
    let name = config.runners.get(index).map(|runner| runner.name.as_str()).unwrap_or_default();
    Stdio::error(&format!("error: runner {name:?}: {}\n", fault(error).chain()));
}

fn none_fits(error: &Error, path: &Path) -> Fault {
    let text =
        format!("failed to {} in {}: `runner list` shows what is there", error.chain(), path.display());
    Fault::wrong_use(anyhow!(text))
}

fn fault(error: &Error) -> Fault {
    let text = anyhow!("failed to {}", error.chain());
    match error.kind() {
        ErrorKind::Unauthorized | ErrorKind::Invalid | ErrorKind::NotFound => Fault::wrong_use(text),
        _ => Fault::ours(text),
    }
}

fn status_of(fates: &Fates, is_well: impl Fn(&Result<(), Error>) -> bool) -> ExitStatus {
    let bad = fates.iter().filter(|(_, fate)| !is_well(fate));
    let statuses = bad.filter_map(|(_, fate)| fate.as_ref().err().map(|error| fault(error).status));
    statuses.max().unwrap_or(ExitStatus::Success)
}
