//! Registering, verifying and unregistering runners: what it does to a config. The server is asked through [`Accounts`].

use async_trait::async_trait;
use runner_core::{Error, ErrorKind, Result, Secret};

use crate::{
    Config, RunnerConfig,
    config::Tls,
    edit::{self, EditError, NewRunner},
};

/// A server, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub url: String,
    /// How it is known, and how it knows us.
    pub tls: Tls,
}

/// A runner at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number; 0 where the server does not say.
    pub id: u64,
    /// Its authentication token.
    pub token: Secret,
    /// When the token ends, in the form of RFC 3339; `None`: never.
    pub token_expires_at: Option<String>,
}

/// What a new runner is to be at the server; for registration tokens alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// Its description.
    pub description: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it takes jobs without tags; `None`: if it has no tags itself.
    pub run_untagged: Option<bool>,
    /// Whether it is for one project only.
    pub is_locked: bool,
    /// `not_protected` or `ref_protected`; empty: the server's default.
    pub access_level: String,
    /// The longest time that a job may take, in seconds; 0: the server's.
    pub maximum_timeout: u32,
    /// Whether it starts paused.
    pub is_paused: bool,
    /// A note for those who maintain it.
    pub maintenance_note: String,
}

/// The runners' side of a server: what is asked of it here.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// The account of a token, whose jobs are run by `executor`. The server learns what such a runner can do, and sends jobs
    /// by that.
    ///
    /// # Behaviour
    /// - `None` if the server knows no such token; that is no error.
    ///
    /// # Errors
    /// The server could not be asked.
    async fn verify(
        &self,
        server: &Server,
        token: &Secret,
        system_id: &str,
        executor: &str,
    ) -> Result<Option<Account>>;

    /// A new account, made with a registration token, for a runner with `executor`.
    ///
    /// # Errors
    /// The server could not be asked, or refuses the token.
    async fn register(
        &self,
        server: &Server,
        registration_token: &Secret,
        details: &Details,
        executor: &str,
    ) -> Result<Account>;

    /// Takes this manager (`glrt-…` tokens) or the runner as a whole (others) off the server.
    ///
    /// # Behaviour
    /// - A token that the server does not know is off it already: `Ok`.
    ///
    /// # Errors
    /// The server could not be asked.
    async fn unregister(&self, server: &Server, token: &Secret, system_id: &str) -> Result<()>;
}

/// Whether a token is one of the kind that is made in GitLab's pages, and that managers share.
pub fn is_shared_token(token: &str) -> bool {
    token.starts_with("glrt-")
}

/// What is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// At which server.
    pub server: Server,
    /// The authentication token, or the registration token.
    pub token: Secret,
    /// Whether it is a registration token. One that is an authentication token by its form is taken for one.
    pub is_registration: bool,
    /// What the runner is to be at the server.
    pub details: Details,
    /// What becomes of its entry. Name, address and token are filled in; the server is told of the executor.
    pub entry: NewRunner,
    /// A text whose only `[[runners]]` gives the rest of the entry.
    pub template: Option<String>,
}

impl Registration {
    /// Asks the server, and adds the runner to `text`. The new text is to be [saved](edit::save).
    ///
    /// # Cancellation
    /// Dropping the future may leave a new account at the server that no config has.
    ///
    /// # Errors
    /// The server could not be asked or does not take the token; the config or the template cannot be read.
    pub async fn run(self, accounts: &dyn Accounts, system_id: &str, text: &str) -> Result<String> {
        let of_edit = |error: EditError| Error::new(ErrorKind::Invalid, "add the runner").because(error);
        let Self { server, token, is_registration, details, mut entry, template } = self;
        entry.url.clone_from(&server.url);
        // What cannot be written must not be registered.
        edit::add(text, &entry, template.as_deref()).map_err(of_edit)?;
        let account = if is_registration && !is_shared_token(token.expose()) {
            accounts.register(&server, &token, &details, &entry.executor).await?
        } else {
            if details != (Details { description: details.description.clone(), ..Details::default() })
                && !is_registration
            {
                let text = "set tags and the like with an authentication token: they are set where the token was made";
                return Err(Error::new(ErrorKind::Invalid, text));
            }
            let account = accounts.verify(&server, &token, system_id, &entry.executor).await?;
            account.ok_or_else(|| {
                Error::new(ErrorKind::Unauthorized, "register the runner: the server does not know the token")
                    .with("server", &server.url)
                    .with("hint", "make a new runner in GitLab, and use the token that it shows")
            })?
        };
        entry.name = details.description;
        entry.id = account.id;
        entry.token = account.token;
        entry.token_expires_at = account.token_expires_at;
        edit::add(text, &entry, template.as_deref()).map_err(of_edit)
    }
}

/// Which runners of a config are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// All of them, whatever else is set.
    pub is_all: bool,
    /// Those of this name.
    pub name: Option<String>,
    /// Those with this token.
    pub token: Option<Secret>,
    /// Those of this server.
    pub url: Option<String>,
}

impl Selection {
    /// The indexes of the runners that fit everything that is set.
    ///
    /// # Errors
    /// None fits.
    pub fn of(&self, config: &Config) -> Result<Vec<usize>> {
        let fits = |runner: &RunnerConfig| {
            let url = self.url.as_ref().map(|url| url.trim_end_matches('/'));
            self.is_all
                || self.name.as_ref().is_none_or(|name| *name == runner.name)
                    && self.token.as_ref().is_none_or(|token| *token == runner.token)
                    && url.is_none_or(|url| url == runner.url)
        };
        let fitting = config.runners.iter().enumerate().filter(|(_, runner)| fits(runner));
        let indexes: Vec<_> = fitting.map(|(index, _)| index).collect();
        if indexes.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "find a runner with that name, token and server"));
        }
        Ok(indexes)
    }
}

/// How each of some runners fared, by its index.
pub type Fates = Vec<(usize, Result<()>)>;

/// Asks the server of each selected runner whether it knows the token.
///
/// # Errors
/// No runner fits the selection. What the servers say is in the list.
pub async fn verify(
    accounts: &dyn Accounts,
    config: &Config,
    selection: &Selection,
    system_id: &str,
) -> Result<Fates> {
    let mut fates = Fates::new();
    for (index, runner) in selected(config, selection)? {
        let executor = runner.executor.name();
        let known = accounts.verify(&server_of(runner), &runner.token, system_id, executor).await;
        let unknown =
            || Error::new(ErrorKind::Unauthorized, "verify the runner: the server does not know its token");
        fates.push((index, known.and_then(|account| account.map(|_| ()).ok_or_else(unknown))));
    }
    Ok(fates)
}

/// Takes each selected runner off its server. Those that are off are to be [removed](edit::remove) from the config.
///
/// # Errors
/// No runner fits the selection. What the servers say is in the list.
pub async fn unregister(
    accounts: &dyn Accounts,
    config: &Config,
    selection: &Selection,
    system_id: &str,
) -> Result<Fates> {
    let mut fates = Fates::new();
    for (index, runner) in selected(config, selection)? {
        fates.push((index, accounts.unregister(&server_of(runner), &runner.token, system_id).await));
    }
    Ok(fates)
}

fn selected<'a>(config: &'a Config, selection: &Selection) -> Result<Vec<(usize, &'a RunnerConfig)>> {
    let indexes = selection.of(config)?;
    Ok(indexes.into_iter().filter_map(|index| Some((index, config.runners.get(index)?))).collect())
}

fn server_of(runner: &RunnerConfig) -> Server {
    Server { url: runner.url.clone(), tls: runner.tls.clone() }
}

#[cfg(test)]
mod tests;
