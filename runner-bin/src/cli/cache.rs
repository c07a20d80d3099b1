//! The command lines of `runner cache`.

use clap::{Args, Subcommand};

use super::{Output, accounts::ConfigPath};
use crate::duration;

/// What `runner cache` is asked for.
#[derive(Debug, Args)]
pub(crate) struct Cache {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: CacheAction,

    /// Where the config is.
    #[command(flatten)]
    pub(crate) config: ConfigPath,

    /// The `[[runners]]` whose store it is. Without it: the first one that has a store.
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) runner: Option<String>,

    /// What stdout gets: text for a person, or one JSON document.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Output::Human, global = true)]
    pub(crate) output: Output,
}

/// What `runner cache` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheAction {
    /// Lists the entries: of which project and key, how old and how large they are.
    Ls {
        /// Only of scopes whose name begins so.
        #[arg(value_name = "SCOPE", default_value = "")]
        scope: String,
    },

    /// Shows how much each scope takes, and how much of it no entry needs.
    Du {
        /// Only of scopes whose name begins so.
        #[arg(value_name = "SCOPE", default_value = "")]
        scope: String,
    },

    /// Removes what nobody needs. A pack goes when an earlier call, longer ago than the longest job, has seen already that no
    /// entry needs it: call it daily, or let the lifecycle policy do it.
    Gc {
        /// The longest that a job may live: its timeout and an hour.
        #[arg(long, value_name = "SPAN", default_value = "25h", value_parser = duration::read)]
        longest_job: std::time::Duration,

        /// Removes also entries that were not saved for so long.
        #[arg(long, value_name = "SPAN", default_value = "30d", value_parser = duration::read)]
        unsaved_for: std::time::Duration,

        /// Changes nothing, and shows what would go.
        #[arg(long)]
        dry_run: bool,
    },

    /// Removes an entry. Its packs go with a later `gc`.
    Rm {
        /// The scope, as `ls` shows it.
        #[arg(value_name = "SCOPE")]
        scope: String,

        /// The key, or the name of the entry as `ls` shows it.
        #[arg(value_name = "KEY")]
        entry: String,
    },

    /// Prints a lifecycle policy that is right for how entries are stored, and how to set it.
    Policy,
}
