//! `[[runners.kubernetes.services]]`.

use runner_core::job::{Image, Service, Variable, Variables};
use serde::Deserialize;

/// A service that runs beside every job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceEntry {
    /// The image.
    pub name: String,
    /// Names, separated by spaces or commas.
    pub alias: String,
    /// Replaces the image's command; empty: it does not.
    pub command: Vec<String>,
    /// Replaces the image's entrypoint; empty: it does not.
    pub entrypoint: Vec<String>,
    /// Variables of this service alone, `NAME=value`.
    pub environment: Vec<String>,
    /// What a suspended environment keeps of it.
    pub suspend_data_path: Option<String>,
}

impl ServiceEntry {
    /// The service as a job would have it.
    pub(crate) fn service(&self) -> Service {
        let variables = self.environment.iter().filter_map(|line| line.split_once('='));
        let image = Image {
            name: self.name.clone(),
            entrypoint: Some(self.entrypoint.clone()).filter(|entrypoint| !entrypoint.is_empty()),
            ..Image::default()
        };
        Service {
            image,
            aliases: split_aliases(&self.alias).map(ToOwned::to_owned).collect(),
            command: Some(self.command.clone()).filter(|command| !command.is_empty()),
            variables: Variables(variables.map(|(key, value)| Variable::new(key, value)).collect()),
        }
    }
}

/// The names in one text.
pub(crate) fn split_aliases(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',', '\t', '\n']).filter(|name| !name.is_empty())
}
