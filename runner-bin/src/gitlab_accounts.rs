//! The accounts of runners at a GitLab server.

use std::path::PathBuf;

use async_trait::async_trait;
use runner_config::registration::{Account, Accounts, Details, Server};
use runner_core::{ErrorKind, Result, Secret};
use runner_gitlab::{
    Client, RunnerInfo,
    register::{self, Registered, RunnerOptions},
};

use crate::{cli::accounts::Variables, connection::connection};

/// Accounts at GitLab, for a config in `folder`.
#[derive(Debug)]
pub(crate) struct GitLabAccounts {
    /// The folder of the config.
    pub(crate) folder: PathBuf,
    /// The environment.
    pub(crate) variables: Variables,
    /// What tells this manager apart from others.
    pub(crate) system_id: String,
}

impl GitLabAccounts {
    fn client(&self, server: &Server) -> Result<Client> {
        Client::new(&connection(server, &self.folder, &self.variables)?)
    }
}

#[async_trait]
impl Accounts for GitLabAccounts {
    async fn verify(
        &self,
        server: &Server,
        token: &Secret,
        system_id: &str,
        executor: &str,
    ) -> Result<Option<Account>> {
        let info = RunnerInfo::new(executor);
        match register::verify(&self.client(server)?, token, system_id, &info).await {
            Ok(registered) => Ok(Some(account(registered))),
            Err(error) if error.kind() == ErrorKind::Unauthorized => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn register(
        &self,
        server: &Server,
        registration_token: &Secret,
        details: &Details,
        executor: &str,
    ) -> Result<Account> {
        let (client, info) = (self.client(server)?, RunnerInfo::new(executor));
        let options = options(details);
        let registered =
            register::register(&client, registration_token, &self.system_id, &info, &options).await;
        registered.map(account)
    }

    async fn unregister(&self, server: &Server, token: &Secret, system_id: &str) -> Result<()> {
        match register::unregister(&self.client(server)?, token, system_id).await {
            Err(error) if error.kind() == ErrorKind::Unauthorized => Ok(()),
            result => result,
        }
    }
}

fn account(registered: Registered) -> Account {
    let Registered { id, token, token_expires_at } = registered;
    Account { id, token, token_expires_at }
}

fn options(details: &Details) -> RunnerOptions {
    RunnerOptions {
        description: details.description.clone(),
        tag_list: details.tags.join(","),
        run_untagged: Some(details.run_untagged.unwrap_or(details.tags.is_empty())),
        locked: Some(details.is_locked),
        paused: details.is_paused.then_some(true),
        access_level: details.access_level.clone(),
        maximum_timeout: Some(u64::from(details.maximum_timeout)).filter(|seconds| *seconds > 0),
        maintenance_note: details.maintenance_note.clone(),
    }
}
